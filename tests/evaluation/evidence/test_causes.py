"""A disc changes: a cause comes to it, or hits it, just then; what was there before, or comes later, is none."""

import cv2
import numpy as np
import pytest

from evaluation.evidence.causes import EXCUSED, LIKELY, has_turned, is_marked, unexcused
from evaluation.evidence.clip import Evidence, gather
from evaluation.evidence.marks import Mark, find_marks, log_odds, measure
from evaluation.findings import ClipInput

T, W, H, COMES = 40, 96, 72, 18
INK, COLOUR = np.array([30.0, 40, 120]), np.array([200.0, 160, 40])


def film(places: np.ndarray, *, spilt: tuple[int, int, int, int] | None = None) -> Evidence:
    """Draw a disc at places `[T, 2]` that has a mark of ink from a frame on, and ink within rows and columns."""
    rng = np.random.default_rng(5)
    ground = cv2.GaussianBlur(rng.normal(0, 60, (H, W, 3)), (0, 0), 4) * 3 + 130
    frames = ground + rng.normal(0, 1.5, (T, H, W, 3))
    if spilt:
        frames[:, spilt[0] : spilt[1], spilt[2] : spilt[3]] = INK
    x, y = np.meshgrid(np.arange(W), np.arange(H))
    for t, (across, down) in enumerate(places):
        for dx, dy, radius, colour in ((0, 0, 12, COLOUR), (-3, 2, 6, INK))[: 1 + (t >= COMES)]:
            cover = np.clip(radius - np.hypot(x - across - dx, y - down - dy) + 0.5, 0, 1)[..., None]
            frames[t] = (1 - cover) * frames[t] + cover * colour
    return gather(ClipInput("film", frames.clip(0, 255).astype(np.uint8), 24.0))


def surest(evidence: Evidence) -> Mark:
    return max(find_marks(evidence), key=lambda mark: log_odds(measure(evidence, mark)))


@pytest.mark.parametrize(("bounce", "caused"), [(COMES, True), (COMES + 6, False), (COMES - 7, False)])
def test_blow_is_a_cause_just_as_the_change_begins(bounce: int, caused: bool) -> None:
    heights = 53 - 2.2 * np.abs(np.arange(T) - bounce)
    evidence = film(np.stack([np.full(T, 48.0), heights], axis=1))
    assert is_marked(evidence, surest(evidence)) is caused


@pytest.mark.parametrize("comes", [True, False])
def test_ink_stains_what_comes_to_it_and_not_what_lies_there(comes: bool) -> None:
    x = 8 + 2.2 * np.arange(T) if comes else np.full(T, 48.0)
    evidence = film(np.stack([x, np.full(T, 40.0)], axis=1), spilt=(56, 60, 38, 54))
    assert is_marked(evidence, surest(evidence)) is comes
    assert has_turned(evidence, evidence.turned[0]) is comes


def test_cause_is_looked_for_only_of_what_is_likely() -> None:
    def fails() -> bool:
        raise AssertionError

    assert unexcused(LIKELY - 1, fails) == LIKELY - 1
    assert unexcused(LIKELY + 1, lambda: True) == LIKELY + 1 - EXCUSED
    assert unexcused(LIKELY + 1, lambda: False) == LIKELY + 1
