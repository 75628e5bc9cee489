"""The things in every frame, each a segment of its own, told by a small network.

It sees a frame, how that differs from the background, how its pixels move against the camera, and what stands out or
differs; it says of every pixel how surely it is of a thing, and how deep in what is seen of it: 0 at its outline, 1
where it is deepest. Things that touch or cross are parted between their depths (Bai and Urtasun, "Deep watershed
transform for instance segmentation", arXiv:1611.08303). `benchmarks.fit_segments` fits it to made scenes.
"""

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from evaluation.evidence.flow import carried_along, pixel_grid

if TYPE_CHECKING:
    from evaluation.evidence.clip import Evidence

NETWORK = Path(__file__).with_name("instances.onnx")
CHANNELS = 10
MOTION = 16.0  # steps of a channel in a pixel a frame
UNIT = 48.0  # steps of a channel that are 1 to the network
SIDES = 8  # pixels, of which the network takes multiples
SMALLEST = 16  # pixels: on a smaller side the network sees nothing
AROUND = 12  # pixels about all regions of some frames that the network sees
BATCH = 16  # frames at once
SURE, DEEP = 0.0, 0.0  # logits from which a pixel is of a thing, and of its core
UNSURE = 2.0  # logits on both sides of 0 with which a pixel may be of a thing or not
DOUBTFUL = 0.65  # of what may be of things, of which it is unsure, that is much
SPECK = 6  # cores have a sixth of the least segment's pixels


def find_instances(evidence: "Evidence", regions_THW: np.ndarray, least: int, most: int) -> np.ndarray | None:
    """Return which thing every pixel is of, `uint8 [T, h, w]`, 0 none, numbered from the largest in every frame.

    None where of much that may be of things in some frames the network is unsure, as on footage that is unlike what it
    was fitted to.

    `regions_THW` are those that differ or stand out; a thing has some of their pixels. It has `least` pixels, and a
    frame the `most` largest.
    """
    T, h, w = regions_THW.shape
    if min(h, w) < SMALLEST:
        return None
    some = np.unique(np.linspace(0, T - 1, BATCH).round().astype(int))
    rest = np.setdiff1d(np.arange(T), some)
    found = np.zeros_like(regions_THW)
    for frames in [some, *(rest[start : start + BATCH] for start in range(0, len(rest), BATCH))]:
        rows, columns = _place(regions_THW[frames].max(axis=0) > 0)
        if rows.start == rows.stop:
            continue
        told = _told(np.stack([seen(evidence, regions_THW, t, (rows, columns)) for t in frames]))
        if frames is some and doubt(told) >= DOUBTFUL:
            return None
        for t, (sure, deep) in zip(frames, told, strict=True):
            things = parted(sure, deep, least, most)
            also = np.bincount(things[regions_THW[t, rows, columns] > 0], minlength=most + 1) > 0
            also[0] = False
            found[t, rows, columns] = (np.cumsum(also) * also)[things]
    return found


def doubt(told: np.ndarray) -> float:
    """Return the share of what may be of things of which logits `[n, 2, h, w]` are unsure, 1 where nothing may be."""
    possible = int((told[:, 0] > -UNSURE).sum())
    return int((np.abs(told[:, 0]) < UNSURE).sum()) / possible if possible else 1.0


def _place(mask: np.ndarray) -> tuple[slice, slice]:
    """Return the rows and columns of a mask `bool [h, w]` and its surroundings; empty if it is."""
    x, y, wide, high = cv2.boundingRect(mask.astype(np.uint8))
    margin = AROUND if wide else 0
    h, w = mask.shape
    return slice(max(0, y - margin), min(h, y + high + margin)), slice(max(0, x - margin), min(w, x + wide + margin))


def seen(
    evidence: "Evidence", regions_THW: np.ndarray, t: int, place: tuple[slice, slice] = (slice(None), slice(None))
) -> np.ndarray:
    """Return what the network sees of a frame, or of a place in it, `int8 [CHANNELS, h, w]`.

    Red, green and blue; their differences from the background; motion right and down against the camera, to the next
    frame; whether a pixel is of a region; whether the background is known.
    """
    frame, background = np.array(cv2.split(evidence.rgb[t][place].astype(np.float32))), evidence.background
    channels = np.zeros((CHANNELS, *frame.shape[1:]), np.float32)
    channels[:3] = frame - 128
    if background.reliable:
        channels[3:6] = (frame - background.rgb[t][place].transpose(2, 0, 1)) * background.known[t][place]
        channels[9] = 127
    channels[6:8] = MOTION * _motion(evidence, t)[place].transpose(2, 0, 1)
    channels[8] = 127 * (regions_THW[t][place] > 0)
    return np.asarray(np.rint(channels.clip(-127, 127)), np.int8)


def parted(sure: np.ndarray, deep: np.ndarray, least: int, most: int) -> np.ndarray:
    """Return which thing every pixel is of by what the network says of it, logits `[h, w]`."""
    there = cv2.medianBlur((sure > SURE).astype(np.uint8), 3)
    count, regions, boxes, _ = cv2.connectedComponentsWithStats(there, connectivity=4)
    within = there * (deep > DEEP).astype(np.uint8)
    cored, cores = cv2.connectedComponents(within, connectivity=4)
    cores = np.where(np.bincount(np.asarray(cores).ravel()) * SPECK >= least, np.arange(cored), 0)[cores]
    pieces: list[tuple[tuple[slice, slice], np.ndarray]] = []
    for region in range(1, count):
        x, y, wide, high, area = boxes[region]
        if area < least:
            continue
        place = slice(y, y + high), slice(x, x + wide)
        whole = regions[place] == region
        mine = cores[place] * whole
        several = np.unique(mine[mine > 0])
        if len(several) < 2:
            pieces.append((place, whole))
            continue
        _, nearest = cv2.distanceTransformWithLabels((mine == 0).astype(np.uint8), cv2.DIST_L2, 5)
        owner = np.zeros(int(nearest.max()) + 1, mine.dtype)
        owner[nearest[mine > 0]] = mine[mine > 0]
        pieces += [(place, whole & (owner[nearest] == core)) for core in several]
    found = np.zeros(there.shape, np.uint8)
    large = sorted((piece for piece in pieces if piece[1].sum() >= least), key=lambda piece: -int(piece[1].sum()))
    for number, (place, piece) in enumerate(large[:most], 1):
        found[place][piece] = number
    return found


def _motion(evidence: "Evidence", t: int) -> np.ndarray:
    """Return the motion of pixels against the camera, `[h, w, 2]`: to the next frame, or to the last."""
    grid = pixel_grid(*evidence.luma.shape[1:])
    flow, to_next = evidence.flow, evidence.camera.to_next
    if t < len(flow.forward):
        return np.asarray(flow.forward[t] - carried_along(to_next[t], grid) + grid)
    if t:
        return np.asarray(carried_along(np.linalg.inv(to_next[t - 1]), grid) - grid - flow.backward[t - 1])
    return np.zeros_like(grid)


def _told(frames: np.ndarray) -> np.ndarray:
    """Return what the network says of frames `int8 [n, CHANNELS, h, w]`: logits `[n, 2, h, w]`."""
    n, channels, h, w = frames.shape
    padded = np.pad(frames, ((0, 0), (0, 0), (0, -h % SIDES), (0, -w % SIDES)), mode="edge")
    rows, columns = padded.shape[2] // 2, padded.shape[3] // 2
    squares = padded.reshape(n, channels, rows, 2, columns, 2).transpose(0, 1, 3, 5, 2, 4)
    network = _network()
    network.setInput(squares.reshape(n, 4 * channels, rows, columns) / np.float32(UNIT))
    told = network.forward().reshape(n, 2, 2, 2, rows, columns).transpose(0, 1, 4, 2, 5, 3)
    return np.asarray(told.reshape(n, 2, 2 * rows, 2 * columns)[..., :h, :w])


@lru_cache(maxsize=1)
def _network() -> cv2.dnn.Net:
    # The other engine takes a fourth longer.
    return cv2.dnn.readNetFromONNX(str(NETWORK), engine=cv2.dnn.ENGINE_CLASSIC)
