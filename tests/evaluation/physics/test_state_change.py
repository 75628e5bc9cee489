"""Stains in resting scenery, marks on what moves; what passes, comes to rest, or is lit otherwise changes nothing."""

import cv2
import numpy as np
import pytest

from evaluation.evidence.clip import gather
from evaluation.findings import ClipInput, Finding
from evaluation.physics.state_change import changes_of, state_change

T, W, H = 40, 96, 72


def scenery(grain: float = 1.5) -> np.ndarray:
    rng = np.random.default_rng(5)
    ground = cv2.GaussianBlur(rng.normal(0, 60, (H, W, 3)), (0, 0), 4) * 3 + 130
    return ground + rng.normal(0, grain, (T, H, W, 3))


def judged(frames: np.ndarray) -> Finding:
    return state_change(gather(ClipInput("film", frames.clip(0, 255).astype(np.uint8), 24.0)))


def disc(x: float, y: float, radius: float) -> np.ndarray:
    columns, rows = np.meshgrid(np.arange(W), np.arange(H))
    return np.clip(radius - np.hypot(columns - x, rows - y) + 0.5, 0, 1)[..., None]


@pytest.mark.parametrize("left", [0.4, 0.7])
def test_stain_is_found_when_and_where_it_comes(left: float) -> None:
    frames = scenery()
    frames[18:] *= 1 - (1 - left) * disc(60, 30, 11)
    finding = judged(frames)
    best = max(finding.candidates, key=lambda c: c.strength)
    assert best.strength > 0.7
    assert abs(best.start_frame - 18) <= 2
    assert best.box is not None
    x0, y0, x1, y1 = best.box
    assert x1 - 34 < x0 < 60 < x1
    assert y1 - 34 < y0 < 30 < y1


def test_mark_is_found_on_what_moves() -> None:
    clean, marked = scenery(), scenery()
    for t in range(T):
        for film in (clean, marked):
            mask = disc(10 + 1.8 * t, 40, 13)
            film[t] = (1 - mask) * film[t] + mask * np.array([200.0, 160, 40])
        if t >= 18:
            mask = disc(6 + 1.8 * t, 42, 6)
            marked[t] = (1 - mask) * marked[t] + mask * np.array([30.0, 40, 120])
    finding = judged(marked)
    best = max(finding.candidates, key=lambda c: c.strength)
    assert best.strength > 0.7 > 2 * (judged(clean).strength or 0)
    assert abs(best.start_frame - 18) <= 2
    assert best.box is not None
    assert best.box[0] <= 38 <= best.box[2]
    assert best.box[1] <= 42 <= best.box[3]


def test_stain_of_what_a_thing_passes_over_is_less_sure_than_one_of_nothing() -> None:
    strengths = []
    for beside in (False, True):
        film = scenery()
        if beside:
            film[:, 56:60, 30:46] = [30.0, 40, 120]
        for t in range(T):
            mask = disc(10 + 1.8 * t, 40, 13)
            film[t] = (1 - mask) * film[t] + mask * np.array([200.0, 160, 40])
            if t >= 18:
                mask = disc(6 + 1.8 * t, 44, 7)
                film[t] = (1 - mask) * film[t] + mask * np.array([30.0, 40, 120])
        strengths.append(judged(film).strength or 0)
    assert strengths[1] < strengths[0] - 0.5


def test_mark_that_comes_with_a_blow_is_less_sure_than_one_that_comes_in_flight() -> None:
    strengths = []
    for bounces in (False, True):
        film = scenery()
        for t in range(T):
            x, y = (48.0, 53 - 2.2 * abs(t - 18)) if bounces else (8 + 2.2 * t, 40.0)
            mask = disc(x, y, 12)
            film[t] = (1 - mask) * film[t] + mask * np.array([200.0, 160, 40])
            if t >= 18:
                mask = disc(x - 3, y + 2, 6)
                film[t] = (1 - mask) * film[t] + mask * np.array([30.0, 40, 120])
        strengths.append(judged(film).strength or 0)
    assert strengths[1] < strengths[0] - 0.4


def test_passing_coming_to_rest_and_light_have_causes() -> None:
    passing, resting, lit = scenery(), scenery(), scenery()
    for t in range(T):
        mask = disc(-10 + 3 * t, 40, 9)
        passing[t] = (1 - mask) * passing[t] + mask * np.array([200.0, 60, 40])
        mask = disc(min(60.0, -10 + 3 * t), 40, 9)
        resting[t] = (1 - mask) * resting[t] + mask * np.array([200.0, 60, 40])
    lit[20:] *= 0.7
    for frames in (passing, resting, lit):
        assert (judged(frames).strength or 0) < 0.6


def test_too_short_is_not_measured() -> None:
    assert judged(scenery()[:8]).score is None


def test_what_only_passes_by_is_no_step() -> None:
    frames = np.full((13, H, W, 3), 120.0)
    frames[:2, 20:40, 30:60] = 200
    assert not changes_of(frames.astype(np.float32), np.ones((H, W), bool), 1.0)
