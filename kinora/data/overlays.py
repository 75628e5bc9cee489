"""What was laid over a picture after it was filmed: bars around it and text on it.

Pictures are `uint8 [H, W, 3]` RGB or grey `[H, W]`, a few of one clip, at most `PICTURE_SIDE` pixels long
(`picture_size`).
"""

from collections.abc import Sequence
from functools import reduce
from typing import NamedTuple

import cv2
import numpy as np

PICTURE_SIDE = 320  # pixels of the longer side
# Bars are no brighter than DARK levels, but for a share STRAY of their pixels, and spread by EVEN levels in a line.
DARK, STRAY, EVEN = 10, 0.02, 4.0
EDGE = 0.5  # of the picture's first lines beside a bar: the share that is brighter than a bar
THICK, MOST = 0.02, 0.4  # of the side: thinner bars are left, and there are none thicker, on each side
# Levels of bright and of dark letters, and of how much they stand out from what is around them.
BRIGHT_LETTER, DARK_LETTER, CONTRAST = 160, 70, 50
STROKE = np.ones((11, 11), np.uint8)  # strokes are thinner than this
TALLEST_LETTER, FEWEST_LETTERS = 0.2, 4  # of the picture's height; in a line
SMALLEST_LETTER = 6  # pixels


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
    brightest = reduce(cv2.max, map(_luma, pictures))
    return Box(*_edges(brightest), *_edges(np.ascontiguousarray(brightest.T)))


def _edges(brightest: np.ndarray) -> tuple[float, float]:
    """Return where the picture starts and ends among the lines of the brightest levels `uint8 [lines, N]`."""
    lines, width = brightest.shape
    bright = (brightest > DARK).view(np.uint8)
    lit = cv2.reduce(bright, 1, cv2.REDUCE_SUM, dtype=cv2.CV_32S).ravel() / width
    seen = lit > STRAY
    seen[~seen] = brightest[~seen].std(axis=1, dtype=np.float32) > EVEN
    shown = np.flatnonzero(seen)
    if not len(shown):
        return 0.0, 1.0
    before, after = int(shown[0]), lines - 1 - int(shown[-1])
    # Beside a bar the picture starts all along it; where something small shows before a dark ground, it does not.
    start = before if lit[before : before + 3].max() >= EDGE else 0
    end = lines - after if lit[lines - after - 3 : lines - after].max() >= EDGE else lines
    if max(start, lines - end) > MOST * lines:
        return 0.0, 1.0
    thick = THICK * lines
    return start / lines if start >= thick else 0.0, end / lines if lines - end >= thick else 1.0


def bar_share(pictures: Sequence[np.ndarray]) -> float:
    """Return the share of the pictures that is bars."""
    return 1.0 - picture_box(pictures).share


def text_share(pictures: Sequence[np.ndarray]) -> float:
    """Return the share of the pictures under lines of text that stays where it is in all of them.

    Text is what a title or a subtitle is: strokes that are bright or dark, stand out from what is next to them, and
    form at least `FEWEST_LETTERS` letters of like height in a row. Letters lower than 4 pixels are not seen.
    """
    if not len(pictures):
        return 0.0
    luma = [_luma(picture) for picture in pictures]
    darkest, brightest = reduce(cv2.min, luma), reduce(cv2.max, luma)  # what is bright or dark in all of them
    boxes = []
    for shade, letter, stands_out in (
        (darkest, cv2.inRange(darkest, BRIGHT_LETTER, 255), cv2.MORPH_TOPHAT),
        (brightest, cv2.inRange(brightest, 0, DARK_LETTER), cv2.MORPH_BLACKHAT),
    ):
        strokes = cv2.inRange(cv2.morphologyEx(shade, stands_out, STROKE), CONTRAST, 255)
        boxes += _lines(_letters(cv2.bitwise_and(strokes, letter)))
    if not boxes:
        return 0.0
    covered = np.zeros(darkest.shape, bool)
    for left, top, right, bottom in boxes:
        covered[top:bottom, left:right] = True
    return float(covered.mean())


def _luma(picture: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) if picture.ndim == 3 else picture


def _letters(strokes: np.ndarray) -> np.ndarray:
    """Return the boxes [left, top, width, height] of what may be letters, left to right.

    Args:
        strokes: 0 where there are none, `uint8 [H, W]`.
    """
    left, top, columns, rows = cv2.boundingRect(strokes)
    if cv2.countNonZero(strokes) < FEWEST_LETTERS * SMALLEST_LETTER:
        return np.empty((0, 4), np.int32)
    within = strokes[top : top + rows, left : left + columns]
    # The quickest way: pictures are too small for more than 65,535 of them.
    found = cv2.connectedComponentsWithStats(within, connectivity=8, ltype=cv2.CV_16U)[2]
    found = found[1:] + np.array([left, top, 0, 0, 0], np.int32)  # without the background
    width, height, area = found[:, 2], found[:, 3], found[:, 4]
    tallest = max(8.0, TALLEST_LETTER * len(strokes))
    like = (height >= 4) & (height <= tallest) & (width <= 2.5 * height) & (area >= SMALLEST_LETTER)
    fill = area / (width * height)
    letters = found[like & (fill >= 0.15) & ((fill <= 0.75) | (width <= 0.4 * height))]
    return np.asarray(letters[np.argsort(letters[:, 0], kind="stable"), :4])


def _lines(letters: np.ndarray) -> list[tuple[int, int, int, int]]:
    """Return the boxes (left, top, right, bottom) of lines of text that letters form."""
    lines: list[list[tuple[int, int, int, int]]] = []
    unfinished: list[list[tuple[int, int, int, int]]] = []
    for x, y, width, height in letters.tolist():
        # A line goes on with a letter less than twice as tall as its last, at most 1.2 times its own height away.
        unfinished = [line for line in unfinished if x - line[-1][2] < 2.4 * (line[-1][3] - line[-1][1])]
        for line in reversed(unfinished):
            _, top, right, bottom = line[-1]
            tall, gap = max(height, bottom - top), x - right
            level = abs(y + height / 2 - (top + bottom) / 2) < 0.35 * tall
            if -0.5 * tall < gap < 1.2 * tall and level and min(height, bottom - top) > 0.5 * tall:
                line.append((x, y, x + width, y + height))
                break
        else:
            lines.append([(x, y, x + width, y + height)])
            unfinished.append(lines[-1])
    boxes = []
    for line in lines:
        lefts, tops, rights, bottoms = zip(*line, strict=True)
        box = min(lefts), min(tops), max(rights), max(bottoms)
        if len(line) >= FEWEST_LETTERS and box[2] - box[0] >= 2.5 * (box[3] - box[1]):
            boxes.append(box)
    return boxes
