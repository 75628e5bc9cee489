"""Incoherence is found, located, and not seen where there are none."""

import cv2
import numpy as np
import pytest

from evaluation.consistency.incoherence import incoherence
from evaluation.findings import ClipInput
from evaluation.objects.observation import observe


def judged(detector, frames, prompt=None):
    return detector(observe(ClipInput("clip", frames, 8.0, prompt)))


def spans(finding):
    return [(f.start_frame, f.end_frame) for f in finding.failures]


def test_noise_is_incoherent_from_first_to_last(noise):
    finding = judged(incoherence, noise)
    assert finding.score > 0.9
    assert spans(finding) == [(0, 16)]


def test_smooth_blobs_unrelated_from_frame_to_frame_are_incoherent():
    rng = np.random.default_rng(0)
    blobs = np.stack([cv2.GaussianBlur(f, (0, 0), 2) for f in rng.normal(0, 1, (17, 32, 32, 3))])
    frames = np.clip(128 + 40 * blobs / blobs.std(), 0, 255).astype(np.uint8)
    assert judged(incoherence, frames).score > 0.7


def test_noise_put_in_is_located(draw):
    clip = draw([{"at": lambda t: (8 + t, 16)}])
    clip[5:9] = np.random.default_rng(0).integers(0, 256, clip[5:9].shape)
    ((start, end),) = spans(judged(incoherence, clip))
    assert start == 5
    assert end in (8, 9)  # the frame after the noise does not follow from it


@pytest.mark.parametrize("speed", [0.0, 0.5, 2.0, 5.0])
def test_motion_is_coherent(draw, speed):
    clip = draw([{"at": lambda t: (6 + speed * t, 16), "shape": "square", "angle": lambda t: 0.2 * t}])
    assert judged(incoherence, clip).score < 0.2


def test_a_flat_clip_is_coherent():
    assert judged(incoherence, np.full((9, 32, 32, 3), 70, np.uint8)).score == 0.0
