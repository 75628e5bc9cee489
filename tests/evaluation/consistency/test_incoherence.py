"""Noise, cuts and scenes that turn into others are found and located; pans and passing things are none."""

import cv2
import numpy as np
import pytest

from evaluation.consistency.incoherence import incoherence
from evaluation.consistency.negatives import negated
from evaluation.evidence.clip import gather
from evaluation.findings import ClipInput

T, H, W = 36, 64, 96


def judged(frames, **clip):
    frames = np.clip(frames, 0, 255).round().astype(np.uint8)
    finding = incoherence(gather(ClipInput("clip", frames, 24.0, **clip)))
    return finding, max(finding.candidates, key=lambda c: c.strength)


def scene(seed, width=2 * W):
    rng = np.random.default_rng(seed)
    coarse = cv2.resize(rng.uniform(0, 255, (9, 16, 3)), (width, H), interpolation=cv2.INTER_CUBIC)
    fine = cv2.GaussianBlur(rng.uniform(-90, 90, (H, width, 3)), (0, 0), 1.2)
    return np.clip(coarse + 2 * fine, 0, 255)


@pytest.fixture(scope="module")
def pan():
    """The camera pans over a scene at two pixels a frame, under grain."""
    wide, grain = scene(0), np.random.default_rng(1).normal(0, 2, (T, H, W, 1))
    return np.stack([wide[:, 2 * t : 2 * t + W] for t in range(T)]) + grain


@pytest.fixture(scope="module")
def other():
    wide = scene(5)
    return np.stack([wide[:, t : t + W] for t in range(T)])


@pytest.mark.parametrize("part", [np.s_[:, :, W // 2 :], np.s_[:, H // 2 :], np.s_[:]], ids=["right", "lower", "all"])
def test_what_turns_into_its_negative_until_it_turns_back(pan, part):
    assert negated(*(cv2.resize(frame, (32, 21)).astype(np.float32) for frame in pan[14:16])) == 0
    for last in (24, T - 1):
        turned = pan.copy()
        turned[15 : last + 1][part] = 255 - turned[15 : last + 1][part]
        finding, worst = judged(turned)
        assert finding.score > 0.6
        assert (worst.start_frame, worst.end_frame) == (15, last)


def test_a_pan_and_what_passes_are_coherent(pan):
    assert judged(pan)[0].strength < 0.7
    passing = pan.copy()
    for t in range(T):
        passing[t, 20:44, max(0, 4 * t - 20) : 4 * t + 4] = (200, 60, 40)
    assert judged(passing)[0].strength < 1


def test_a_cut_is_found_where_it_is_unless_cuts_are_meant(pan, other):
    frames = np.concatenate([pan[:20], other[20:]])
    finding, found = judged(frames)
    assert finding.strength > 1.5
    assert (found.start_frame, found.end_frame) == (20, T - 1)
    assert judged(frames, one_shot=False)[0].strength < 1


def test_frames_of_another_scene_in_between_are_found_until_the_first_returns(pan, other):
    frames = pan.copy()
    frames[14:17] = other[14:17]
    finding, found = judged(frames)
    assert finding.strength > 1.5
    assert found.start_frame == 14
    assert found.end_frame <= 17


def test_a_scene_that_turns_into_another_by_and_by_is_found(pan, other):
    share = np.clip((np.arange(T) - 9) / 14, 0, 1)[:, None, None, None]
    still, moves = np.repeat(pan[:1], T, axis=0), other
    finding, found = judged((1 - share) * still + share * moves)
    assert finding.strength > 1.2
    assert abs(found.start_frame - 10) <= 3
    brighter = still * (0.6 + 0.4 * share)
    assert judged(brighter)[0].strength < 0.8


def test_a_scene_that_turns_slowly_is_followed_back_to_where_it_began(pan, other):
    share = np.clip((np.arange(T) - 3) / 30, 0, 1)[:, None, None, None]
    _, found = judged((1 - share) * np.repeat(pan[:1], T, axis=0) + share * np.repeat(other[:1], T, axis=0))
    assert abs(found.start_frame - 4) <= 2


def test_a_scene_that_takes_many_frames_to_turn_into_another_is_found(pan, other):
    share = np.clip((np.arange(200) - 19) / 160, 0, 1)[:, None, None, None]
    finding, found = judged((1 - share) * pan[:1] + share * other[:1])
    assert finding.strength > 1.2
    assert abs(found.start_frame - 20) <= 8


def test_noise_is_found_from_first_to_last_and_where_it_is(pan):
    noise = np.random.default_rng(2).uniform(0, 255, pan.shape)
    finding, found = judged(noise)
    assert finding.score > 0.5
    assert judged(noise[:1])[0].strength > 1
    frames = pan.copy()
    frames[12:20] = noise[12:20]
    _, found = judged(frames)
    assert found.start_frame == 12
    assert found.end_frame in (19, 20)
    assert found.strength > 1.5


def test_faint_noise_as_fine_as_the_pixels_of_a_large_clip_is_noise():
    noise = np.random.default_rng(3).normal(120, 20, (6, 180, 320, 3))
    assert judged(noise)[1].strength > 2


def test_a_picture_that_falls_apart_is_found(pan):
    rng = np.random.default_rng(3)
    frames = pan.copy()
    for t in range(16, T):
        mess = cv2.resize(rng.normal(0, 50, (16, 24, 3)), (W, H), interpolation=cv2.INTER_CUBIC) + 128
        share = min(1, (t - 15) / 8)
        frames[t] = (1 - share) * frames[t] + share * mess
    finding, found = judged(frames)
    assert finding.strength > 1.2
    assert abs(found.start_frame - 17) <= 3


def test_a_part_that_becomes_another_has_its_place(pan, other):
    still = np.repeat(pan[:1], T, axis=0)
    still[20:, 20:50, 50:86] = other[0, 20:50, 50:86]
    finding, _ = judged(still)
    found = max((c for c in finding.candidates if c.box), key=lambda c: c.strength)
    x0, y0, x1, y1 = found.box
    assert (min(x1, 86) - max(x0, 50)) * (min(y1, 50) - max(y0, 20)) > 0.6 * 36 * 30
    assert found.start_frame == 20


@pytest.mark.parametrize("shape", [(1, 64, 64, 3), (2, 8, 8, 3), (40, 8, 8, 3), (12, 120, 9, 3), (9, 16, 400, 3)])
def test_whatever_comes_gets_an_answer(shape):
    for frames in (np.zeros(shape, np.uint8), np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8)):
        for one_shot in (True, False):
            assert np.isfinite(judged(frames, one_shot=one_shot)[0].strength)
