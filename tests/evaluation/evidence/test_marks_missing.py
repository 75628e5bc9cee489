"""What stained one thing should stain the next: where it does nothing is missing, where it does not all is."""

import cv2
import numpy as np

from evaluation.evidence.clip import Evidence, gather
from evaluation.evidence.marks import find_marks
from evaluation.evidence.marks_missing import Missing, find_missing
from evaluation.findings import ClipInput
from evaluation.physics.state_change import state_change

T, W, H = 56, 112, 80
INK = np.array([30.0, 40, 160])
COMES, LATER = 16, 20  # frame in which the first thing is stained, and frames after which the second is there


def film(*, second_stained: bool) -> Evidence:
    """Two discs that roll over a puddle one after the other."""
    rng = np.random.default_rng(5)
    frames = cv2.GaussianBlur(rng.normal(0, 60, (H, W, 3)), (0, 0), 4) * 2 + 130 + rng.normal(0, 1, (T, H, W, 3))
    frames[:, 57:61, 42:56] = INK
    for t in range(T):
        for start, colour, stains in ((0, [200.0, 160, 40], True), (LATER, [220.0, 220, 210], second_stained)):
            x = 4 + 2.2 * (t - start)
            _put(frames[t], x, 47, 10, np.array(colour))
            if stains and t - start >= COMES:
                _put(frames[t], x - 3, 45, 5, INK)
    return gather(ClipInput("film", frames.clip(0, 255).astype(np.uint8), 24.0))


def _put(frame: np.ndarray, x: float, y: float, radius: float, colour: np.ndarray) -> None:
    columns, rows = np.meshgrid(np.arange(W), np.arange(H))
    mask = np.clip(radius - np.hypot(columns - x, rows - y) + 0.5, 0, 1)[..., None]
    frame[:] = (1 - mask) * frame + mask * colour


def missing_in(evidence: Evidence) -> list[Missing]:
    return [missing for mark in find_marks(evidence) for missing in find_missing(evidence, mark)]


def test_what_is_struck_as_hard_and_stays_whole_lacks_the_change() -> None:
    """Two discs fall on the floor; the first gets another inside by it."""
    found = {}
    for breaks in (False, True):
        rng = np.random.default_rng(5)
        frames = cv2.GaussianBlur(rng.normal(0, 60, (H, W, 3)), (0, 0), 4) * 2 + 130 + rng.normal(0, 1, (T, H, W, 3))
        for t in range(T):
            for x, first, colour, whole in ((30, 14, [200.0, 160, 40], False), (80, 32, [220.0, 90, 210], not breaks)):
                y = 60 - 2.6 * abs(t - first) * (1 if t < first else 0.5)
                _put(frames[t], x, y, 10, np.array(colour))
                if not whole and t >= first:
                    _put(frames[t], x, y, 6, INK)
        found[breaks] = missing_in(gather(ClipInput("film", frames.clip(0, 255).astype(np.uint8), 24.0)))
    most = max(found[False], key=lambda missing: missing.share)
    assert most.share > 0.8
    assert abs(most.start - 32) <= 2
    assert most.box[0] < 80 < most.box[2]
    assert all(missing.share < 0.4 for missing in found[True])


def test_stain_is_missing_on_what_passes_clean_and_not_on_what_is_stained() -> None:
    clean, stained = film(second_stained=False), film(second_stained=True)
    most = max(missing_in(clean), key=lambda missing: missing.share)
    assert most.share > 0.7
    assert abs(most.start - COMES - LATER) <= 2
    x0, y0, x1, y1 = most.box
    assert x0 < 4 + 2.2 * COMES < x1
    assert y0 < 47 < y1
    assert all(missing.share < 0.4 for missing in missing_in(stained))
    strengths = [state_change(evidence).strength or 0 for evidence in (clean, stained)]
    assert strengths[0] > strengths[1]
