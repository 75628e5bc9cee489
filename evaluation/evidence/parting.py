"""Regions that are two things that touch, parted: at a neck, or between two colours where the outline has a dent."""

import cv2
import numpy as np

from evaluation.evidence.looks import regions, unlike

CONVEX = 0.96  # of its hull: a region that fills as much of it is one thing
NECKS = (0.5, 0.65, 0.8, 0.9)  # of a region's greatest depth: depths at which it may fall apart
OTHER = 0.3  # unlikeness of the looks of two that touch
DISTINCT = 4.0  # standard deviations between two colours
COMPACT = 0.85  # of its hull that a piece of one colour fills
SMALLEST = 0.15  # of a region: the least piece
KERNEL = np.ones((3, 3), np.uint8)


def apart(rgb_HWC: np.ndarray, luma_HW: np.ndarray, labels_HW: np.ndarray, least: int, most: int) -> np.ndarray:
    """Return the label map of a frame with regions parted that are of `least` pixels; `most` is its largest number."""
    parted = labels_HW.copy()
    for number in range(1, int(labels_HW.max()) + 1):
        x, y, wide, high = cv2.boundingRect((labels_HW == number).view(np.uint8))
        place = slice(y, y + high), slice(x, x + wide)
        piece = (labels_HW[place] == number).astype(np.uint8)
        area = int(piece.sum())
        if area < least or fullness(piece) > CONVEX:
            continue
        for cores in (find(piece, rgb_HWC[place]) for find in (_at_a_neck, _of_two_colours)):
            count = int(cores.max())
            if count < 2 or int(parted.max()) + count > most:
                continue
            _, nearest = cv2.distanceTransformWithLabels((cores == 0).astype(np.uint8), cv2.DIST_L2, 3)
            core = np.zeros(int(nearest.max()) + 1, np.uint8)
            core[nearest[cores > 0]] = cores[cores > 0]
            pieces = core[nearest] * piece
            found = regions(rgb_HWC[place], luma_HW[place], pieces, count)
            if found.areas.min() < SMALLEST * area or unlike(found.looks[0], found.looks[1:]).max() < OTHER:
                continue
            for other in range(2, count + 1):
                parted[place][pieces == other] = parted.max() + 1
            break
    return parted


def fullness(piece: np.ndarray) -> float:
    """Return the share of its convex hull that a mask `uint8 [h, w]` fills, in whole pixels."""
    hull = cv2.convexHull(cv2.findNonZero(piece))
    return float(np.count_nonzero(piece) / (cv2.contourArea(hull) + 0.5 * cv2.arcLength(hull, True) + 1))


def _at_a_neck(piece: np.ndarray, _: np.ndarray) -> np.ndarray:
    """Return the deep insides that a mask falls into, numbered from 1; 0 elsewhere."""
    framed = cv2.copyMakeBorder(piece, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    depth = cv2.distanceTransform(framed, cv2.DIST_L2, 3)[1:-1, 1:-1]
    deepest = depth.max()
    for neck in NECKS:
        count, cores = cv2.connectedComponents((depth > neck * deepest).astype(np.uint8))
        if count > 2:
            return np.asarray(cores.astype(np.uint8))
    return np.zeros_like(piece)


def _of_two_colours(piece: np.ndarray, rgb_HWC: np.ndarray) -> np.ndarray:
    """Return two compact pieces of distinct colours in a mask, 1 and 2; 0 elsewhere, or all over if there are none."""
    cores = np.zeros_like(piece)
    here = piece > 0
    sums, shares = (cv2.blur(x.astype(np.float32), (5, 5))[here] for x in (cv2.copyTo(rgb_HWC, piece), piece))
    pixels = sums / np.maximum(shares, 1e-3)[:, None]
    pixels = pixels - pixels.mean(axis=0)
    along = pixels @ np.linalg.eigh(pixels.T @ pixels)[1][:, -1]
    reach = float(np.ptp(along))
    if reach < 1:
        return cores
    level = np.round((along - along.min()) * (255 / reach)).astype(np.uint8)
    threshold, _ = cv2.threshold(level, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    upper = level > threshold
    if upper.all() or not upper.any():
        return cores
    above, below = along[upper], along[~upper]
    if above.mean() - below.mean() < DISTINCT * np.sqrt((above.var() + below.var()) / 2):
        return cores
    for number, side in enumerate((upper, ~upper), 1):
        mask = np.zeros_like(piece)
        mask[here] = side
        count, parts, stats, _ = cv2.connectedComponentsWithStats(cv2.morphologyEx(mask, cv2.MORPH_OPEN, KERNEL))
        if count < 2:
            return np.zeros_like(piece)
        largest = parts == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
        if largest.sum() < SMALLEST * len(along) or fullness(largest.astype(np.uint8)) < COMPACT:
            return np.zeros_like(piece)
        cores[largest] = number
    return cores
