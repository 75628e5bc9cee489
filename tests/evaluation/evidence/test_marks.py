"""Things that get another surface while they turn; the clearest steps of a series, against sums by hand."""

import cv2
import numpy as np
import pytest

from evaluation.evidence.clip import gather
from evaluation.evidence.marks import find_marks, inside, log_odds, measure, onset, peaks
from evaluation.findings import ClipInput

T, W, H, RADIUS = 36, 112, 80, 15


def film(begins: int | None) -> np.ndarray:
    """A striped disc that rolls; from a frame on, half of it is of another colour."""
    rng = np.random.default_rng(3)
    ground = cv2.GaussianBlur(rng.normal(0, 60, (H, W, 3)), (0, 0), 5) * 2 + 110
    frames = ground + rng.normal(0, 1.5, (T, H, W, 3))
    x, y = np.meshgrid(np.arange(W), np.arange(H))
    for t in range(T):
        u, v = x - 20 - 2 * t, y - 45
        turn = 2 * t / RADIUS
        along = u * np.cos(turn) + v * np.sin(turn)
        colour = np.where((np.sin(along * 0.8) > 0)[..., None], [220.0, 190, 60], [180.0, 120, 40])
        if begins is not None and t >= begins:
            across = v * np.cos(turn) - u * np.sin(turn)
            colour = np.where((across > 0)[..., None], [40.0, 40, 170], colour)
        cover = np.clip(RADIUS - np.hypot(u, v) + 0.5, 0, 1)[..., None]
        frames[t] = frames[t] * (1 - cover) + colour * cover
    return frames.clip(0, 255).astype(np.uint8)


def surest(begins: int | None) -> tuple[float, int]:
    evidence = gather(ClipInput("film", film(begins), 24.0))
    found = [(log_odds(measure(evidence, mark)), onset(evidence, mark)) for mark in find_marks(evidence)]
    return max(found, default=(-9.0, 0))


def test_mark_on_what_rolls_is_surer_than_rolling_and_found_when_it_comes() -> None:
    odds, start = surest(17)
    assert odds > surest(None)[0]
    assert abs(start - 17) <= 1


@pytest.mark.parametrize("lag", [0, 2])
def test_peaks_are_where_means_differ_most(lag: int) -> None:
    rng = np.random.default_rng(1)
    looks = rng.normal(0, 0.02, (40, 6))
    looks[22:] += 0.5
    step, t = peaks(looks, 5, lag)[0]
    assert 22 - lag <= t <= 22
    before, after = looks[t - 5 : t], looks[t + lag : t + lag + 5]
    size = np.linalg.norm(after.mean(axis=0) - before.mean(axis=0))
    spread = sum(np.sqrt(x.var(axis=0).sum()) for x in (before, after))
    assert step == pytest.approx(size**2 / (0.05 + spread))


def test_too_few_looks_have_no_step() -> None:
    assert peaks(np.zeros((3, 6)), 5, 0) == []


def test_inside_leaves_the_rim_out() -> None:
    x, y = np.meshgrid(np.arange(41), np.arange(41))
    mask = np.hypot(x - 20, y - 20) <= 20
    kept = inside(mask)
    assert (mask & ~kept).sum() > 0
    assert np.hypot(x - 20, y - 20)[kept].max() == pytest.approx(15, abs=1.5)
    assert inside(np.ones((3, 3), bool)).all()
