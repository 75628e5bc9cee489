"""Cuts are found where another scene begins, and nowhere else."""

from itertools import pairwise

import numpy as np
import pytest

from evaluation.evidence.shots import Shot, find_shots
from tests.evaluation.evidence.scenery import real, seen, shifts, wall


def pan(seed: int, frames: int = 12, step: float = 2.0) -> np.ndarray:
    return seen(wall(100, 400, seed), shifts(np.stack([np.arange(frames) * step, np.zeros(frames)], axis=1)))


def test_scenes_that_follow_each_other_are_shots():
    clip = np.concatenate([pan(1), pan(2), pan(3)[:6]])
    assert find_shots(clip) == (Shot(0, 11), Shot(12, 23), Shot(24, 29))


def test_a_cut_to_another_part_of_one_scene_is_found():
    picture = wall(100, 400, 1)
    places = np.concatenate([np.linspace(0, 20, 10), np.linspace(220, 240, 10)])
    clip = seen(picture, shifts(np.stack([places, np.zeros(20)], axis=1)))
    assert [shot.start for shot in find_shots(clip)] == [0, 10]


def test_a_whip_pan_is_no_cut():
    speeds = 16 * np.sin(np.pi * np.arange(20) / 20)  # up to an eighth of the frame in one step
    clip = seen(wall(100, 500, 1), shifts(np.stack([np.cumsum(speeds), np.zeros(20)], axis=1)))
    assert len(find_shots(clip)) == 1


@pytest.mark.parametrize("light", ["flash", "flicker", "switched off"])
def test_light_is_no_cut(light):
    clip = pan(4, 20).astype(np.float32)
    if light == "flash":
        clip[10] = 0.2 * clip[10] + 0.8 * 255
        clip[11] = 0.6 * clip[11] + 0.4 * 255
    elif light == "flicker":
        clip *= np.random.default_rng(0).uniform(0.6, 1.3, (20, 1, 1, 1))
    else:
        clip[10:] *= 0.5
    assert len(find_shots(np.clip(clip, 0, 255).astype(np.uint8))) == 1


def test_real_cuts_are_found_where_they_are(shared_media):
    clip = real(shared_media, "city-bikes", 150)
    assert [shot.start for shot in find_shots(clip)] == [0, 30, 76, 137]


@pytest.mark.parametrize("name", ["tennis", "mallard", "rollercoaster", "burst-flame"])
def test_fast_real_clips_have_no_cut(shared_media, name):
    assert len(find_shots(real(shared_media, name, 70))) == 1


def test_real_clips_spliced_are_two_shots(shared_media):
    one, other = real(shared_media, "soccer-juggle", 20), real(shared_media, "street-cars", 20)
    height = min(one.shape[1], other.shape[1])
    clip = np.concatenate([one[:, :height], other[:, :height]])
    assert find_shots(clip) == (Shot(0, 19), Shot(20, 39))


@pytest.mark.parametrize("shape", [(1, 64, 64, 3), (3, 8, 8, 3), (4, 1, 200, 3)])
def test_shots_are_the_clip(shape):
    clip = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    shots = find_shots(clip)
    assert sum(len(shot) for shot in shots) == len(clip)
    assert all(a.end + 1 == b.start for a, b in pairwise(shots))
