"""A scene that bends or sways while the camera moves is found; pans, zooms, parallax and passing things are none."""

import cv2
import numpy as np
import pytest

from evaluation.consistency.view_inconsistency import view_inconsistency
from evaluation.evidence.clip import gather
from evaluation.findings import ClipInput

T, H, W = 40, 64, 96
Y, X = np.mgrid[:H, :W].astype(np.float32)


def judged(frames):
    noise = np.random.default_rng(9).normal(0, 1.5, (len(frames), H, W, 1))
    frames = np.clip(frames + noise, 0, 255).round().astype(np.uint8)
    return view_inconsistency(gather(ClipInput("clip", frames, 24.0)))


def texture(seed, width=3 * W):
    rng = np.random.default_rng(seed)
    layers = [cv2.GaussianBlur(rng.normal(0, 1, (2 * H, width, 3)).astype(np.float32), (0, 0), s) for s in (1.5, 4)]
    return np.clip(128 + sum(40 * layer / layer.std() for layer in layers), 0, 255).astype(np.float32)


def seen(scene, shift, zoom=1.0, bend=None):
    x, y = (X - W / 2) / zoom + W / 2 + shift, (Y - H / 2) / zoom + H
    if bend is not None:
        x, y = x + bend[0], y + bend[1]
    return cv2.remap(scene, x.astype(np.float32), y.astype(np.float32), cv2.INTER_LINEAR)


@pytest.fixture(scope="module")
def pan():
    scene = texture(0)
    return np.stack([seen(scene, 20 + 1.5 * t) for t in range(T)])


def test_a_scene_that_bends_or_a_part_that_sways_is_worse_than_any_honest_camera(pan):
    scene, near = texture(0), texture(1)
    zoom = np.stack([seen(scene, 60 + 0.5 * t, 1 + 0.01 * t) for t in range(T)])
    parallax = np.stack(
        [np.where((Y > 36)[..., None], seen(near, 10 + 3 * t), seen(scene, 20 + 1.2 * t)) for t in range(T)]
    )
    passing = pan.copy()
    for t in range(T):
        passing[t, 20:40, max(0, 3 * t - 20) : 3 * t] = (200, 60, 40)
    honest = max(judged(frames).strength for frames in (pan, zoom, parallax, passing))
    sway = 3 * np.sin(2 * np.pi * np.maximum(0, np.arange(T) - 10) / 16)
    wave = np.sin(2 * np.pi * Y / 40)
    bent = np.stack([seen(scene, 20 + 1.5 * t, bend=(sway[t] * wave, 0 * wave)) for t in range(T)])
    part = np.exp(-((((X - 30) / 20) ** 2 + ((Y - 30) / 16) ** 2) ** 2))
    swims = np.stack([seen(scene, 20 + 1.5 * t, bend=(0 * part, 1.5 * sway[t] * part)) for t in range(T)])
    finding = judged(bent)
    assert finding.strength > 2 * honest
    assert finding.candidates[0].end_frame == T - 1
    assert abs(finding.candidates[0].start_frame - 10) <= 3
    assert judged(swims).strength > honest


def test_where_the_camera_stands_still_or_nothing_can_be_followed_there_is_no_measure(pan):
    for frames in (np.repeat(pan[:1], T, axis=0), np.full((T, H, W, 3), 90.0), pan[:4]):
        finding = judged(frames)
        assert finding.score is None
        assert not finding.due
        assert finding.reason


@pytest.mark.parametrize("shape", [(1, 64, 64, 3), (9, 8, 8, 3), (40, 8, 8, 3), (12, 120, 9, 3), (9, 16, 400, 3)])
def test_whatever_comes_gets_an_answer_or_a_reason(shape):
    for frames in (np.zeros(shape, np.uint8), np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8)):
        finding = view_inconsistency(gather(ClipInput("clip", frames, 30.0)))
        assert finding.reason or np.isfinite(finding.strength)
