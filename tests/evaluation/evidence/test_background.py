"""The scene behind what moves is found, whatever moves before it, and said to mean nothing where it does."""

import numpy as np
import pytest

from evaluation.evidence.background import Background, masked_median
from evaluation.evidence.clip import MOST_PIXELS, Evidence, gather
from evaluation.findings import ClipInput
from tests.evaluation.evidence.scenery import disc, grainy, real, seen, shifts, wall

RED = (220, 30, 30)


def found(frames: np.ndarray) -> Background:
    return gather(ClipInput("a clip", frames, 24.0)).background


def moving(frames: int) -> np.ndarray:
    return np.stack([10 + 3.0 * np.arange(frames), 36 + 10 * np.sin(np.arange(frames) / 4)], axis=1)


def mask_of(centres: np.ndarray, radius: float = 8) -> np.ndarray:
    y, x = np.mgrid[:72, :128]
    return np.hypot(x - centres[:, 0, None, None], y - centres[:, 1, None, None]) < radius


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / (a | b).sum())


def test_the_scene_is_found_behind_what_moves():
    clip = grainy(disc(np.repeat(wall()[None], 36, axis=0), moving(36), 8, RED))
    background = found(clip)
    assert background.reliable
    assert background.known.all()
    assert np.abs(background.rgb - wall()).mean() < 2
    assert overlap(background.foreground, mask_of(moving(36))) > 0.75


def test_the_scene_is_found_by_a_moving_camera():
    path = shifts(np.stack([20 + 1.5 * np.arange(36), 20 + 5 * np.sin(np.arange(36) / 8)], axis=1))
    clip = grainy(disc(seen(wall(120, 240), path), moving(36), 8, RED))
    background = found(clip)
    assert background.reliable
    assert background.known.mean() > 0.9
    assert overlap(background.foreground, mask_of(moving(36)) & background.known) > 0.65


def test_light_is_no_foreground():
    light = np.linspace(1.0, 0.7, 30)[:, None, None, None]
    assert found(grainy(np.repeat(wall()[None], 30, axis=0) * light)).foreground.mean() < 0.005


def test_a_shadow_is_no_foreground():
    clip = np.repeat(wall()[None], 30, axis=0).astype(np.float32)
    for t in range(30):
        clip[t, 20:50, 3 * t : 3 * t + 25] *= 0.7
    shaded = found(grainy(clip)).foreground.mean()
    clip = grainy(np.repeat(wall()[None], 30, axis=0))
    for t in range(30):
        clip[t, 20:50, 3 * t : 3 * t + 25] = wall(30, 25, 8)
    assert shaded < 0.3 * found(clip).foreground.mean()


def test_every_shot_has_a_scene():
    clip = grainy(np.concatenate([np.repeat(wall(seed=s)[None], 10, axis=0) for s in (1, 2)]))
    background = found(clip)
    assert np.abs(background.rgb[:10] - wall(seed=1)).mean() < 2
    assert np.abs(background.rgb[10:] - wall(seed=2)).mean() < 2
    assert background.foreground.mean() < 0.002


@pytest.mark.parametrize(
    ("clip", "reason"),
    [
        (np.repeat(wall()[None], 4, axis=0), "too few"),
        (np.random.default_rng(0).integers(0, 256, (12, 64, 64, 3)).astype(np.uint8), "nothing stays"),
    ],
)
def test_a_scene_that_means_nothing_is_not_reliable(clip, reason):
    background = found(clip)
    assert not background.reliable
    assert reason in background.reason


@pytest.mark.parametrize("name", ["river-rapids", "mallard"])
def test_water_is_no_scene(shared_media, name):
    assert not found(real(shared_media, name, 60)).reliable


@pytest.mark.parametrize("name", ["street-cars", "tennis", "person-at-table"])
def test_real_scenes_are_found(shared_media, name):
    background = found(real(shared_media, name, 70))
    assert background.reliable
    assert 0.005 < background.foreground.mean() < 0.12


def test_the_median_is_over_what_is_inside():
    pictures = np.random.default_rng(0).integers(0, 256, (7, 5, 6, 3)).astype(np.uint8)
    inside = np.random.default_rng(1).random((7, 5, 6)) < 0.6
    inside[:, 0, 0] = False
    expected = np.ma.median(np.ma.array(pictures, mask=np.repeat(~inside[..., None], 3, axis=-1)), axis=0).filled(0)
    np.testing.assert_array_equal(masked_median(pictures, inside), expected)


def test_long_clips_are_measured_smaller():
    long = gather(ClipInput("long", np.zeros((10_000, 64, 64, 3), np.uint8), 24.0))
    assert long.rgb[..., 0].size <= MOST_PIXELS
    assert long.scale < 1


def test_boxes_are_those_of_the_clip():
    evidence: Evidence = gather(ClipInput("large", np.zeros((2, 720, 1280, 3), np.uint8), 24.0))
    assert evidence.rgb.shape[1:3] == (72, 128)
    assert evidence.box(12, 7, 14, 9) == (120, 70, 140, 90)
    assert evidence.box(-3, -3, 200, 200) == (0, 0, 1280, 720)
    left, top, right, bottom = evidence.box(127.9, 71.9, 128, 72)
    assert left < right <= 1280
    assert top < bottom <= 720
