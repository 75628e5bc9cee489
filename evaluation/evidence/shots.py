"""Hard cuts: from one frame to the next nearly nothing is found again, and what follows goes on from there.

Two frames are compared by blocks: each is looked for around its place in the other frame, whatever its brightness, so
that pans, flashes and flicker are no cuts; it must be found where some of its neighbours are. What moves too fast or
is too blurred to be found again is unlike the frames on both its sides; a cut is unlike those on one side only.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np

SIDE = 32  # pixels of the longer side at which frames are compared
BLOCK, STEP, REACH = 12, 6, 8  # pixels: of a block, from block to block, and how far from its place it is looked for
TOGETHER = 2  # pixels by which neighbours that are found may have moved differently
FLAT = 3.0  # levels: standard deviation below which a block has nothing to be recognised by
SAME = 6.0  # levels by which the colours of such blocks may differ, beyond what all of the picture does
LOST, FOUND = 0.6, 0.9  # correlation of blocks that are surely not found, and surely found
LITTLE = 2.0  # levels: a mean change, beside an even one, that is surely no cut
PEAK = 1.6  # times the changes before and after it that a cut's is
WIDE = 0.3  # of the picture: less that changes is a thing that came, went or jumped
CUT = 0.5  # share of the blocks that are not found again
MARGIN = 0.25  # by which this share is larger than that of the steps before and after
PASSES = 3  # frames after which a flash, or what passes close to the lens, is gone


@dataclass(frozen=True)
class Shot:
    """Frames `start` to `end`, both inclusive, without a hard cut."""

    start: int
    end: int

    def __len__(self) -> int:
        return self.end - self.start + 1


def find_shots(rgb_THWC: np.ndarray) -> tuple[Shot, ...]:
    """Return the shots of `uint8 [T, H, W, 3]`, in order; together they are the clip."""
    small = _small(rgb_THWC)
    changes = np.array([_change(a, b) for a, b in pairwise(small)])
    starts = [0, *(t + 1 for t in range(len(changes)) if _is_peak(changes, t) and _is_cut(small, t + 1))]
    return tuple(Shot(a, b - 1) for a, b in zip(starts, [*starts[1:], len(small)], strict=True))


def _small(rgb_THWC: np.ndarray) -> np.ndarray:
    height, width = rgb_THWC.shape[1:3]
    factor = SIDE / max(height, width)
    size = (max(BLOCK, round(width * factor)), max(BLOCK, round(height * factor)))
    return np.stack([cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in rgb_THWC]).astype(np.float32)


def _change(a: np.ndarray, b: np.ndarray) -> float:
    change = (b - a).reshape(-1, 3)
    return float(np.abs(change - change.mean(axis=0)).mean())


def _is_peak(changes: np.ndarray, t: int) -> bool:
    around = np.delete(changes[max(0, t - 1) : t + 2], min(t, 1))
    return bool(changes[t] > LITTLE and (changes[t] > PEAK * around).all())


def _is_cut(small: np.ndarray, t: int) -> bool:
    """Say whether a shot starts at t."""

    def apart(before: int, after: int) -> float:
        return unlike(small[before], small[after]) if 0 <= before < after < len(small) else 0.0

    change = small[t] - small[t - 1]
    if (np.abs(change - np.median(change, axis=(0, 1))).max(axis=-1) > SAME).mean() < WIDE:
        return False
    share = apart(t - 1, t)
    if share < CUT or share - max(apart(t - 2, t - 1), apart(t, t + 1)) < MARGIN:
        return False
    late = min(t + PASSES, len(small) - 1)
    pairs = {(t - 1, t + 1), (t - 1, late), (t - 2, t), (t - 2, late), (max(0, t - PASSES), t)}
    return all(apart(a, b) >= CUT for a, b in pairs if a >= 0 and b < len(small))


def unlike(a_HWC: np.ndarray, b_HWC: np.ndarray) -> float:
    """Return the share of the blocks of two small frames, float32, that are not found in the other one, 0..1."""
    return (_lost(a_HWC, b_HWC) + _lost(b_HWC, a_HWC)) / 2


def _lost(a: np.ndarray, b: np.ndarray) -> float:
    """Return the share of the blocks of a that are not found in b."""
    light = np.median((b - a).reshape(-1, 3), axis=0)
    around = cv2.copyMakeBorder(b, REACH, REACH, REACH, REACH, cv2.BORDER_REFLECT)
    rows, columns = _places(a.shape[0]), _places(a.shape[1])
    lost, moved = np.zeros((len(rows), len(columns))), np.full((len(rows), len(columns), 2), np.nan)
    for i, y in enumerate(rows):
        for j, x in enumerate(columns):
            block = a[y : y + BLOCK, x : x + BLOCK]
            if cv2.meanStdDev(block)[1].max() > FLAT:
                window = around[y : y + BLOCK + 2 * REACH, x : x + BLOCK + 2 * REACH]
                _, best, _, moved[i, j] = cv2.minMaxLoc(cv2.matchTemplate(window, block, cv2.TM_CCOEFF_NORMED))
                lost[i, j] = np.clip((FOUND - best) / (FOUND - LOST), 0, 1)
            else:
                change = (b[y : y + BLOCK, x : x + BLOCK] - block).mean(axis=(0, 1)) - light
                lost[i, j] = np.abs(change).max() > SAME
    lost[_alone(moved)] = 1
    return float(lost.mean())


def _places(length: int) -> Sequence[int]:
    count = -(-(length - BLOCK) // STEP) + 1
    places: list[int] = np.linspace(0, length - BLOCK, count).round().astype(int).tolist()
    return places


def _alone(moved: np.ndarray) -> np.ndarray:
    """Return which blocks moved unlike all but one of their neighbours, of two or more; `[n, m, 2]`, nan is unknown."""
    rows, columns, _ = moved.shape
    padded = np.pad(moved, ((1, 1), (1, 1), (0, 0)), constant_values=np.nan)
    apart = np.stack(
        [
            np.abs(padded[1 + i : 1 + i + rows, 1 + j : 1 + j + columns] - moved).max(axis=-1)
            for i in (-1, 0, 1)
            for j in (-1, 0, 1)
            if i or j
        ]
    )
    neighbours, alike = np.isfinite(apart).sum(axis=0), (apart <= TOGETHER).sum(axis=0)
    return np.asarray((neighbours >= 2) & (alike < 2))
