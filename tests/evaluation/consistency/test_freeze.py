"""Stops and repeats are found and located; what rests, leaves, hides or slows down is none."""

import numpy as np
import pytest

from evaluation.consistency.freeze import freeze, liveliest, repeated
from evaluation.evidence.clip import gather
from evaluation.findings import ClipInput
from evaluation.proving.codec import compressed


def strongest(frames, prompt=None):
    finding = freeze(gather(ClipInput("clip", frames, 24.0, prompt)))
    if finding.strength is None:
        return finding, None
    return finding, max(finding.candidates, key=lambda c: c.strength)


def strength(frames, prompt=None):
    finding, best = strongest(frames, prompt)
    return best.strength if best else finding.strength or 0.0


@pytest.fixture(scope="module")
def rolling():
    """A textured disc that rolls over a textured ground, under grain, for 48 frames."""
    rng = np.random.default_rng(0)
    ground = np.kron(rng.uniform(60, 180, (16, 24, 3)), np.ones((4, 4, 1)))
    y, x = np.mgrid[:64, :96]

    def at(cx, cy=36.0, radius=9):
        inside = (x - cx) ** 2 + (y - cy) ** 2 < radius**2
        disc = np.where((np.sin(x - cx) > 0)[..., None], (220, 60, 40), (60, 40, 200))
        return np.where(inside[..., None], disc, ground)

    def draw(path, grain=1.5):
        frames = np.stack([at(*np.atleast_1d(p)) for p in path])
        noise = rng.normal(0, grain, (*frames.shape[:3], 1)) if grain else 0
        return np.clip(frames + noise, 0, 255).round().astype(np.uint8)

    return draw


PATH = 12 + 1.5 * np.arange(48)


def test_a_stop_is_found_where_it_is(rolling):
    moments = np.arange(48)
    moments[20:32] = 19
    clean = strength(rolling(PATH))
    _, found = strongest(rolling(PATH)[moments])
    assert found.strength > 4 * clean
    assert abs(found.start_frame - 20) <= 1
    assert abs(found.end_frame - 31) <= 1
    assert "frame" in found.explanation


def test_a_stop_to_the_end_and_one_under_grain_are_found(rolling):
    clean = strength(rolling(PATH))
    assert strength(rolling(PATH[np.minimum(np.arange(48), 30)], grain=0)) > 3 * clean
    assert strength(rolling(PATH[np.minimum(np.arange(48), 30)])) > 2 * clean


def test_a_loop_is_found_and_says_which_frames_it_repeats(rolling):
    order = np.arange(48)
    order[30:] = 22 + np.arange(18) % 8
    _, found = strongest(rolling(PATH)[order])
    assert found.strength > 0.6
    assert abs(found.start_frame - 30) <= 1
    assert "again" in found.explanation


def test_what_slows_down_leaves_or_hides_is_no_freeze(rolling):
    frozen = strength(rolling(PATH)[np.minimum(np.arange(48), 24)])
    slowing = 12 + 60 * (1 - np.exp(-np.arange(48) / 8))
    leaving = 40 + 3.0 * np.arange(48)
    for path in (slowing, leaving):
        assert strength(rolling(path)) < 0.6 * frozen


def test_of_clips_that_never_move_one_repeated_picture_fails_and_a_resting_camera_is_not_measured(rolling):
    still, filmed = np.repeat(rolling([48.0]), 24, axis=0), rolling(np.full(24, 48.0))
    for frames in (still, compressed(np.repeat(rolling([48.0], grain=0), 24, axis=0), 24.0, 23)):
        repeated = freeze(gather(ClipInput("clip", frames, 24.0)))
        assert repeated.score == 1.0
        assert repeated.strength > 2 * strength(rolling(np.r_[PATH[:20], np.full(28, PATH[20])]))
        assert (repeated.failures[0].start_frame, repeated.failures[0].end_frame) == (0, 23)
    finding = freeze(gather(ClipInput("clip", filmed, 24.0)))
    assert finding.score is None
    assert not finding.due


def test_a_clip_that_never_moves_is_judged_by_its_prompt_where_it_has_one(rolling):
    still = np.repeat(rolling([48.0], grain=0), 24, axis=0)
    assert freeze(gather(ClipInput("clip", still, 24.0, "A red circle rests on a grey background."))).score is None
    wanted = freeze(gather(ClipInput("clip", still, 24.0, "A red circle moves to the right on a grey background.")))
    assert wanted.score == 1.0
    assert (wanted.failures[0].start_frame, wanted.failures[0].end_frame) == (0, 23)


def test_a_standstill_in_which_even_the_grain_is_dead_is_surer_than_one_under_grain(rolling):
    moments = np.minimum(np.arange(48), 24)
    assert strength(rolling(PATH)[moments]) > 1.5 * strength(rolling(PATH[moments]))


def test_a_slow_loop_under_grain_is_found(rolling):
    order = np.arange(48)
    order[30:] = 18 + np.arange(18) % 12
    slow = rolling(30 + 0.4 * np.arange(48), grain=4.0), rolling(30 + 0.4 * order, grain=4.0)
    _, found = strongest(slow[1])
    assert found.strength > 2 * strength(slow[0])
    assert abs(found.start_frame - 30) <= 2


def test_a_loop_is_found_where_neighbouring_frames_hardly_differ(rolling):
    path = 12 + 0.12 * np.arange(100)
    path[60:] = path[30:60].tolist() + path[30:40].tolist()
    found = {}
    for looped in (False, True):
        frames = rolling(path if looped else 12 + 0.12 * np.arange(100), grain=12)
        candidate = repeated(liveliest(frames), 60.0)
        found[looped] = candidate.strength if candidate else 0.0
    assert found[True] > 1.2 > 3 * found[False]


@pytest.mark.parametrize("shape", [(1, 64, 64, 3), (2, 8, 8, 3), (40, 8, 8, 3), (600, 16, 90, 3), (12, 120, 9, 3)])
def test_whatever_comes_gets_an_answer_or_a_reason(shape):
    for frames in (np.zeros(shape, np.uint8), np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8)):
        finding = freeze(gather(ClipInput("clip", frames, 30.0)))
        assert finding.reason or np.isfinite(finding.score)
