"""The segments of every frame by SAM 2 (Ravi et al. 2024): whatever it holds for one thing and that is no surface.

Each frame is asked about at a grid of points, as its authors' automatic masks are made (their limits, too). A mask that
runs along the frame's edge, or is most of the frame, is the scene; one that lies in a larger one is a part of a thing.
"""

from functools import lru_cache
from typing import TYPE_CHECKING

import cv2
import numpy as np

from evaluation.evidence.segments import ALONG_EDGE, MOST, MOSTLY, smallest
from kinora.models.hf_masks import Masks

if TYPE_CHECKING:
    from evaluation.evidence.clip import Evidence

GRID = 16  # points along each side
SURE, STABLE = 0.8, 0.9  # least expected overlap, and least stability, of a mask: about those of its authors
MOST_OF_ALL = 0.5  # of the frame: a larger mask is the scene


def find_segments(evidence: "Evidence") -> tuple[np.ndarray, bool]:
    """Return which segment every pixel of every frame is of; see `evidence.segments.find_segments`.

    Raises:
        KinoraError: if the network of `backends.segments` cannot be had.
    """
    network = _network(evidence.backends.segments)
    steps = (np.arange(GRID) + 0.5) / GRID
    points = np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)
    height, width = evidence.luma.shape[1:]
    labels = []
    for frame in evidence.clip.frames:
        logits, expected, stable = network(frame, points)
        good = logits[(expected >= SURE) & (stable >= STABLE)]
        masks = np.array([cv2.resize(mask, (width, height)) > 0 for mask in good], bool)
        labels.append(things(masks.reshape(-1, height, width)))
    return np.stack(labels), True


def things(masks: np.ndarray) -> np.ndarray:
    """Return a map of the masks `bool [n, h, w]` that are whole things, numbered from the largest, `uint8 [h, w]`."""
    h, w = masks.shape[1:]
    labels = np.zeros((h, w), np.uint8)
    wholes = [_largest_piece(mask) for mask in masks]
    for mask in sorted(wholes, key=lambda mask: -int(mask.sum())):
        area = int(mask.sum())
        along = mask[0].sum() + mask[-1].sum() + mask[1:-1, 0].sum() + mask[1:-1, -1].sum()
        if area > MOST_OF_ALL * h * w or along >= ALONG_EDGE * 2 * (h + w):
            continue
        if area < smallest(h, w) or labels.max() == MOST:
            break
        if (labels[mask] > 0).mean() < MOSTLY:
            labels[mask & (labels == 0)] = labels.max() + 1
    return labels


def _largest_piece(mask: np.ndarray) -> np.ndarray:
    count, pieces, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    if count == 1:
        return mask
    return np.asarray(pieces == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax()))


@lru_cache(1)
def _network(source: str) -> Masks:
    return Masks(source)
