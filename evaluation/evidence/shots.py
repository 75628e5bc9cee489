"""Hard cuts: from one frame to the next, nearly nothing is found again, and what follows goes on from there.

Two frames are compared by blocks: each is looked for around its place in the other frame, whatever its brightness, so
that pans, flashes and flicker are no cuts. What moves too fast or is too blurred to be found again is unlike both its
neighbours; a cut is unlike one of them only.
"""

from dataclasses import dataclass

import cv2
import numpy as np

SIDE = 32  # pixels of the longer side at which frames are compared
BLOCK, REACH = 8, 8  # pixels: of a block, and how far around its place it is looked for
FLAT = 3.0  # levels: standard deviation of a block from which it has something to be recognised by
SAME = 6.0  # levels by which the colours of flat blocks may differ beyond what all of them do
CUT = 0.55  # share of the blocks that are not found again
MARGIN = 0.3  # by which this share is larger than that of the steps before and after
SHORTEST = 2  # frames of a shot


@dataclass(frozen=True)
class Shot:
    """Frames `start` to `end`, both inclusive, without a hard cut."""

    start: int
    end: int

    def __len__(self) -> int:
        return self.end - self.start + 1


def find_shots(rgb_THWC: np.ndarray) -> tuple[Shot, ...]:
    """Return the shots of `uint8 [T, H, W, 3]`, in order; together they are the clip."""
    starts = [0, *find_cuts(rgb_THWC)]
    return tuple(Shot(a, b - 1) for a, b in zip(starts, [*starts[1:], len(rgb_THWC)], strict=True))


def find_cuts(rgb_THWC: np.ndarray) -> list[int]:
    """Return the first frame of every shot but the first."""
    small = _small(rgb_THWC)
    T = len(small)
    change = np.zeros(T)  # change[t]: from t - 1 to t
    for t in range(1, T):
        change[t] = unlike(small[t - 1], small[t])
    return [t for t in range(1, T) if change[t] >= CUT and _is_cut(small, change, t)]


def _is_cut(small: np.ndarray, change: np.ndarray, t: int) -> bool:
    around = [change[s] for s in (t - 1, t + 1) if 1 <= s < len(change)]
    if around and change[t] - max(around) < MARGIN:
        return False
    # A flash, or what passes close to the lens, is gone after a few frames.
    for before in (1, 2):
        for after in (0, 1, 2, 3):
            a, b = t - before, t + after
            if a >= 0 and b < len(small) and unlike(small[a], small[b]) < CUT:
                return False
    return True


def _small(rgb_THWC: np.ndarray) -> np.ndarray:
    height, width = rgb_THWC.shape[1:3]
    factor = SIDE / max(height, width)
    size = (max(BLOCK, round(width * factor)), max(BLOCK, round(height * factor)))
    return np.stack([cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in rgb_THWC]).astype(np.float32)


def unlike(a_HWC: np.ndarray, b_HWC: np.ndarray) -> float:
    """Return the share of the blocks of two small frames that are not found in the other one, 0..1."""
    if np.abs(a_HWC - b_HWC).mean() < 1:
        return 0.0
    return (_lost(a_HWC, b_HWC) + _lost(b_HWC, a_HWC)) / 2


def _lost(a: np.ndarray, b: np.ndarray) -> float:
    H, W, _ = a.shape
    light = np.median((b - a).reshape(-1, 3), axis=0)
    around = cv2.copyMakeBorder(b, REACH, REACH, REACH, REACH, cv2.BORDER_REFLECT)
    lost = []
    for y in range(0, H - BLOCK + 1, BLOCK):
        for x in range(0, W - BLOCK + 1, BLOCK):
            block = a[y : y + BLOCK, x : x + BLOCK]
            if block.std(axis=(0, 1)).max() > FLAT:
                window = around[y : y + BLOCK + 2 * REACH, x : x + BLOCK + 2 * REACH]
                found = cv2.matchTemplate(window, block, cv2.TM_CCOEFF_NORMED).max()
                lost.append(float(np.clip((0.9 - found) / 0.3, 0, 1)))
            else:
                off = np.abs((b[y : y + BLOCK, x : x + BLOCK] - block).mean(axis=(0, 1)) - light).max()
                lost.append(float(off > SAME))
    return float(np.mean(lost)) if lost else 0.0
