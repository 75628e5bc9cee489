"""Reading video files as frames `uint8 [T, H, W, 3]`, RGB, by PyAV: the one decoder of every part of the project.

A frame comes out as a player shows it: turned and mirrored as the display matrix says, with square pixels, every frame
of a file at the size of its first. Times are seconds from the first frame.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO, Protocol, TypeVar, cast

import av
import numpy as np
from av.buffer import Buffer
from av.stream import Disposition
from av.video.reformatter import VideoReformatter

from kinora.media.errors import MediaError, require_file
from kinora.media.mp4 import refuse_impossible_counts

VIDEO_SUFFIXES = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v", ".gif", ".mpg", ".mpeg")
# Only what people record in. ffmpeg would also open playlists, which name other files and addresses.
CONTAINERS = "mov,mp4,matroska,webm,avi,gif,mpeg,mpegts,mpegvideo,flv,asf,ogg,h264,hevc"
MAX_FRAME_PIXELS = 89_478_485  # of one frame: Pillow's own limit against decompression bombs
MAX_VIDEO_PIXELS = 2**30  # of all frames that are held at once: 3 GiB
# A frame that is this much of a sampling period late still counts as in time, against rounding errors.
ROUNDING = 1e-4


class Timed(Protocol):
    """What is shown from `start_s` to `end_s`, in seconds."""

    @property
    def start_s(self) -> float: ...

    @property
    def end_s(self) -> float: ...


T = TypeVar("T", bound=Timed)


class Frame:
    """One decoded frame, converted to RGB only when it is asked for."""

    def __init__(self, video: "Video", frame: av.VideoFrame, start_s: float):
        self._video, self._frame, self.start_s = video, frame, start_s

    @property
    def end_s(self) -> float:
        """When the frame ends if no other follows it."""
        period = 1 / self._video.fps
        own = float(self._frame.duration * (self._frame.time_base or 0)) or period
        # Containers round durations, so that a constant rate tells more of them.
        return self.start_s + (period if abs(own - period) < 0.1 * period else own)

    def rgb(self, size: tuple[int, int] | None = None) -> np.ndarray:
        """Return the upright frame, `uint8 [H, W, 3]`, scaled to `size` (width, height) or that of the video."""
        return self._video.convert(self._frame, size or self._video.size)


class Video:
    """An open video file; `frames` reads it once, from its start.

    `size`: (width, height) of the upright frames in square pixels. `fps`: frames per second on average.
    `promised`: the number of frames that the file announces; 0 where it announces none.
    `comment`: what the file says of itself; empty where it says nothing.
    """

    def __init__(self, source: str | Path | BinaryIO, container: av.container.InputContainer, max_pixels: int):
        self._source, self._container, self._max_pixels = source, container, max_pixels
        streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
        if not streams:
            raise MediaError(source, "undecodable", "has no video stream")
        self._stream = stream = streams[0]
        # A file that ends within its index has a stream of which nothing is known.
        if stream.codec_context is None:
            raise MediaError(
                source, "undecodable", "cannot be decoded as video (it ends too early, or its codec is unknown)"
            )
        stream.codec_context.thread_count = 1  # callers read many files at once
        self._refuse_size(stream.codec_context.width, stream.codec_context.height)
        self.fps = float(stream.average_rate or stream.guessed_rate or 1)
        self.promised = stream.frames
        self.comment = next((text for name, text in container.metadata.items() if name.lower() == "comment"), "")
        self._aspect = stream.sample_aspect_ratio or Fraction(1)
        self.size = self._upright(stream.codec_context.width, stream.codec_context.height, turned=False)
        self._orientation = (False, False, False)  # known with the first frame, and the same for all
        # One converter a size, on one thread: made anew for each frame it takes longer than decoding small ones.
        self._converters: dict[tuple[int, int], VideoReformatter] = {}

    def frames(self) -> Iterator[Frame]:
        """Yield every frame in the order of presentation.

        Raises:
            MediaError: if the file cannot be decoded to its end, or ends before its promised frames do.
        """
        first: float | None = None
        count = 0
        for frame in self._decoded():
            self._refuse_size(frame.width, frame.height)  # it may change on the way
            time = float(frame.time) if frame.time is not None else count / self.fps
            if first is None:
                first = time
                self._orientation = _orientation(frame)
                self.size = self._upright(frame.width, frame.height, self._orientation[0])
            count += 1
            yield Frame(self, frame, time - first)
        if not count:
            raise MediaError(self._source, "undecodable", "holds no frames")
        if self.promised and not self._is_nearly_whole(count):
            raise MediaError(self._source, "truncated", f"announces {self.promised} frames and holds {count}")

    def read(
        self,
        max_frames: int | None = None,
        *,
        fps: float | None = None,
        size: Callable[[int, int], tuple[int, int]] | None = None,
    ) -> tuple[np.ndarray, float]:
        """Return the frames `uint8 [T, H, W, 3]` and their rate, as `read_video` does."""
        most = math.inf if max_frames is None else max_frames
        limit, target = 0, self.size  # of frames that are held; their size
        pictures: list[_Picture] = []
        shown = ((frame, 1) for frame in self.frames()) if fps is None else sample(self.frames(), fps)
        for frame, count in shown:
            if not count:
                continue
            if not pictures:
                target = size(*self.size) if size else self.size
                limit = max(1, MAX_VIDEO_PIXELS // (target[0] * target[1]))
                if fps is None:
                    self._refuse_length(min(most, self.promised), limit, target)
            picture = _Picture(frame.rgb(target), frame.start_s, frame.end_s)
            pictures += [picture] * int(min(count, most - len(pictures), limit + 1 - len(pictures)))
            self._refuse_length(len(pictures), limit, target)
            if len(pictures) >= most:
                break
        if fps is None:
            fps = _typical_rate(pictures, self.fps)
            if _is_variable(pictures):
                repeated = [(p, min(count, limit + 1)) for p, count in sample(pictures, fps, slack=0.5)]
                self._refuse_length(min(most, sum(count for _, count in repeated)), limit, target)
                pictures = [picture for picture, count in repeated for _ in range(count)][:max_frames]
        return np.stack([picture.rgb for picture in pictures]), fps

    def _decoded(self) -> Iterator[av.VideoFrame]:
        count = 0
        with _decoding_errors(self._source):
            try:
                for frame in self._container.decode(self._stream):
                    yield frame
                    count += 1
            except av.FFmpegError:
                if not self._is_nearly_whole(count):
                    raise

    def _is_nearly_whole(self, count: int) -> bool:
        """Say whether so few of the promised frames are missing that a person would not mind."""
        enough = 0.95 * self.promised - 2
        if not self.promised or not count or count >= enough:
            return bool(self.promised and count)
        # What an edit list leaves out is announced, but never shown.
        return count + sum(entry.is_discard for entry in self._stream.index_entries) >= enough

    def convert(self, frame: av.VideoFrame, size: tuple[int, int]) -> np.ndarray:
        """Return a frame upright, as RGB `uint8 [H, W, 3]`, scaled to `size` (width, height)."""
        transposed, mirrored, flipped = self._orientation
        stored = size[::-1] if transposed else size
        converter = self._converters.setdefault(stored, VideoReformatter())
        picture = converter.reformat(frame, *stored, format="rgb24", interpolation="AREA", threads=1).to_ndarray()
        if transposed:
            picture = picture.swapaxes(0, 1)
        return np.ascontiguousarray(picture[:: -1 if flipped else 1, :: -1 if mirrored else 1])

    def _upright(self, width: int, height: int, turned: bool) -> tuple[int, int]:
        width = max(1, round(width * self._aspect))
        return (height, width) if turned else (width, height)

    def _refuse_length(self, frames: float, limit: int, size: tuple[int, int]) -> None:
        if frames > limit:
            problem = f"has more than {limit:,} frames of {size[0]}x{size[1]} pixels, too many to be held at once"
            raise MediaError(self._source, "too_large", problem)

    def _refuse_size(self, width: int, height: int) -> None:
        if width * height > self._max_pixels:
            problem = f"has frames of {width}x{height} pixels; at most {self._max_pixels:,} are decoded"
            raise MediaError(self._source, "too_large", problem)


@contextmanager
def open_video(
    source: str | Path | BinaryIO,
    *,
    formats: str = CONTAINERS,
    max_pixels: int = MAX_FRAME_PIXELS,
    max_samples: int | None = None,
) -> Iterator[Video]:
    """Open a video, which is closed at the end of the `with` block.

    Args:
        source: a path, or a file that can be read and searched.
        formats: FFmpeg's names of the container formats that are allowed, separated by commas.
        max_pixels: of one frame; what announces or brings more is refused before it is decoded.
        max_samples: that an MP4 may announce, of all its tracks; see `refuse_impossible_counts`.

    Raises:
        MediaError: if there is no such file, it holds no video, or one that is too large.
    """
    require_file(source)
    refuse_impossible_counts(source, max_samples)
    # The decoder itself refuses larger frames too, where nothing announced them.
    place = str(Path(source).absolute()) if isinstance(source, str | Path) else source  # "concat:x" is a file name too
    options = {"format_whitelist": formats, "max_pixels": str(max_pixels)}
    with _decoding_errors(source):
        container = av.open(place, mode="r", options=options, metadata_errors="replace")
    with container:
        yield Video(source, container, max_pixels)


def read_video(
    source: str | Path | BinaryIO,
    max_frames: int | None = None,
    *,
    fps: float | None = None,
    size: Callable[[int, int], tuple[int, int]] | None = None,
) -> tuple[np.ndarray, float]:
    """Read a video's frames `uint8 [T, H, W, 3]` and its frames per second.

    Args:
        source: a path, or a file that can be read and searched.
        max_frames: read no more than these.
        fps: the rate to sample at. Without it every frame is read once; a video of variable frame rate is sampled at
            the rate that most of its frames have.
        size: returns the size (width, height) to scale to, of the size of the video; the latter if not given.

    Raises:
        MediaError: if there is no such file, it cannot be decoded, or its frames would take too much memory.
    """
    with open_video(source) as video:
        return video.read(max_frames, fps=fps, size=size)


def sample(frames: Iterable[T], fps: float, slack: float = ROUNDING) -> Iterator[tuple[T, int]]:
    """Yield each frame with how many of the instants 0, 1/fps, 2/fps, ... a player shows it at; 0 for some.

    A frame that is up to `slack` of 1/fps late counts as in time. Looks one frame ahead.
    """

    def instants_before(time_s: float) -> int:
        return math.ceil(time_s * fps - slack)

    shown: T | None = None
    emitted = 0
    for frame in frames:
        if shown is not None:
            count = max(0, instants_before(frame.start_s) - emitted)
            yield shown, count
            emitted += count
        shown = frame
    if shown is not None:
        yield shown, max(0, instants_before(shown.end_s) - emitted)


@dataclass(frozen=True)
class _Picture:
    rgb: np.ndarray
    start_s: float
    end_s: float


def _periods(pictures: Sequence[_Picture]) -> np.ndarray:
    return np.diff([picture.start_s for picture in pictures])


def _is_variable(pictures: Sequence[_Picture]) -> bool:
    """Say whether some frame is shown for half as long again, or half as long, as most are."""
    if len(pictures) < 3:
        return False
    periods = _periods(pictures)
    ratios = periods / max(float(np.median(periods)), 1e-9)
    return bool((ratios > 1.5).any() or (ratios < 0.5).any())


def _typical_rate(pictures: Sequence[_Picture], average: float) -> float:
    """Return the frames per second of a constant rate, or for a variable one the rate that most frames have."""
    if not _is_variable(pictures):
        return average
    periods = _periods(pictures)
    median = float(np.median(periods))
    usual = periods[(periods >= 0.5 * median) & (periods <= 1.5 * median)]
    return float(1 / usual.mean()) if median > 0 else average


def _orientation(frame: av.VideoFrame) -> tuple[bool, bool, bool]:
    """Return whether rows and columns change places, then left and right, then top and bottom.

    The display matrix (ISO/IEC 14496-12, 6.2.2) takes column p and row q to x = a p + c q, y = b p + d q; turns by
    other angles than quarters are taken as the nearest.
    """
    side_data = cast(Mapping[str, Buffer], frame.side_data).get("DISPLAYMATRIX")
    if side_data is None:
        return False, False, False
    a, b, _, c, d = np.frombuffer(bytes(side_data), np.int32)[:5].tolist()
    if abs(b) + abs(c) > abs(a) + abs(d):
        return True, c < 0, b < 0
    return False, a < 0, d < 0


@contextmanager
def _decoding_errors(source: str | Path | BinaryIO) -> Iterator[None]:
    try:
        yield
    except (av.FFmpegError, ValueError, MemoryError) as error:
        reason = str(getattr(error, "strerror", None) or error).rstrip(".")
        raise MediaError(source, "undecodable", f"cannot be decoded as video ({reason})") from error
