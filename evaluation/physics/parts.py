"""Parts of frames that are looked for elsewhere: a box and what of it is meant."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from evaluation.evidence.tracks import Track

SMALLEST, LARGEST = 6e-4, 0.2  # of the frame: regions that are looked for elsewhere
FEWEST = 16  # pixels of such a region


@dataclass(frozen=True, eq=False)
class Part:
    """What is followed of a frame: a box x0, y0, x1, y1 (the last two exclusive), and a mask of it."""

    frame: int
    box: tuple[int, int, int, int]
    mask: np.ndarray

    @property
    def corner(self) -> np.ndarray:
        """Upper left corner of the box, x and y."""
        return np.array(self.box[:2], dtype=float)

    @cached_property
    def middle(self) -> np.ndarray:
        """Mean of the pixels."""
        y, x = np.nonzero(self.mask)
        return np.asarray(np.array([x.mean(), y.mean()]) + self.corner)

    def moved(self, frame: int, by: np.ndarray) -> "Part":
        """Return the same part of another frame, elsewhere."""
        x, y = (round(float(v)) for v in self.corner + by)
        return Part(frame, (x, y, x + self.mask.shape[1], y + self.mask.shape[0]), self.mask)


def sight(track: Track, index: int) -> Part:
    """Return what is seen of a track in one of its sights."""
    x0, y0, x1, y1 = (int(v) for v in track.boxes[index])
    return Part(int(track.frames[index]), (x0, y0, x1, y1), track.masks[index])


def regions(mask: np.ndarray, t: int) -> Iterator[Part]:
    """Yield the connected regions of a mask that are neither small nor large."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    for i in range(1, count):
        x, y, w, h, area = (int(v) for v in stats[i])
        if max(FEWEST, SMALLEST * mask.size) <= area <= LARGEST * mask.size:
            yield Part(t, (x, y, x + w, y + h), labels[y : y + h, x : x + w] == i)


def inside(part: Part, height: int, width: int) -> Part | None:
    """Return what of a part is within the frame, None if little is."""
    x0, y0, x1, y1 = part.box
    left, top, right, bottom = max(0, x0), max(0, y0), min(width, x1), min(height, y1)
    if (left, top, right, bottom) == part.box:
        return part
    mask = part.mask[top - y0 : max(top, bottom) - y0, left - x0 : max(left, right) - x0]
    return Part(part.frame, (left, top, right, bottom), mask) if mask.sum() > 0.7 * part.mask.sum() else None


def cut(frame: np.ndarray, part: Part) -> tuple[np.ndarray, np.ndarray]:
    """Return the picture of a part's box, float32 `[h, w, 3]`, and its mask."""
    x0, y0, x1, y1 = part.box
    return frame[y0:y1, x0:x1].astype(np.float32), part.mask
