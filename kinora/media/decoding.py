"""Reading video files as frames `uint8 [T, H, W, 3]`, RGB, by PyAV: the one decoder of every part of the project.

A frame comes out as a player shows it: turned and mirrored as the display matrix says, with square pixels, whole where
it was interlaced, HDR as SDR, every frame of a file at the size of its first. Times are seconds from the first frame.
A file that is damaged or shorter than it announces is refused, by everything that reads: no part of the project is
served by half a clip that looks like a whole one.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from kinora.media.errors import MediaError, Source, require_file
from kinora.media.formats import CONTAINERS, moves
from kinora.media.interlaced import deinterlaced
from kinora.media.limits import LIMITS, MediaLimits
from kinora.media.moving import MovingPicture
from kinora.media.mp4 import refuse_impossible_counts
from kinora.media.refusals import refusal, refusing
from kinora.media.stream import BEGIN_ANYWHERE, PictureStream, container_names
from kinora.media.timing import is_variable, sample, typical_rate
from kinora.media.upright import Upright

MAX_VIDEO_PIXELS = 2**30  # of all frames that are held at once: 3 GiB


class Frame:
    """One decoded frame, converted only when it is asked for. `start_s`: when it is shown."""

    __slots__ = ("_frame", "_period_s", "_since_last_s", "_upright", "start_s")

    def __init__(self, frame: av.VideoFrame, upright: Upright, start_s: float, since_last_s: float, period_s: float):
        self._frame, self._upright, self.start_s = frame, upright, start_s
        self._since_last_s, self._period_s = since_last_s, period_s

    @property
    def end_s(self) -> float:
        """When the frame ends if no other follows it."""
        own = float(self._frame.duration * (self._frame.time_base or 0)) or self._since_last_s or self._period_s
        # Containers round durations, so that a constant rate tells more of them.
        return self.start_s + (self._period_s if abs(own - self._period_s) < 0.1 * self._period_s else own)

    def rgb(self, size: tuple[int, int] | None = None) -> np.ndarray:
        """Return the upright frame, `uint8 [H, W, 3]`, scaled to `size` (width, height) or that of the video."""
        return self._upright.rgb(self._frame, size or self._upright.size)

    def luma(self, size: tuple[int, int]) -> np.ndarray:
        """Return the luminance of the upright frame, `uint8 [H, W]` of the full range, scaled to `size`."""
        return self._upright.luma(self._frame, size)

    def thumbnail(self, side: int) -> np.ndarray:
        """Return the upright frame as grey `uint8 [side, side]`: quick, to tell frames from each other.

        Each pixel is the mean of some of those that it stands for.
        """
        return self._upright.grey(self._frame, side)


class Video:
    """An open video file; `frames` reads it once, from its start.

    `fps`: frames per second on average. `promised`: the number of frames that the file announces; 0 where it announces
    none. `comment`: what the file says of itself; empty where it says nothing.
    """

    def __init__(self, source: Source, stream: PictureStream | MovingPicture, comment: str = ""):
        self._source, self._stream, self.comment = source, stream, comment
        self.fps, self.promised = stream.fps, stream.promised
        self._upright = Upright(source, *stream.size, stream.aspect)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the upright frames in square pixels; of a turned file known with the first frame."""
        return self._upright.size

    def frames(self) -> Iterator[Frame]:
        """Yield every frame in the order of presentation.

        Raises:
            MediaError: if the file is damaged, or ends before its promised frames and seconds do.
        """
        first: float | None = None
        last = 0.0
        for number, frame in enumerate(deinterlaced(self._stream.frames())):
            time = float(frame.time) if frame.time is not None else number / self.fps
            if first is None:
                first = last = time
                self._upright.place(frame)
            yield Frame(frame, self._upright, time - first, time - last, 1 / self.fps)
            last = time

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
            fps = typical_rate(pictures, self.fps)
            if is_variable(pictures):
                repeated = [(p, min(count, limit + 1)) for p, count in sample(pictures, fps, slack=0.5)]
                self._refuse_length(min(most, sum(count for _, count in repeated)), limit, target)
                pictures = [picture for picture, count in repeated for _ in range(count)][:max_frames]
        return np.stack([picture.rgb for picture in pictures]), fps

    def _refuse_length(self, frames: float, limit: int, size: tuple[int, int]) -> None:
        if frames > limit:
            problem = f"has more than {limit:,} frames of {size[0]}x{size[1]} pixels, too many to be held at once"
            raise MediaError(self._source, "too_large", problem)


@contextmanager
def open_video(source: Source, *, formats: str = CONTAINERS, limits: MediaLimits = LIMITS) -> Iterator[Video]:
    """Open a video, which is closed at the end of the `with` block.

    Args:
        source: a path, or a file that can be read and searched.
        formats: FFmpeg's names of the container formats that are allowed, separated by commas.
        limits: what announces or brings more is refused before it is decoded.

    Raises:
        MediaError: if there is no such file, it holds no video, or one that is too large.
    """
    require_file(source)
    if formats == CONTAINERS and moves(source):
        yield Video(source, MovingPicture(source, limits))
        return
    refuse_impossible_counts(source, limits.samples)
    # The decoder itself refuses larger frames too, where nothing announced them.
    place = str(Path(source).absolute()) if isinstance(source, str | Path) else source  # "concat:x" is a file name too
    options = {"format_whitelist": formats, "max_pixels": str(limits.pixels)}
    with refusing(source) as said:
        container = av.open(place, mode="r", options=options, metadata_errors="replace")
    with container:
        comment = next((text for name, text in container.metadata.items() if name.lower() == "comment"), "")
        if said and not BEGIN_ANYWHERE & container_names(container):
            raise refusal(source, said[0], 0)
        with refusing(source):
            video = Video(source, PictureStream(source, container, limits), comment)
        yield video


def read_video(
    source: Source,
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
        MediaError: if there is no such file, it cannot be decoded, it is damaged or shorter than it announces, or its
            frames would take too much memory.
    """
    with open_video(source) as video:
        return video.read(max_frames, fps=fps, size=size)


@dataclass(frozen=True)
class _Picture:
    rgb: np.ndarray
    start_s: float
    end_s: float
