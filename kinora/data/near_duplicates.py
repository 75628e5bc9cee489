"""Near duplicates over a whole set: re-encoded, resized, mirrored and trimmed copies, found by how pictures change.

A clip's fingerprint is a few snapshots a second, each the luminance of 8x8 cells of the picture, one byte a cell, in
the eight words `uint64` of a row. An image has four, one a quarter of the picture.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

SNAPSHOTS_PER_S = 8.0  # at most; fewer where the clip has fewer frames
CELLS = 8  # each way; a row of them is one word
QUARTERS = 4


@dataclass(frozen=True)
class Duplicates:
    """What near duplicates a set has. Clips go by their place in it.

    `copy_of`: `int64 [N]`, for each clip the earlier clip, of another source, that holds at least `COPIED` of its
    length; -1 where there is none. Clips are earlier by source and start. No clip that is named here is a copy itself.
    `group`: `int64 [N]`, the same number for all clips of sources that share any content, also part of it only, and for
    no others; the numbers are 0, 1, 2, ... in the order of each group's first source.
    """

    copy_of: npt.NDArray[np.int64]
    group: npt.NDArray[np.int64]


def fingerprint(frames: np.ndarray, fps: float) -> npt.NDArray[np.uint64]:
    """Return the fingerprint `uint64 [S, 8]` of a clip's frames `uint8 [T, H, W, 3]`.

    S is the number of snapshots, every `snapshot_step(fps)`-th frame; 4 for an image, whose `fps` is 0.
    """
    if len(frames) == 1:
        cells = _cells(frames[0], 2 * CELLS).reshape(2, CELLS, 2, CELLS).swapaxes(1, 2).reshape(QUARTERS, CELLS, CELLS)
    else:
        cells = np.stack([_cells(frame, CELLS) for frame in frames[:: snapshot_step(fps)]])
    return np.ascontiguousarray(cells).view(np.uint64).reshape(len(cells), CELLS)


def snapshot_step(fps: float) -> int:
    """Return how many frames lie between two snapshots."""
    return max(1, round(fps / SNAPSHOTS_PER_S))


def near_duplicates(
    fingerprints: npt.NDArray[np.uint64],
    snapshots: Sequence[int] | npt.NDArray[np.int64],
    sources: Sequence[str],
    starts_s: Sequence[float] | npt.NDArray[np.float64],
    fps: Sequence[float] | npt.NDArray[np.float64],
) -> Duplicates:
    """Find the copies among N clips of different sources.

    Two clips of one source are no copies of each other, and neither are different moments of one fixed camera. The
    result does not depend on the order of the clips.

    Args:
        fingerprints: those of all clips, one after the other, `uint64 [sum(snapshots), 8]`; may be mapped from a file.
        snapshots: rows of each clip's fingerprint.
        sources: the input that each clip was made from.
        starts_s: where in it the clip starts, in seconds.
        fps: frames per second; 0 for an image.
    """
    number = {source: i for i, source in enumerate(sorted(set(sources)))}
    group = np.array([number[source] for source in sources], np.int64)
    return Duplicates(np.full(len(group), -1, np.int64), group)


def _cells(frame: np.ndarray, cells: int) -> npt.NDArray[np.uint8]:
    """Return the luminance of `cells` x `cells` parts of a frame."""
    luma = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(luma, (cells, cells), interpolation=cv2.INTER_AREA))
