"""The segments of every frame: the things that are not the scene behind, each on its own.

Three things tell the regions, whichever can be known: they differ from the background's picture; they stand out from
what surrounds them (an outline closed all around, and what is inside is no large even surface); they move by
themselves. What rests all the time only stands out; what looks like its surroundings only differs or moves. A network
that sees the regions tells the things (`instances.py`). Where it is unsure, as on most real footage, the regions
themselves are the things, parted where they are plainly two.
"""

from typing import TYPE_CHECKING

import cv2
import numpy as np

from evaluation.evidence.background import LEVELS
from evaluation.evidence.flow import carried_along, pixel_grid
from evaluation.evidence.instances import find_instances
from evaluation.evidence.medians import median_level
from evaluation.evidence.parting import apart, fullness
from evaluation.evidence.uncovering import Outlines, contrast, scene_contrast, strongest, uncovered

if TYPE_CHECKING:
    from evaluation.evidence.clip import Evidence

MOST = 16  # segments of one frame, the largest
PARTED = 4  # times the smallest segment: the least that is parted
SMALLEST = 6e-4  # of the frame's pixels
FEWEST = 6  # pixels
MOVES = 0.75  # pixels a frame against the scene, from which a region is taken to move by itself
STEP = 10.0  # levels, beside two times the noise, and twice the frame's usual contrast: an outline's least contrast
SURFACE = 0.1  # of the frame: an even region as large is a surface of the scene
ALONG_EDGE = 0.1  # of the frame's circumference: so is one that touches as much of it
NARROW = 0.06  # of the shorter side: what is narrower does not stand out as a thing
LARGEST = 0.15  # of the frame that a thing takes
SOLID = 0.55  # of its convex hull that a thing fills
CLUTTER = 0.35  # of the frame: where more stands out, nothing does
DARKEST, HUE = 0.4, 0.07  # of the scene's light: what a shadow leaves, and how differently of its colours
MOSTLY = 0.5  # of a region: what is left without its shadow
WIDER = 5  # pixels: side of the surroundings that are searched for a pixel of the scene where the camera moves
PART = 0.6  # of a region that differs: what stands out in it and is less is a part of a thing
KERNEL = np.ones((3, 3), np.uint8)


def find_segments(evidence: "Evidence") -> tuple[np.ndarray, bool]:
    """Return which segment every pixel of every frame is of, `uint8 [T, h, w]`: 0 none; and whether outlines are meant.

    Where neither the background is known nor outlines are closed, segments are told by motion alone, roughly.
    """
    if evidence.backends.segments:
        from evaluation.backends import segments  # brings in torch

        return segments.find_segments(evidence)
    regions, outlined = find_regions(evidence)
    least = smallest(*evidence.luma.shape[1:])
    if (things := find_instances(evidence, regions, least, MOST)) is not None:
        return things, outlined
    for t, (rgb, luma) in enumerate(zip(evidence.rgb, evidence.luma, strict=True)):
        regions[t] = apart(rgb, luma, regions[t], PARTED * least, 2 * MOST)
    return regions, outlined


def find_regions(evidence: "Evidence") -> tuple[np.ndarray, bool]:
    """Return which region every pixel is of, `uint8 [T, h, w]`, 0 none; and whether outlines are meant."""
    T = len(evidence.luma)
    steps = np.stack([contrast(frame) for frame in evidence.rgb])
    standing = np.stack([_standing_out(frame, evidence.noise) for frame in steps])
    clear = (standing > 0).mean(axis=(1, 2)) < CLUTTER
    standing[~clear] = 0
    if not evidence.background.reliable:
        if clear.mean() > 0.5:
            return np.stack([_numbered(mask > 0) for mask in standing]), True
        return np.stack([_numbered(_clean(_moving(evidence, t))) for t in range(T)]), False
    labels = np.stack([_numbered(_clean(_differing(evidence, t))) for t in range(T)])
    things = np.stack([_whole(mask) for mask in standing])
    for shot in evidence.shots:
        frames = slice(shot.start, shot.end + 1)
        outlines = Outlines(steps[frames], scene_contrast(evidence, shot))
        parted = [_parted(outlines, t, labels[shot.start + t], things[shot.start + t]) for t in range(len(shot))]
        foreground = uncovered(evidence, shot, np.stack([_numbered(rest) for rest, _ in parted]), outlines)
        labels[frames] = [
            _together(_numbered(_clean(mask & (cv2.dilate(kept, KERNEL) == 0))), kept)
            for mask, (_, kept) in zip(foreground, parted, strict=True)
        ]
    return labels, True


def smallest(height: int, width: int) -> int:
    """Return the fewest pixels of a segment."""
    return max(FEWEST, round(SMALLEST * height * width))


def _standing_out(steps: np.ndarray, noise: float) -> np.ndarray:
    """Return what is within closed outlines on even surfaces of a frame of a contrast, both `uint8 [h, w]`."""
    h, w = steps.shape
    flat = (steps < max(STEP + 2 * noise, 2 * median_level(steps))).astype(np.uint8)
    count, areas = cv2.connectedComponents(flat, connectivity=4)
    edge = np.concatenate([areas[0], areas[-1], areas[1:-1, 0], areas[1:-1, -1]])
    pixels, along = (np.bincount(of.ravel(), minlength=count) for of in (np.asarray(areas), edge))
    surface = (pixels >= SURFACE * h * w) | (along >= ALONG_EDGE * 2 * (h + w))
    surface[0] = False
    # Contrast reaches two pixels over an outline to both sides.
    inside = 1 - cv2.dilate(surface.astype(np.uint8).take(areas), KERNEL, iterations=2)
    side = max(3, round(NARROW * min(h, w)) | 1)
    return np.asarray(
        cv2.morphologyEx(inside, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)))
    )


def _whole(mask: np.ndarray) -> np.ndarray:
    """Return the regions of a mask that may be things, wholly in the frame, numbered from 1."""
    h, w = mask.shape
    found = np.zeros((h, w), np.uint8)
    left, top, across, down = cv2.boundingRect(mask)
    if not across:
        return found
    place = slice(top, top + down), slice(left, left + across)
    count, areas, stats, _ = cv2.connectedComponentsWithStats(mask[place], connectivity=4)
    numbers = np.zeros(count, np.uint8)
    for region in range(1, count):
        x, y, wide, high, area = stats[region]
        margins = left + x, top + y, w - left - x - wide, h - top - y - high
        if not smallest(h, w) <= area <= LARGEST * h * w or min(margins) < 1:
            continue
        piece = (areas[y : y + high, x : x + wide] == region).astype(np.uint8)
        if fullness(piece) >= SOLID and numbers.max() < MOST // 2:
            numbers[region] = numbers.max() + 1
    found[place] = numbers[areas]
    return found


def _parted(outlines: Outlines, t: int, labels: np.ndarray, things: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what of the differing regions is left of things that stand out, and the things that are kept.

    A thing is not kept where it is a part of a region that differs: unless the rest of that is a hole in the scene.
    """
    rest = ((labels > 0) & (cv2.dilate(things, KERNEL) == 0)).astype(np.uint8)
    kept = things.copy()
    count = int(labels.max()) + 1
    pairs = np.bincount(things.ravel().astype(int) * count + labels.ravel(), minlength=(int(things.max()) + 1) * count)
    pairs = pairs.reshape(-1, count)
    areas = pairs.sum(axis=0)
    for thing in range(1, len(pairs)):
        region = int(pairs[thing, 1:].argmax()) + 1 if count > 1 else 0
        if not region or not pairs[thing, region] or pairs[1:, region].sum() >= PART * areas[region]:
            continue
        left = rest.astype(bool) & (labels == region)
        if not outlines.is_hole(t, left):
            kept[things == thing] = 0
            rest[labels == region] = 1
    return rest, kept


def _together(labels: np.ndarray, things: np.ndarray) -> np.ndarray:
    """Return two label maps as one, the second's numbers after the first's."""
    kept = np.zeros(256, np.uint8)
    numbers = np.unique(things[things > 0])
    kept[numbers] = np.arange(1, len(numbers) + 1) + int(labels.max())
    return np.where(things > 0, kept[things], labels)


def _differing(evidence: "Evidence", t: int) -> np.ndarray:
    """Return which pixels of frame `t` are not the background, or move where that is not known."""
    known, foreground = evidence.background.known[t], evidence.background.foreground[t]
    if foreground.any() and (evidence.camera.moves or not evidence.camera.reliable.all()):
        around, scene = np.ones((WIDER, WIDER), np.uint8), evidence.background.rgb[t]
        frame = evidence.rgb[t].astype(np.float32)
        beyond = cv2.max(cv2.subtract(frame, cv2.dilate(scene, around)), cv2.subtract(cv2.erode(scene, around), frame))
        foreground = foreground & (strongest(beyond) > LEVELS)
    foreground = _unshaded(foreground, evidence.rgb[t], evidence.background.rgb[t])
    return foreground if known.all() else np.where(known, foreground, _moving(evidence, t))


def _unshaded(foreground: np.ndarray, frame: np.ndarray, scene: np.ndarray) -> np.ndarray:
    """Return a foreground without shadows, the scene's own colours, darker; regions of little else are kept."""
    x, y, wide, high = cv2.boundingRect(foreground.view(np.uint8))
    if not wide:
        return foreground
    place = slice(y, y + high), slice(x, x + wide)
    ratio = cv2.divide(frame[place].astype(np.float32) + 4, scene[place] + 4)
    usual = cv2.transform(ratio, np.full((1, 3), 1 / 3, np.float32))
    shaded = (strongest(cv2.absdiff(ratio, cv2.merge([usual] * 3))) < HUE) & (usual > DARKEST) & (usual < 1)
    there = foreground[place]
    count, labels = cv2.connectedComponents(there.astype(np.uint8), connectivity=4)
    pixels = np.maximum(np.bincount(labels.ravel(), minlength=count), 1)
    left = np.bincount(labels[there & ~shaded], minlength=count) / pixels
    unshaded = np.zeros_like(foreground)
    unshaded[place] = there & ~(shaded & (left > MOSTLY)[labels])
    return unshaded


def _clean(mask: np.ndarray) -> np.ndarray:
    mask = cv2.medianBlur(mask.astype(np.uint8), 3)
    return np.asarray(cv2.morphologyEx(mask, cv2.MORPH_CLOSE, KERNEL))


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
    grid = pixel_grid(*flow.shape[:2])
    x, y = cv2.split(flow - (carried_along(homography, grid) - grid))
    return np.asarray(cv2.magnitude(x, y))


def _numbered(mask: np.ndarray) -> np.ndarray:
    """Return the connected regions of a mask, numbered by area, those that are too small or too many left out."""
    found = np.zeros(mask.shape, np.uint8)
    x, y, wide, high = cv2.boundingRect(mask.astype(np.uint8))
    if not wide:
        return found
    place = slice(y, y + high), slice(x, x + wide)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask[place].astype(np.uint8), connectivity=4)
    order = np.argsort(-stats[1:, cv2.CC_STAT_AREA], kind="stable") + 1
    kept = [i for i in order[:MOST] if stats[i, cv2.CC_STAT_AREA] >= smallest(*mask.shape)]
    numbers = np.zeros(count, np.uint8)
    numbers[kept] = np.arange(1, len(kept) + 1)
    found[place] = numbers[labels]
    return found
