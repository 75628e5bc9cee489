"""Long footage becomes windows: cut at scene changes, then to the lengths of the grid, at a size of the grid.

Frames are `uint8 [H, W, 3]` RGB. Times are seconds from the first frame of the file.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np

from kinora.data.grid import Grid
from kinora.media import MediaError

T = TypeVar("T")
SHORTEST_SIDE = 16  # pixels of the input
LARGEST_ASPECT = 4.0
MOST_PIXELS = 89_478_485  # of one picture: Pillow's own limit against decompression bombs
# A cut is a change of at least CUT_CHANGE (mean absolute difference of thumbnails, 0..1) that is CUT_RATIO times as
# large as the changes around it: PySceneDetect's adaptive rule, which fast motion alone does not meet.
CUT_CHANGE, CUT_RATIO, CUT_NEIGHBOURS, THUMBNAIL = 0.08, 3.0, 2, 16


class Rejected(Exception):
    """An input that cannot be used: a reason code and one sentence."""

    def __init__(self, reason: str, explanation: str):
        super().__init__(explanation)
        self.reason, self.explanation = reason, explanation


@dataclass(frozen=True)
class Window:
    """Consecutive frames `uint8 [T, H, W, 3]` of one shot, from `start_s`. T = 0: the shot was too short for any."""

    start_s: float
    frames: np.ndarray


@dataclass(frozen=True)
class Fit:
    """How a picture is brought to its size: scaled to cover it, the little that stands over cut off evenly."""

    scaled: tuple[int, int]  # width, height
    size: tuple[int, int]

    def crop(self, frame: np.ndarray) -> np.ndarray:
        """Cut a scaled frame `[H, W, 3]` to size."""
        (width, height), (left, top) = self.size, ((s - t) // 2 for s, t in zip(self.scaled, self.size, strict=True))
        return np.ascontiguousarray(frame[top : top + height, left : left + width])


def fit(width: int, height: int, max_side: int, grid: Grid) -> Fit:
    """Choose a size of the grid for `width` x `height` square pixels: aspect ratio kept, never enlarged on purpose.

    Raises:
        Rejected: if the picture is too small, too large or too narrow.
    """
    if width * height > MOST_PIXELS:
        raise Rejected("too_large", f"The picture has {width}x{height} pixels; at most {MOST_PIXELS} are decoded.")
    if min(width, height) < SHORTEST_SIDE:
        raise Rejected("too_small", f"The picture has {width}x{height} pixels; each side needs {SHORTEST_SIDE}.")
    if max(width, height) > LARGEST_ASPECT * min(width, height):
        raise Rejected("too_narrow", f"{width}x{height} is longer than {LARGEST_ASPECT:g} times its shorter side.")
    factor = min(1.0, max_side / max(width, height))
    largest = max_side // grid.side * grid.side
    size = (min(largest, grid.nearest_side(width * factor)), min(largest, grid.nearest_side(height * factor)))
    cover = max(size[0] / width, size[1] / height)
    return Fit((max(size[0], round(width * cover)), max(size[1], round(height * cover))), size)


def resize_image(frame: np.ndarray, max_side: int, grid: Grid) -> np.ndarray:
    """Bring an image `[H, W, 3]` to its size."""
    how = fit(frame.shape[1], frame.shape[0], max_side, grid)
    shrinks = how.scaled[0] < frame.shape[1]
    return how.crop(cv2.resize(frame, how.scaled, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC))


@contextmanager
def rejections() -> Iterator[None]:
    """Turn a file that cannot be read into a rejected input."""
    try:
        yield
    except MediaError as error:
        raise Rejected(error.reason, f"The file {error.problem}.") from error


def windows(frames: Iterable[tuple[np.ndarray, bool]], fps: float, max_frames: int, grid: Grid) -> Iterator[Window]:
    """Cut each shot into windows of `max_frames` frames, and one of the grid's greatest length that is left.

    `frames` come with whether a shot starts at each. The few frames at the end of a shot that fit no window are left
    out.
    """
    run: list[np.ndarray] = []
    whole = number = 0  # windows already taken from this shot; frames seen
    for frame, cut in frames:
        if cut:
            yield from _rest(run, whole, number, fps, grid)
            run, whole = [], 0
        run.append(frame)
        number += 1
        if len(run) == max_frames:
            yield Window((number - max_frames) / fps, np.stack(run))
            run, whole = [], whole + 1
    yield from _rest(run, whole, number, fps, grid)


def _rest(run: list[np.ndarray], whole: int, end: int, fps: float, grid: Grid) -> Iterator[Window]:
    length = grid.longest_within(len(run)) if run else 0
    start_s = (end - len(run)) / fps
    if length >= grid.shortest_video:
        yield Window(start_s, np.stack(run[:length]))
    elif run and not whole:
        yield Window(start_s, np.empty((0, *run[0].shape), np.uint8))


def mark_cuts(frames: Iterable[tuple[T, np.ndarray]]) -> Iterator[tuple[T, bool]]:
    """Yield each frame with whether a new shot starts at it; each comes with its thumbnail `uint8 [16, 16]`.

    Hard cuts are found; dissolves are not, and stay inside a shot. Looks `CUT_NEIGHBOURS` frames ahead.
    """
    # The frames around the one in question, oldest first, and how far each is from the one before it.
    near: deque[tuple[T, np.ndarray, float]] = deque(maxlen=2 * CUT_NEIGHBOURS + 1)
    undecided = 0
    for frame, thumbnail in frames:
        near.append((frame, thumbnail, _change(thumbnail, near[-1][1]) if near else 0.0))
        undecided += 1
        if undecided > CUT_NEIGHBOURS:
            yield near[-undecided][0], _is_cut(near, len(near) - undecided)
            undecided -= 1
    for i in range(len(near) - undecided, len(near)):
        yield near[i][0], _is_cut(near, i)


def _is_cut(near: Sequence[tuple[T, np.ndarray, float]], i: int) -> bool:
    if i == 0 or near[i][2] < CUT_CHANGE:
        return False  # nothing comes before the first frame, and little changes at most others
    # A flash of one frame is no cut: what comes after it looks like what came before it.
    after, before = near[min(i + 1, len(near) - 1)][1], near[max(i - 2, 0)][1]
    change = min(near[i][2], _change(after, near[i - 1][1]), _change(near[i][1], before))
    around = [near[j][2] for j in range(max(0, i - CUT_NEIGHBOURS), min(len(near), i + CUT_NEIGHBOURS + 1)) if j != i]
    return change >= CUT_CHANGE and change >= CUT_RATIO * float(np.mean(around))


def _change(a: np.ndarray, b: np.ndarray) -> float:
    return float(cv2.norm(a, b, cv2.NORM_L1)) / (255 * a.size)
