"""Reading video files as frames `uint8 [T, H, W, 3]`, RGB, by PyAV: the one decoder of every part of the project.

A frame comes out as a player shows it: turned and mirrored as the display matrix says, with square pixels, whole where
it was interlaced, HDR as SDR, every frame of a file at the size of its first. Times are seconds from the first frame.
A file that is damaged or shorter than it announces is refused, by everything that reads: no part of the project is
served by half a clip that looks like a whole one.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TypeVar, cast

import av
import cv2
import numpy as np
from av.buffer import Buffer
from av.stream import Disposition
from av.video.reformatter import VideoReformatter

from kinora.media.bitstream import holds_forbidden_bytes, length_size
from kinora.media.colour import is_hdr, matrix_of, tone_mapped
from kinora.media.errors import MediaError, Source, require_file
from kinora.media.formats import CONTAINERS
from kinora.media.interlaced import deinterlaced
from kinora.media.limits import LIMITS, MediaLimits
from kinora.media.listening import is_cut_short, listening
from kinora.media.mp4 import ends_within_a_box, refuse_impossible_counts
from kinora.media.timing import is_variable, sample, typical_rate

R = TypeVar("R")
MAX_VIDEO_PIXELS = 2**30  # of all frames that are held at once: 3 GiB
# Containers whose header says how long they are, before anything of it is decoded.
ANNOUNCE_LENGTH = {"mov", "matroska", "webm", "flv", "asf"}
# Containers that a recorder may have joined in the middle: what comes before the first key frame is no damage.
BEGIN_ANYWHERE = {"mpegts", "mpeg"}
LATE = 0.06  # seconds that a file may be shorter than it announces, which rounds its times
# Decoded pictures whose first plane is luma or grey of 8 bits a pixel.
WITH_LUMA = {"gray", "nv12", "nv21", "yuv410p", "yuv411p"}
WITH_LUMA |= {f"yuv{full}{colour}p" for full in ("", "j") for colour in ("420", "422", "440", "444")}


class Frame:
    """One decoded frame, converted to RGB only when it is asked for."""

    def __init__(self, video: "Video", frame: av.VideoFrame, start_s: float, since_last_s: float):
        self._video, self._frame, self.start_s, self._since_last_s = video, frame, start_s, since_last_s

    @property
    def end_s(self) -> float:
        """When the frame ends if no other follows it."""
        period = 1 / self._video.fps
        own = float(self._frame.duration * (self._frame.time_base or 0)) or self._since_last_s or period
        # Containers round durations, so that a constant rate tells more of them.
        return self.start_s + (period if abs(own - period) < 0.1 * period else own)

    def rgb(self, size: tuple[int, int] | None = None) -> np.ndarray:
        """Return the upright frame, `uint8 [H, W, 3]`, scaled to `size` (width, height) or that of the video."""
        return self._video.convert(self._frame, size or self._video.size)

    def thumbnail(self, side: int) -> np.ndarray:
        """Return the frame as it is stored, as grey `uint8 [side, side]`: quick, to tell frames from each other.

        Of large frames each pixel is the mean of some of those that it stands for.
        """
        frame = self._frame
        if frame.format.name not in WITH_LUMA:
            return self._video.grey(frame, side)
        plane = frame.planes[0]
        luma = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)  # type: ignore[call-overload]  # a buffer
        rows, columns = (max(1, pixels // (4 * side)) for pixels in (frame.height, frame.width))
        some = luma[rows // 2 : frame.height : rows, columns // 2 : frame.width : columns]
        return np.asarray(cv2.resize(np.ascontiguousarray(some), (side, side), interpolation=cv2.INTER_AREA))


class Video:
    """An open video file; `frames` reads it once, from its start.

    `size`: (width, height) of the upright frames in square pixels. `fps`: frames per second on average.
    `promised`: the number of frames that the file announces; 0 where it announces none.
    `comment`: what the file says of itself; empty where it says nothing.
    """

    def __init__(self, source: Source, container: av.container.InputContainer, limits: MediaLimits):
        self._source, self._container, self._limits = source, container, limits
        self._formats = set(container.format.name.split(","))
        self._stream = stream = self._picture_stream()
        stream.codec_context.thread_count = 1  # callers read many files at once
        self._refuse_size(stream.codec_context.width, stream.codec_context.height)
        self.fps = float(stream.average_rate or stream.guessed_rate or 0) or 1.0
        self.promised = stream.frames
        self._refuse_header()
        self.comment = next((text for name, text in container.metadata.items() if name.lower() == "comment"), "")
        self._aspect = stream.sample_aspect_ratio or Fraction(1)
        self.size = self._upright(stream.codec_context.width, stream.codec_context.height, turned=False)
        self._orientation = (False, False, False)  # known with the first frame, and the same for all
        self._reached = 0.0  # where the packets of all streams end, in seconds of the file's own clock
        self._pictures: tuple[float, float] | None = None  # where the first and the last picture start
        self._unit_length_size = length_size(stream.codec_context)
        self._decoded_frames = 0
        # One converter a size, on one thread: made anew for each frame it takes longer than decoding small ones.
        self._converters: dict[tuple[int, int], VideoReformatter] = {}

    def frames(self) -> Iterator[Frame]:
        """Yield every frame in the order of presentation.

        Raises:
            MediaError: if the file is damaged, or ends before its promised frames and seconds do.
        """
        first: float | None = None
        last = 0.0
        for number, frame in enumerate(deinterlaced(self._decoded())):
            time = float(frame.time) if frame.time is not None else number / self.fps
            if first is None:
                first = last = time
                self._place(frame)
            yield Frame(self, frame, time - first, time - last)
            last = time

    def key_frames(self, most_seconds: float, apart_s: float) -> Iterator[Frame]:
        """Yield key frames, at least `apart_s` from each other; what lies between is not decoded, nor found damaged.

        Raises:
            MediaError: if a key frame cannot be decoded.
        """
        start: float | None = None
        following = 0.0
        packets = self._container.demux(self._stream)
        while (packet := self._watched(lambda: next(packets, None))) is not None:
            if packet.size and (not packet.is_keyframe or packet.is_corrupt):
                continue
            time = float(packet.pts * packet.time_base) if packet.pts is not None and packet.time_base else 0.0
            start = time if start is None else start
            if packet.size and time - start < following:
                continue
            following = time - start + apart_s
            with _decoding_errors(self._source):
                frames = packet.decode()
            for frame in frames:
                self._refuse_size(frame.width, frame.height)
                self._place(frame)
                yield Frame(self, frame, time - start, 0.0)
            if time - start > most_seconds:
                return

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

    def convert(self, frame: av.VideoFrame, size: tuple[int, int]) -> np.ndarray:
        """Return a frame upright, as RGB `uint8 [H, W, 3]`, scaled to `size` (width, height)."""
        transposed, mirrored, flipped = self._orientation
        stored = size[::-1] if transposed else size
        if is_hdr(frame.color_trc):
            codes = self._scaled(frame, stored, "rgb48le")
            picture = tone_mapped(codes, frame.color_trc, frame.color_primaries)
        else:
            picture = self._scaled(frame, stored, "rgb24")
        if transposed:
            picture = picture.swapaxes(0, 1)
        return np.ascontiguousarray(picture[:: -1 if flipped else 1, :: -1 if mirrored else 1])

    def grey(self, frame: av.VideoFrame, side: int) -> np.ndarray:
        """Return a frame as it is stored, as grey `uint8 [side, side]`."""
        return self._scaled(frame, (side, side), "gray8")

    def _scaled(self, frame: av.VideoFrame, size: tuple[int, int], pixels: str) -> np.ndarray:
        converter = self._converters.setdefault(size, VideoReformatter())
        matrix = matrix_of(frame)
        with _decoding_errors(self._source):
            scaled = converter.reformat(
                frame, *size, format=pixels, src_colorspace=matrix, interpolation="AREA", threads=1
            )
            return np.asarray(scaled.to_ndarray())

    def _picture_stream(self) -> av.VideoStream:
        """Return the first video stream that can be decoded and is no cover picture."""
        streams = [s for s in self._container.streams.video if not s.disposition & Disposition.attached_pic]
        if not streams:
            raise MediaError(self._source, "undecodable", "has no video stream")
        # A file that ends within its index has a stream of which nothing is known.
        known = next((stream for stream in streams if stream.codec_context is not None), None)
        if known is None:
            problem = "cannot be decoded as video (it ends too early, or its codec is unknown)"
            raise MediaError(self._source, "undecodable", problem)
        return known

    def _decoded(self) -> Iterator[av.VideoFrame]:
        """Yield the frames of the file, each found undamaged."""
        begun = not BEGIN_ANYWHERE & self._formats
        packets = self._container.demux()  # of all streams: sound may go on longer than the picture
        ticks = {stream.index: float(stream.time_base or 0) for stream in self._container.streams}
        while (packet := self._watched(lambda: next(packets, None))) is not None:
            index = packet.stream.index
            if packet.dts is not None and index in ticks:
                start = (packet.dts if packet.pts is None else packet.pts) * ticks[index]
                self._reached = max(self._reached, start + (packet.duration or 0) * ticks[index])
                if index == self._stream.index:
                    earliest, latest = self._pictures or (start, start)
                    self._pictures = (min(earliest, start), max(latest, start))
            if index != self._stream.index:
                continue
            for frame in self._frames_of(cast("av.Packet[av.VideoStream]", packet), begun):
                begun = True
                self._decoded_frames += 1
                self._refuse_size(frame.width, frame.height)  # it may change on the way
                yield frame
        self._refuse_short()

    def _frames_of(self, packet: "av.Packet[av.VideoStream]", begun: bool) -> list[av.VideoFrame]:
        """Return the frames that a packet completes; before the first key frame, none that is damaged."""
        if begun:
            frames = self._watched(packet.decode)
            if packet.is_corrupt or holds_forbidden_bytes(bytes(packet), self._unit_length_size):
                raise self._damaged("parts of it are missing or overwritten")
            if any(frame.is_corrupt for frame in frames):
                raise self._damaged("its decoder marks a frame as corrupt")
            return frames
        try:
            with listening() as said:
                frames = packet.decode()
        except av.FFmpegError:
            return []
        good = [not said and not frame.is_corrupt for frame in frames]
        first = next((i for i, frame in enumerate(frames) if good[i] and frame.key_frame), len(frames))
        return frames[first:]

    def _watched(self, action: Callable[[], R]) -> R:
        """Return what an action does; refuse the file where libav raises an error, or only says that there is one."""
        try:
            with listening() as said:
                done = action()
        except (av.FFmpegError, ValueError, MemoryError) as error:
            raise _undecodable(self._source, error, said, self._decoded_frames) from error
        if said:
            raise self._damaged(said[0])
        return done

    def _damaged(self, what: str) -> MediaError:
        return _damaged(self._source, what, self._decoded_frames)

    def _refuse_short(self) -> None:
        """Refuse a file that holds less than it announces."""
        count = self._decoded_frames
        if not count:
            raise MediaError(self._source, "undecodable", "holds no frames")
        entries, is_avi = self._stream.index_entries, "avi" in self._formats
        # AVI also counts repeats of the frame before, which are in no index. What an edit list leaves out is in it, but
        # never shown.
        frames = len(entries) if is_avi else self.promised
        if count < frames and count + sum(entry.is_discard for entry in entries) < frames:
            raise MediaError(self._source, "truncated", f"announces {frames} frames and holds {count}")
        earliest, latest = self._pictures or (0.0, 0.0)
        period = max(1 / self.fps, (latest - earliest) / max(1, count - 1))
        reached = max(self._reached, latest + period)  # not every container says how long its last frame is shown
        seconds, late = self.promised / self.fps if is_avi else 0.0, 0.5 * period
        if ANNOUNCE_LENGTH & self._formats:
            seconds, late = max(seconds, (self._container.duration or 0) / 1e6), max(LATE, 1.5 * period)
        if reached < seconds - late:
            problem = f"announces {seconds:.2f} s and ends after {reached:.2f} s"
            raise MediaError(self._source, "truncated", problem)

    def _place(self, frame: av.VideoFrame) -> None:
        self._orientation = _orientation(frame)
        self.size = self._upright(frame.width, frame.height, self._orientation[0])

    def _upright(self, width: int, height: int, turned: bool) -> tuple[int, int]:
        width = max(1, round(width * self._aspect))
        return (height, width) if turned else (width, height)

    def _refuse_length(self, frames: float, limit: int, size: tuple[int, int]) -> None:
        if frames > limit:
            problem = f"has more than {limit:,} frames of {size[0]}x{size[1]} pixels, too many to be held at once"
            raise MediaError(self._source, "too_large", problem)

    def _refuse_size(self, width: int, height: int) -> None:
        if width * height > self._limits.pixels:
            problem = f"has frames of {width}x{height} pixels; at most {self._limits.pixels:,} are decoded"
            raise MediaError(self._source, "too_large", problem)

    def _refuse_header(self) -> None:
        limits, seconds = self._limits, (self._container.duration or 0) / 1e6
        for number, most, unit in (
            (len(self._container.streams), limits.streams, "streams"),
            (self.promised, limits.frames, "frames"),
            (round(seconds), limits.seconds, "seconds"),
        ):
            if number > most:
                raise MediaError(self._source, "too_large", f"announces {number:,} {unit}; at most {most:,} are read")


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
    refuse_impossible_counts(source, limits.samples)
    # The decoder itself refuses larger frames too, where nothing announced them.
    place = str(Path(source).absolute()) if isinstance(source, str | Path) else source  # "concat:x" is a file name too
    options = {"format_whitelist": formats, "max_pixels": str(limits.pixels)}
    with _decoding_errors(source) as said:
        container = av.open(place, mode="r", options=options, metadata_errors="replace")
    with container:
        if said and not BEGIN_ANYWHERE & set(container.format.name.split(",")):
            raise _damaged(source, said[0], 0)
        with _decoding_errors(source):
            video = Video(source, container, limits)
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


def _orientation(frame: av.VideoFrame) -> tuple[bool, bool, bool]:
    """Return whether rows and columns change places, then left and right, then top and bottom.

    The display matrix (ISO/IEC 14496-12, 6.2.2) takes column p and row q to x = a p + c q, y = b p + d q; turns by
    other angles than quarters are taken as the nearest.
    """
    try:
        side_data = cast(Mapping[str, Buffer], frame.side_data).get("DISPLAYMATRIX")
    except ValueError:  # PyAV does not know of some kind of it, and then shows none; it still tells quarter turns
        turned = frame.rotation % 360
        return turned in (90, 270), turned in (90, 180), turned in (180, 270)
    if side_data is None:
        return False, False, False
    a, b, _, c, d = np.frombuffer(bytes(side_data), np.int32)[:5].tolist()
    if abs(b) + abs(c) > abs(a) + abs(d):
        return True, c < 0, b < 0
    return False, a < 0, d < 0


def _damaged(source: Source, what: str, frames: int) -> MediaError:
    if "exceeds specified max pixel count" in what:
        return MediaError(source, "too_large", f"has frames of too many pixels ({what.partition(', see')[0]})")
    if is_cut_short(what) or ends_within_a_box(source):
        return MediaError(source, "truncated", f"ends too early ({what})")
    where = f"after {frames} frames" if frames else "at its beginning"
    return MediaError(source, "corrupt", f"is damaged {where} ({what})")


def _undecodable(source: Source, error: Exception, said: list[str], frames: int) -> MediaError:
    what = said[0] if said else str(getattr(error, "strerror", None) or error).rstrip(".")
    if frames or "max pixel count" in what or is_cut_short(what) or ends_within_a_box(source):
        return _damaged(source, what, frames)
    if "Format not on whitelist" in what:
        what = "its format is none of those that are read, such as a playlist or a list of other files"
    return MediaError(source, "undecodable", f"cannot be decoded as video ({what})")


@contextmanager
def _decoding_errors(source: Source) -> Iterator[list[str]]:
    """Turn what libav raises in the `with` block into one sentence; yield what it only logs, filled at the end."""
    try:
        with listening() as said:
            yield said
    except (av.FFmpegError, ValueError, MemoryError) as error:
        raise _undecodable(source, error, said, 0) from error
