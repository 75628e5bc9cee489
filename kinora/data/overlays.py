"""What was laid over a picture after it was filmed: bars around it and text on it.

Pictures are `uint8 [H, W, 3]` RGB, a few of one clip, at most `PICTURE_SIDE` pixels long (`picture_size`).
"""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

PICTURE_SIDE = 320  # pixels of the longer side
# Bars are no brighter than DARK levels, but for a share STRAY of their pixels, and spread by EVEN levels in a line.
DARK, STRAY, EVEN = 24, 0.02, 6.0
THICK, MOST = 0.02, 0.4  # of the side: thinner bars are left, and there are none thicker, on each side


class Box(NamedTuple):
    """Part of a picture: rows `top` to `bottom` as shares (0..1) of its height, columns `left` to `right` likewise."""

    top: float = 0.0
    bottom: float = 1.0
    left: float = 0.0
    right: float = 1.0

    def crop(self, frame: np.ndarray) -> np.ndarray:
        """Return that part of a frame `[H, W, ...]` of any size: a view."""
        height, width = frame.shape[:2]
        rows = slice(round(self.top * height), round(self.bottom * height))
        return frame[rows, round(self.left * width) : round(self.right * width)]

    @property
    def share(self) -> float:
        """The share of the picture that it is."""
        return (self.bottom - self.top) * (self.right - self.left)


def picture_size(width: int, height: int) -> tuple[int, int]:
    """Return the size (width, height) at which pictures of a video of `width` x `height` pixels are looked at."""
    factor = min(1.0, PICTURE_SIDE / max(width, height))
    return max(1, round(width * factor)), max(1, round(height * factor))


def picture_box(pictures: Sequence[np.ndarray]) -> Box:
    """Find the part of a video that is not letterbox (bars above and below) or pillarbox, from some of its pictures.

    Bars are dark, even, the same in all pictures and at most 0.4 of a side thick; where there are none, or no picture
    shows anything, the box is the whole picture. All pictures have one size.
    """
    if not len(pictures):
        return Box()
    luma = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in pictures]
    brightest = np.max(luma, axis=0)
    return Box(*_edges(brightest), *_edges(brightest.T))


def _edges(brightest: np.ndarray) -> tuple[float, float]:
    """Return where the picture starts and ends among the lines of the brightest levels `uint8 [lines, N]`."""
    lines = len(brightest)
    bright = (brightest > DARK).mean(axis=1) > STRAY
    lit = np.flatnonzero(bright | (brightest.std(axis=1, dtype=np.float32) > EVEN))
    if not len(lit):
        return 0.0, 1.0
    before, after = int(lit[0]), lines - 1 - int(lit[-1])
    if max(before, after) > MOST * lines:
        return 0.0, 1.0
    thick = THICK * lines
    return before / lines if before >= thick else 0.0, 1 - after / lines if after >= thick else 1.0


def bar_share(pictures: Sequence[np.ndarray]) -> float:
    """Return the share of the pictures that is bars."""
    return 1.0 - picture_box(pictures).share


def text_share(pictures: Sequence[np.ndarray]) -> float:
    """Return the share of the pictures under lines of text that stays where it is in all of them."""
    return 0.0
