"""The segments of every frame: connected regions that stand out from the scene behind them, or move against it."""

from typing import TYPE_CHECKING

import cv2
import numpy as np

from evaluation.evidence.uncovering import uncovered

if TYPE_CHECKING:
    from evaluation.evidence.clip import Evidence

MOST = 24  # segments of one frame, the largest
SMALLEST = 6e-4  # of the frame's pixels
FEWEST = 6  # pixels
MOVES = 0.75  # pixels a frame against the scene, from which a region is taken to move by itself


def find_segments(evidence: "Evidence") -> np.ndarray:
    """Return which segment every pixel of every frame is of, `uint8 [T, h, w]`: 0 none, 1 the largest."""
    labels = np.stack([_numbered(standing_out(evidence, t)) for t in range(len(evidence.luma))])
    if evidence.background.reliable:
        for shot in evidence.shots:
            frames = slice(shot.start, shot.end + 1)
            foreground = uncovered(evidence, shot, labels[frames])
            labels[frames] = [_numbered(_clean(mask)) for mask in foreground]
    return labels


def standing_out(evidence: "Evidence", t: int) -> np.ndarray:
    """Return which pixels of frame `t` are not the scene behind, `uint8 [h, w]`, specks left out."""
    background = evidence.background
    if not background.reliable:
        return _clean(_moving(evidence, t))
    known = background.known[t]
    return _clean(
        background.foreground[t] if known.all() else np.where(known, background.foreground[t], _moving(evidence, t))
    )


def _clean(mask: np.ndarray) -> np.ndarray:
    mask = cv2.medianBlur(mask.astype(np.uint8), 3)
    return np.asarray(cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8)))


def smallest(height: int, width: int) -> int:
    """Return the fewest pixels of a segment."""
    return max(FEWEST, round(SMALLEST * height * width))


def _moving(evidence: "Evidence", t: int) -> np.ndarray:
    """Return what moves against the scene from the frame before to this one and on to the next."""
    T, h, w = evidence.luma.shape
    moving = np.ones((h, w), bool)
    flow, to_next = evidence.flow, evidence.camera.to_next
    if t > 0:
        moving &= _against(flow.backward[t - 1], np.linalg.inv(to_next[t - 1])) > MOVES
    if t < T - 1:
        moving &= _against(flow.forward[t], to_next[t]) > MOVES
    return np.asarray(moving & (T > 1))


def _against(flow: np.ndarray, homography: np.ndarray) -> np.ndarray:
    """Return how far flow `[h, w, 2]` differs from where a homography carries the pixels, `[h, w]`."""
    h, w = flow.shape[:2]
    y, x = np.mgrid[:h, :w].astype(np.float32)
    to = homography.astype(np.float32) @ np.stack([x.ravel(), y.ravel(), np.ones(h * w, np.float32)])
    scene = (to[:2] / to[2]).reshape(2, h, w) - (x, y)
    return np.asarray(np.hypot(flow[..., 0] - scene[0], flow[..., 1] - scene[1]))


def _numbered(mask: np.ndarray) -> np.ndarray:
    """Return the connected regions of a mask, numbered by area, those that are too small or too many left out."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=4)
    order = np.argsort(-stats[1:, cv2.CC_STAT_AREA], kind="stable") + 1
    kept = [i for i in order[:MOST] if stats[i, cv2.CC_STAT_AREA] >= smallest(*mask.shape)]
    numbers = np.zeros(count, np.uint8)
    numbers[kept] = np.arange(1, len(kept) + 1)
    return np.asarray(numbers[labels])
