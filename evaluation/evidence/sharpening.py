"""Outlines of a thing that is followed, told anew by its own colours: without what is beside it."""

from dataclasses import replace
from typing import TYPE_CHECKING

import cv2
import numpy as np

from evaluation.evidence.tracks import Track

if TYPE_CHECKING:
    from evaluation.evidence.clip import Evidence

KERNEL = np.ones((3, 3), np.uint8)
BITS = 4  # of each channel that colours are counted by
AROUND = 4  # pixels about a thing whose colours it is told from
CORE = 0.45  # of the depth of a mask, from which pixels are surely the thing's
LEAST, MOST = 0.4, 1.6  # of the pixels that a mask had: what gives another number of them is not told by colours


def sharpened(evidence: "Evidence", track: Track) -> Track:
    """Return a track with masks, boxes and areas of those pixels that have the colours of its core.

    Colours of the core and of what surrounds it are counted over all its sights, and each pixel is the likelier of the
    two. Where they do not tell them apart, the track is returned as it is.
    """
    h, w = evidence.luma.shape[1:]
    places, shapes, codes, inner, outer, near = [], [], [], [], [], []
    for t, box, mask in zip(track.frames, track.boxes, track.masks, strict=True):
        left, top = max(0, box[0] - AROUND), max(0, box[1] - AROUND)
        right, bottom = min(w, box[2] + AROUND), min(h, box[3] + AROUND)
        shape = np.zeros((bottom - top, right - left), np.uint8)
        shape[box[1] - top : box[3] - top, box[0] - left : box[2] - left] = mask
        depth = cv2.distanceTransform(shape, cv2.DIST_L2, 3)
        wide = cv2.dilate(shape, KERNEL)
        rgb = (evidence.rgb[t, top:bottom, left:right] >> (8 - BITS)).astype(np.uint16)
        code = (rgb[..., 0] << 2 * BITS) | (rgb[..., 1] << BITS) | rgb[..., 2]
        places.append((left, top))
        shapes.append(shape.shape)
        codes.append(code.ravel())
        inner.append((depth > CORE * depth.max()).ravel())
        outer.append((wide == 0).ravel())
        near.append(wide.ravel() > 0)
    code, core, off = np.concatenate(codes), np.concatenate(inner), np.concatenate(outer)
    own, other = (_densities(code[chosen]) for chosen in (core, off))
    likely = own[code] > other[code]
    ends = np.cumsum([len(c) for c in codes])[:-1]
    masks, boxes, areas = [], [], []
    for i, (shape, told) in enumerate(zip(shapes, np.split(likely & np.concatenate(near), ends), strict=True)):
        mask = _largest(told.reshape(shape).astype(np.uint8))
        x, y, across, down = cv2.boundingRect(mask)
        area = cv2.countNonZero(mask)
        if not LEAST * track.areas[i] <= area <= MOST * track.areas[i]:
            return track
        left, top = places[i]
        masks.append(mask[y : y + down, x : x + across] > 0)
        boxes.append((left + x, top + y, left + x + across, top + y + down))
        areas.append(float(area))
    return replace(track, masks=tuple(masks), boxes=np.array(boxes), areas=np.array(areas))


def _densities(codes: np.ndarray) -> np.ndarray:
    """Return how frequent colours are among some, each spread over its neighbours, `[2 ** (3 BITS)]`."""
    cube = np.bincount(codes, minlength=1 << 3 * BITS).reshape(3 * (1 << BITS,)).astype(float)
    for axis in range(3):
        padded = np.concatenate([cube.take([0], axis), cube, cube.take([-1], axis)], axis)
        n = cube.shape[axis]
        cube = (padded.take(range(n), axis) + 2 * cube + padded.take(range(2, n + 2), axis)) / 4
    return np.asarray(cube.ravel() / max(len(codes), 1) + 1e-6)


def _largest(mask: np.ndarray) -> np.ndarray:
    smooth = cv2.morphologyEx(cv2.medianBlur(mask, 3), cv2.MORPH_CLOSE, KERNEL)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(smooth, connectivity=8)
    if count < 2:
        return np.asarray(smooth)
    return np.asarray(labels == 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA])), np.uint8)
