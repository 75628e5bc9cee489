"""Long footage becomes windows: sampled at one frame rate, resized, cut at scene changes, then to the grid's lengths.

Frames are `uint8 [H, W, 3]` RGB. Times are seconds from the first frame of the file.
"""

import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import av
import cv2
import numpy as np
from av.video.reformatter import VideoReformatter

from kinora.data.grid import Grid
from kinora.media import CONTAINERS

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
class _Decoded:
    number: int
    frame: av.VideoFrame
    start_s: float
    end_s: float


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


def resize_still(frame: np.ndarray, max_side: int, grid: Grid) -> np.ndarray:
    """Bring one frame `[H, W, 3]` to its size."""
    how = fit(frame.shape[1], frame.shape[0], max_side, grid)
    shrinks = how.scaled[0] < frame.shape[1]
    return how.crop(cv2.resize(frame, how.scaled, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC))


class Footage:
    """One video file, read once from its start."""

    def __init__(self, path: Path, fps: float, max_side: int, max_seconds: float, grid: Grid):
        self.path, self.fps, self.max_side, self.max_seconds, self.grid = path, fps, max_side, max_seconds, grid
        # One converter a size, on one thread: made anew for each frame it takes longer than decoding small ones.
        self._for_thumbnails, self._for_pictures = VideoReformatter(), VideoReformatter()
        self.unread = False  # whether the file goes on after `max_seconds`

    def frames(self) -> Iterator[tuple[np.ndarray, bool]]:
        """Yield frames, resized, `fps` a second, each with whether a new shot starts at it.

        At each instant it is the picture that a player would show.

        Raises:
            Rejected: if the file cannot be decoded to its end (or to `max_seconds`).
        """
        try:
            with av.open(str(self.path), options={"format_whitelist": CONTAINERS}) as container:
                if not container.streams.video:
                    raise Rejected("undecodable", "The file has no video stream.")
                stream = container.streams.video[0]
                stream.codec_context.thread_count = 1  # several files are read at once
                yield from self._sampled(container, stream)
        except (av.FFmpegError, ValueError) as error:
            raise Rejected("undecodable", f"The file cannot be decoded as video ({_plain(error)}).") from error

    def _sampled(
        self, container: av.container.InputContainer, stream: av.video.stream.VideoStream
    ) -> Iterator[tuple[np.ndarray, bool]]:
        aspect = float(stream.sample_aspect_ratio or 1)
        left = int(self.max_seconds * self.fps)
        shown: _Decoded | None = None
        emitted, cut = 0, False
        # Cuts are looked for among all frames of the file: at few frames a second fast motion looks like one.
        for frame, starts in mark_cuts(self._decoded(container, stream)):
            if shown is not None:
                due = min(_instants(frame.start_s, self.fps) - emitted, left - emitted)
                if due > 0:
                    picture = self._picture(shown.frame, aspect)
                    for _ in range(due):
                        yield picture, cut
                        cut = False
                    emitted += due
            if emitted >= left:
                self.unread = True
                return
            shown, cut = frame, cut or starts
        if shown is None:
            raise Rejected("undecodable", "The file holds no frames.")
        if stream.frames and shown.number + 1 < 0.95 * stream.frames - 2:
            raise Rejected("truncated", f"The file announces {stream.frames} frames and holds {shown.number + 1}.")
        picture = self._picture(shown.frame, aspect)
        for _ in range(min(_instants(shown.end_s, self.fps), left) - emitted):
            yield picture, cut
            cut = False

    def _decoded(
        self, container: av.container.InputContainer, stream: av.video.stream.VideoStream
    ) -> Iterator[tuple["_Decoded", np.ndarray]]:
        rate = float(stream.average_rate or stream.guessed_rate or self.fps)
        first: float | None = None
        for number, frame in enumerate(container.decode(stream)):
            if number == 0:
                fit(frame.width, frame.height, self.max_side, self.grid)  # refuse before more of it is decoded
            time = float(frame.time) if frame.time is not None else number / rate
            first = time if first is None else first
            thumbnail = _resized(self._for_thumbnails, frame, (THUMBNAIL, THUMBNAIL))
            yield _Decoded(number, frame, time - first, time - first + 1 / rate), thumbnail

    def _picture(self, frame: av.VideoFrame, aspect: float) -> np.ndarray:
        turned = frame.rotation % 180 != 0  # phones store how they were held
        width, height = round(frame.width * aspect), frame.height
        how = fit(*((height, width) if turned else (width, height)), self.max_side, self.grid)
        scaled = how.scaled[::-1] if turned else how.scaled
        picture = _resized(self._for_pictures, frame, scaled)
        return how.crop(np.rot90(picture, round(frame.rotation / 90) % 4))


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
    """Yield each frame with whether a new shot starts at it; each comes with its thumbnail `uint8 [16, 16, 3]`.

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
    if i == 0:
        return False  # nothing comes before the first frame
    # A flash of one frame is no cut: what comes after it looks like what came before it.
    after, before = near[min(i + 1, len(near) - 1)][1], near[max(i - 2, 0)][1]
    change = min(near[i][2], _change(after, near[i - 1][1]), _change(near[i][1], before))
    around = [near[j][2] for j in range(max(0, i - CUT_NEIGHBOURS), min(len(near), i + CUT_NEIGHBOURS + 1)) if j != i]
    return change >= CUT_CHANGE and change >= CUT_RATIO * float(np.mean(around))


def _instants(time: float, fps: float) -> int:
    """Count the instants 0, 1/fps, 2/fps, ... before `time` in seconds, forgiving rounding errors."""
    return math.ceil(time * fps - 1e-4)


def _resized(converter: VideoReformatter, frame: av.VideoFrame, size: tuple[int, int]) -> np.ndarray:
    return converter.reformat(frame, *size, format="rgb24", interpolation="AREA", threads=1).to_ndarray()


def _change(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a.astype(np.int16) - b).mean()) / 255


def _plain(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error).rstrip(".")
