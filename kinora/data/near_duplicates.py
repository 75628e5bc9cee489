"""Near duplicates over a whole set: re-encoded, resized, mirrored and trimmed copies, found by how pictures change.

A clip's fingerprint is a few snapshots a second, each the luminance of 8x8 cells of the picture, one byte a cell, in
the eight words `uint64` of a row. An image has four, one a quarter of the picture.

S is the number of all snapshots, N that of clips. "Earlier" is by the name of the source, then by start.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from kinora.data.image_copies import image_copies
from kinora.data.video_copies import CELLS, Ints, Snapshots, video_copies

SNAPSHOTS_PER_S = 8.0  # at most; fewer where the clip has fewer frames
QUARTERS = 4  # rows of an image's fingerprint
COPIED = (
    0.45  # of a clip, in snapshots, that clips of another source hold: half of it, as exactly as snapshots can tell
)


@dataclass(frozen=True)
class Duplicates:
    """What near duplicates a set has. Clips go by their place in it.

    `copy_of`: `int64 [N]`, for each clip an earlier clip of another source that it is a copy of; -1 where there is
    none. At least half of a copy is held by clips of that source that are no copies themselves.
    `group`: `int64 [N]`, the same number for all clips of sources that share any content, and for no others; the
    numbers are 0, 1, 2, ... in the order of each group's first source.
    """

    copy_of: Ints
    group: Ints


def fingerprint(frames: np.ndarray, fps: float) -> npt.NDArray[np.uint64]:
    """Return the fingerprint `uint64 [S, 8]` of a clip's frames `uint8 [T, H, W, 3]`, or of grey ones `[T, H, W]`.

    S is the number of snapshots, every `snapshot_step(fps)`-th frame; 4 for an image, whose `fps` is 0.
    """
    if len(frames) == 1:
        cells = _cells(frames[0], 2 * CELLS).reshape(2, CELLS, 2, CELLS).swapaxes(1, 2).reshape(QUARTERS, CELLS, CELLS)
    else:
        cells = np.stack([_cells(frame, CELLS) for frame in frames[:: snapshot_step(fps)]])
    return np.ascontiguousarray(cells).view(np.uint64).reshape(len(cells), CELLS)


def _cells(frame: np.ndarray, cells: int) -> npt.NDArray[np.uint8]:
    """Return the luminance of `cells` x `cells` parts of a frame."""
    luma = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) if frame.ndim == 3 else frame
    return np.asarray(cv2.resize(luma, (cells, cells), interpolation=cv2.INTER_AREA))


def snapshot_step(fps: float) -> int:
    """Return how many frames lie between two snapshots."""
    return max(1, round(fps / SNAPSHOTS_PER_S))


def near_duplicates(
    fingerprints: npt.NDArray[np.uint64],
    snapshots: Sequence[int] | Ints,
    sources: Sequence[str],
    starts_s: Sequence[float] | npt.NDArray[np.float64],
    fps: Sequence[float] | npt.NDArray[np.float64],
) -> Duplicates:
    """Find the copies among N clips of different sources.

    Two clips of one source are no copies of each other, and neither are different moments of one fixed camera, unless
    nothing moves in them. The result does not depend on the order of the clips.

    Args:
        fingerprints: those of all clips, one after the other, `uint64 [S, 8]`; may be mapped from a file.
        snapshots: rows of each clip's fingerprint.
        sources: the input that each clip was made from.
        starts_s: where in it the clip starts, in seconds.
        fps: frames a second; 0 for an image.
    """
    lengths, starts, rates = np.asarray(snapshots, np.int64), np.asarray(starts_s, np.float64), np.asarray(fps)
    if not len(lengths):
        return Duplicates(np.zeros(0, np.int64), np.zeros(0, np.int64))
    numbers = np.unique(np.asarray(sources, object), return_inverse=True)[1]
    first = np.cumsum(lengths) - lengths
    order = np.lexsort((starts, numbers))
    videos, images = order[rates[order] > 0], order[rates[order] == 0]
    matches: list[tuple[int, int, float]] = []
    if len(videos):
        matches += video_copies(_in_order(fingerprints, first, lengths, numbers, starts, rates, videos))
    if len(images):
        found = image_copies(fingerprints, first[images], numbers[images])
        matches += [(int(images[copy]), int(images[earlier]), 1.0) for copy, earlier in found]
    return _settled(matches, order, numbers)


def _in_order(
    fingerprints: npt.NDArray[np.uint64],
    first: Ints,
    lengths: Ints,
    numbers: Ints,
    starts: npt.NDArray[np.float64],
    rates: npt.NDArray[np.float64],
    videos: Ints,
) -> Snapshots:
    """Return the snapshots of some clips in their order; the others are as in `near_duplicates`, of all clips."""
    clips = np.repeat(videos.astype(np.int32), lengths[videos])
    ends = np.cumsum(lengths[videos], dtype=np.int32)
    within = np.arange(len(clips), dtype=np.int32) - np.repeat(ends - lengths[videos].astype(np.int32), lengths[videos])
    apart_s = np.array([snapshot_step(rate) / rate if rate else 0.0 for rate in rates.tolist()])
    rows = first.astype(np.int32)[clips] + within
    times_s = starts[clips] + within * apart_s[clips]
    return Snapshots(fingerprints, rows, clips, numbers.astype(np.int32)[clips], times_s)


def _settled(matches: list[tuple[int, int, float]], order: Ints, numbers: Ints) -> Duplicates:
    """Decide, from the earliest clip on, which are copies of clips that are kept, and which sources belong together."""
    holders: dict[int, list[tuple[int, float]]] = defaultdict(list)
    parents = list(range(int(numbers.max()) + 1))
    for clip, other, share in matches:
        holders[clip].append((other, share))
        a, b = sorted((_root(parents, int(numbers[clip])), _root(parents, int(numbers[other]))))
        parents[b] = a
    copy_of = np.full(len(order), -1, np.int64)
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    held_of: dict[int, float] = {}  # the share of a copy that its original holds
    for clip in order.tolist():
        shares: dict[int, float] = {}
        for other, share in holders.get(clip, ()):
            # A copy of a copy: of what it shares with that, so much at least is in the original too.
            kept, least = (other, share) if copy_of[other] < 0 else (int(copy_of[other]), share + held_of[other] - 1)
            shares[kept] = max(shares.get(kept, 0.0), least)
        held: dict[int, float] = defaultdict(float)
        for other, share in shares.items():
            held[int(numbers[other])] += share
        if held and max(held.values()) >= COPIED:
            source = max(held, key=lambda number: (held[number], -number))
            copy = max((other for other in shares if numbers[other] == source), key=lambda o: (shares[o], -rank[o]))
            copy_of[clip], held_of[clip] = copy, shares[copy]
    roots = np.array([_root(parents, source) for source in range(len(parents))])
    return Duplicates(copy_of, np.unique(roots, return_inverse=True)[1][numbers])


def _root(parents: list[int], source: int) -> int:
    while parents[source] != source:
        parents[source] = source = parents[parents[source]]
    return source
