"""Light, colour and texture that alternate are found and located; motion, grain and one-way changes are none."""

import cv2
import numpy as np
import pytest

from evaluation.consistency.flicker import flicker
from evaluation.evidence.clip import gather
from evaluation.findings import ClipInput

T, H, W = 30, 64, 96


def strongest(frames):
    finding = flicker(gather(ClipInput("clip", np.clip(frames, 0, 255).round().astype(np.uint8), 24.0)))
    return max(finding.candidates, key=lambda c: c.strength)


@pytest.fixture(scope="module")
def passing():
    """A textured disc passes over a textured ground under grain, float [T, H, W, 3]."""
    rng = np.random.default_rng(1)
    ground = cv2.GaussianBlur(rng.uniform(0, 255, (H, W, 3)).astype(np.float32), (0, 0), 2) * 1.5 - 60
    y, x = np.mgrid[:H, :W]
    frames = []
    for t in range(T):
        inside = (x - 12 - 2.5 * t) ** 2 + (y - 30) ** 2 < 100
        frames.append(np.where(inside[..., None], (200, 80, 50), ground))
    return np.stack(frames) + rng.normal(0, 2, (T, H, W, 1))


ALTERNATING = np.where(np.arange(T) % 2, 1.0, -1.0)
DURING = (np.arange(T) >= 10) & (np.arange(T) < 20)


def test_flicker_of_the_whole_picture_is_found_where_it_is(passing):
    gain = 1 + 0.08 * ALTERNATING * DURING
    found = strongest(passing * gain[:, None, None, None])
    assert found.strength > 3 * strongest(passing).strength
    assert abs(found.start_frame - 10) <= 1
    assert abs(found.end_frame - 19) <= 1
    assert found.box is None
    assert "levels" in found.explanation


def test_flicker_of_a_part_is_found_in_its_place(passing):
    frames = passing.copy()
    frames[DURING, 36:60, 60:90] *= (1 + 0.12 * ALTERNATING[DURING])[:, None, None, None]
    found = strongest(frames)
    assert found.strength > 2 * strongest(passing).strength
    x0, y0, x1, y1 = found.box
    across, down = min(x1, 90) - max(x0, 60), min(y1, 60) - max(y0, 36)
    assert across * down > 0.5 * 30 * 24
    assert (x1 - x0) * (y1 - y0) < 0.5 * H * W


def test_a_thing_that_flickers_is_found_all_along_its_way(passing):
    y, x = np.mgrid[:H, :W]
    frames = passing.copy()
    for t in range(4, 26):
        disc = (x - 12 - 2.5 * t) ** 2 + (y - 30) ** 2 < 100
        frames[t][disc] *= 1 + 0.25 * ALTERNATING[t]
    found = strongest(frames)
    assert abs(found.start_frame - 4) <= 1
    assert abs(found.end_frame - 25) <= 1
    assert found.box[2] - found.box[0] > 50


def test_texture_drawn_anew_in_every_frame_is_found(passing):
    rng = np.random.default_rng(2)
    frames = passing.copy()
    for t in np.flatnonzero(DURING):
        coarse = rng.normal(0, 40, (8, 10)).astype(np.float32)
        frames[t, 20:60, 40:90] += cv2.resize(coarse, (50, 40), interpolation=cv2.INTER_CUBIC)[..., None]
    assert strongest(frames).strength > 2 * strongest(passing).strength


def test_one_frame_too_bright_is_found(passing):
    frames = passing.copy()
    frames[14] *= 1.2
    found = strongest(frames)
    assert found.strength > 2 * strongest(passing).strength
    assert (found.start_frame, found.end_frame) == (14, 14)


def test_light_that_changes_one_way_and_a_cut_are_no_flicker(passing):
    brighter = passing * np.linspace(0.8, 1.2, T)[:, None, None, None]
    other = np.where((np.arange(T) < 15)[:, None, None, None], passing, 255 - passing)
    faint = strongest(passing * (1 + 0.08 * ALTERNATING)[:, None, None, None]).strength
    for frames in (brighter, other):
        assert strongest(frames).strength < 0.5 * faint


@pytest.mark.parametrize("shape", [(1, 64, 64, 3), (3, 8, 8, 3), (40, 8, 8, 3), (12, 120, 9, 3), (9, 16, 400, 3)])
def test_whatever_comes_gets_an_answer_or_a_reason(shape):
    for frames in (np.zeros(shape, np.uint8), np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8)):
        finding = flicker(gather(ClipInput("clip", frames, 30.0)))
        assert finding.reason or np.isfinite(finding.strength)
