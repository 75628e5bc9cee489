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
AROUND = 24  # pixels about the regions of a frame that the network sees
ASKED = 16  # frames that tell whether it knows such pictures
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
    places = {t: _place(mask) for t, mask in enumerate(regions_THW) if mask.any()}
    asked = [t for t in np.unique(np.linspace(0, T - 1, ASKED).round().astype(int)).tolist() if t in places]
    told = {t: _told(seen(evidence, regions_THW, t, places[t])) for t in asked}
    if told and doubt(np.concatenate([sure.ravel() for sure, _ in told.values()])) >= DOUBTFUL:
        return None
    found = np.zeros_like(regions_THW)
    for t, place in places.items():
        sure, deep = told[t] if t in told else _told(seen(evidence, regions_THW, t, place))
        things = parted(sure, deep, least, most)
        also = np.bincount(things[regions_THW[t][place] > 0], minlength=most + 1) > 0
        also[0] = False
        found[t][place] = (np.cumsum(also) * also)[things]
    return found


def doubt(sure: np.ndarray) -> float:
    """Return the share of what may be of things of which logits, of any shape, are unsure; 1 where nothing may be."""
    possible = np.count_nonzero(sure > -UNSURE)
    return np.count_nonzero(np.abs(sure) < UNSURE) / possible if possible else 1.0


def _place(regions: np.ndarray) -> tuple[slice, slice]:
    """Return the rows and columns of regions `uint8 [h, w]` and their surroundings."""
    x, y, wide, high = cv2.boundingRect(regions)
    h, w = regions.shape
    return slice(max(0, y - AROUND), min(h, y + high + AROUND)), slice(max(0, x - AROUND), min(w, x + wide + AROUND))


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


def _told(frame: np.ndarray) -> np.ndarray:
    """Return what the network says of a frame `int8 [CHANNELS, h, w]`: logits `[2, h, w]`."""
    channels, h, w = frame.shape
    padded = np.pad(frame, ((0, 0), (0, -h % SIDES), (0, -w % SIDES)), mode="edge")
    rows, columns = padded.shape[1] // 2, padded.shape[2] // 2
    squares = padded.reshape(channels, rows, 2, columns, 2).transpose(0, 2, 4, 1, 3)
    network = _network()
    network.setInput(squares.reshape(1, 4 * channels, rows, columns) / np.float32(UNIT))
    told = network.forward().reshape(2, 2, 2, rows, columns).transpose(0, 3, 1, 4, 2)
    return np.asarray(told.reshape(2, 2 * rows, 2 * columns)[:, :h, :w])


@lru_cache(maxsize=1)
def _network() -> cv2.dnn.Net:
    # The other engine takes a fourth longer.
    return cv2.dnn.readNetFromONNX(str(NETWORK), engine=cv2.dnn.ENGINE_CLASSIC)
