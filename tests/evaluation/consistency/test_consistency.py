"""Freezes and incoherence are found, located, and not seen where there are none."""

import cv2
import numpy as np
import pytest

from evaluation.consistency.freeze import freeze
from evaluation.consistency.incoherence import incoherence
from evaluation.findings import ClipInput
from evaluation.objects.observation import observe

RESTS = "A red circle rests on a grey background."


def judged(detector, frames, prompt=None):
    return detector(observe(ClipInput("clip", frames, 8.0, prompt)))


def spans(finding):
    return [(f.start_frame, f.end_frame) for f in finding.failures]


@pytest.mark.parametrize("speed", [0.4, 1.0, 3.0])
def test_a_moving_object_is_not_frozen(draw, speed):
    assert judged(freeze, draw([{"at": lambda t: (8 + speed * t, 16)}])).score == 0.0


def test_a_clip_that_stops_is_found_and_located(draw):
    assert spans(judged(freeze, draw([{"at": lambda t: (8 + min(t, 8), 16)}]))) == [(9, 16)]


def test_grain_does_not_hide_a_freeze(draw):
    clip = draw([{"at": lambda t: (8 + min(t, 8), 16)}]).astype(float)
    grain = np.random.default_rng(0).normal(0, 3, clip.shape)
    assert spans(judged(freeze, np.clip(clip + grain, 0, 255).astype(np.uint8))) == [(9, 16)]


def test_a_clip_that_never_moves_is_frozen_unless_the_prompt_wants_rest(draw):
    clip = draw([{"at": lambda t: (16, 16)}])
    assert judged(freeze, clip).score == 1.0
    resting = judged(freeze, clip, RESTS)
    assert resting.score is None
    assert not resting.due


def test_the_top_of_a_throw_is_no_freeze(draw):
    clip = draw([{"at": lambda t: (16, 8 + 0.1 * (t - 8.5) ** 2), "radius": 5}])
    assert judged(freeze, clip).score == 0.0


def test_what_is_left_after_an_object_leaves_may_rest(draw):
    leaving = {"at": lambda t: (20 + 3 * t, 24), "radius": 5}
    resting = {"at": lambda t: (8, 8), "colour": (40, 80, 215), "radius": 5}
    assert judged(freeze, draw([leaving, resting])).score in (0.0, None)


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
