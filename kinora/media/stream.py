"""The picture of a video file: its frames in order, each found undamaged, and the file found as long as it announces.

A decoder conceals damage, so that what libav says, what it marks and what the packets hold are all looked at.
"""

from collections.abc import Iterator
from fractions import Fraction
from typing import TypeAlias, cast

import av
from av.stream import Disposition

from kinora.media.bitstream import holds_forbidden_bytes, length_size
from kinora.media.errors import MediaError, Source
from kinora.media.limits import MediaLimits
from kinora.media.listening import listening
from kinora.media.packets import refuse_torn
from kinora.media.refusals import refusal, refusing

Packet: TypeAlias = "av.Packet[av.stream.Stream]"
# Containers whose header says how long they are, before anything of it is decoded.
ANNOUNCE_LENGTH = {"mov", "matroska", "webm", "flv", "asf"}
# Containers that a recorder may have joined in the middle: what comes before the first key frame is no damage.
BEGIN_ANYWHERE = {"mpegts", "mpeg"}
FRAMES_TOGETHER, PIXELS_TOGETHER = 16, 2**20  # at most, but always one frame
LATE = 0.06  # seconds that a file may be shorter than it announces, which rounds its times


class PictureStream:
    """The first video stream of an open file that can be decoded and is no cover picture.

    `size`: (width, height) as announced, of frames as they are stored. `aspect`: width of a pixel by its height. `fps`:
    frames per second on average. `promised`: the number of frames that the file announces; 0 where it announces none.

    Raises:
        MediaError: if there is none, or the file announces more than the limits allow.
    """

    def __init__(self, source: Source, container: av.container.InputContainer, limits: MediaLimits):
        self._source, self._container, self._limits = source, container, limits
        self._formats = container_names(container)
        self._stream = stream = _picture_stream(source, container)
        context = stream.codec_context
        context.thread_count = 1  # callers read many files at once
        self.size = context.width, context.height
        self.aspect = stream.sample_aspect_ratio or Fraction(1)
        self.fps = float(stream.average_rate or stream.guessed_rate or 0) or 1.0
        self.promised = stream.frames
        self._refuse_header()
        self._unit_length_size = length_size(context)
        self._index = stream.index
        self._ticks = {stream.index: float(stream.time_base or 0) for stream in container.streams}
        self._begun = not BEGIN_ANYWHERE & self._formats
        self._decoded = 0  # frames
        self._reached = 0.0  # where the packets of all streams end, in seconds of the file's own clock
        self._earliest: float | None = None  # where the first picture starts
        self._latest: float | None = None  # where the last one does

    def frames(self) -> Iterator[av.VideoFrame]:
        """Yield the frames of the file, once, from its start.

        Raises:
            MediaError: if the file is damaged, or holds less than it announces.
        """
        packets = self._container.demux()  # of all streams: sound may go on longer than the picture
        ended = False
        while not ended:
            ready: list[av.VideoFrame] = []
            try:
                ended = self._decode_some(packets, ready)
            except MediaError:
                yield from ready  # what comes before the damage
                raise
            yield from ready
        self._refuse_short()
        refuse_torn(self._source, self._formats, self._stream.id)

    def _decode_some(self, packets: Iterator[Packet], ready: list[av.VideoFrame]) -> bool:
        """Add the next frames to `ready`; say whether the file has ended.

        A few together, because listening to libav takes a while to begin; each packet is still judged by itself.
        """
        pixels = 0
        with (watch := refusing(self._source, self._decoded)) as said:
            while pixels < PIXELS_TOGETHER and len(ready) < FRAMES_TOGETHER:
                packet = next(packets, None)
                watch.hear()
                if said:
                    raise self._damaged(said[0])
                if packet is None:
                    return True
                self._count(packet)
                if packet.stream.index != self._index:
                    continue
                for frame in self._frames_of(packet, watch, said):
                    self._begun = True
                    self._decoded += 1
                    watch.frames = self._decoded
                    self._limits.refuse_pixels(self._source, frame.width, frame.height)  # they may change on the way
                    pixels += frame.width * frame.height
                    ready.append(frame)
        return False

    def _count(self, packet: Packet) -> None:
        """Take notice of where a packet is in time."""
        index, dts, pts = packet.stream.index, packet.dts, packet.pts
        tick = self._ticks.get(index)
        if dts is None or tick is None:
            return
        start = (dts if pts is None else pts) * tick
        end = start + (packet.duration or 0) * tick
        if end > self._reached:
            self._reached = end
        if index == self._index:
            if self._earliest is None or start < self._earliest:
                self._earliest = start
            if self._latest is None or start > self._latest:
                self._latest = start

    def _frames_of(self, packet: Packet, watch: refusing, said: list[str]) -> list[av.VideoFrame]:
        """Return the frames that a packet completes; before the first key frame, none that cannot be decoded."""
        if self._begun:
            frames = cast("av.Packet[av.VideoStream]", packet).decode()
            watch.hear()
            if said:
                raise self._damaged(said[0])
            self._refuse_damaged_bytes(packet)
            for frame in frames:
                if frame.is_corrupt:
                    raise self._damaged("its decoder marks a frame as corrupt")
            return frames
        try:
            with listening() as damage:
                frames = cast("av.Packet[av.VideoStream]", packet).decode()
        except av.FFmpegError:
            frames = []
        self._refuse_damaged_bytes(packet)  # what a recorder joined in the middle is whole from there on
        good = [not damage and not frame.is_corrupt for frame in frames]
        first = next((i for i, frame in enumerate(frames) if good[i] and frame.key_frame), len(frames))
        return frames[first:]

    def _refuse_damaged_bytes(self, packet: Packet) -> None:
        if packet.is_corrupt or holds_forbidden_bytes(bytes(packet), self._unit_length_size):
            raise self._damaged("parts of it are missing or overwritten")

    def _damaged(self, what: str) -> MediaError:
        return refusal(self._source, what, self._decoded)

    def _refuse_header(self) -> None:
        """Refuse a file that announces more than the limits allow."""
        limits, seconds = self._limits, (self._container.duration or 0) / 1e6
        limits.refuse_pixels(self._source, *self.size)
        for number, most, unit in (
            (len(self._container.streams), limits.streams, "streams"),
            (self.promised, limits.frames, "frames"),
            (round(seconds), limits.seconds, "seconds"),
        ):
            if number > most:
                raise MediaError(self._source, "too_large", f"announces {number:,} {unit}; at most {most:,} are read")

    def _refuse_short(self) -> None:
        """Refuse a file that holds less than it announces."""
        count = self._decoded
        if not count:
            raise MediaError(self._source, "undecodable", "holds no frames")
        entries, is_avi = self._stream.index_entries, "avi" in self._formats
        # AVI also counts repeats of the frame before, which are in no index. What an edit list leaves out is in it, but
        # never shown.
        frames = len(entries) if is_avi else self.promised
        if count < frames and count + sum(entry.is_discard for entry in entries) < frames:
            raise MediaError(self._source, "truncated", f"announces {frames} frames and holds {count}")
        earliest, latest = self._earliest or 0.0, self._latest or 0.0
        period = max(1 / self.fps, (latest - earliest) / max(1, count - 1))
        reached = max(self._reached, latest + period)  # not every container says how long its last frame is shown
        seconds, late = self.promised / self.fps if is_avi else 0.0, 0.5 * period
        if ANNOUNCE_LENGTH & self._formats:
            seconds, late = max(seconds, (self._container.duration or 0) / 1e6), max(LATE, 1.5 * period)
        if reached < seconds - late:
            problem = f"announces {seconds:.2f} s and ends after {reached:.2f} s"
            raise MediaError(self._source, "truncated", problem)


def container_names(container: av.container.InputContainer) -> set[str]:
    """Return FFmpeg's names of a file's container format; related ones share their reader."""
    return set(container.format.name.split(","))


def _picture_stream(source: Source, container: av.container.InputContainer) -> av.VideoStream:
    streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not streams:
        raise MediaError(source, "undecodable", "has no video stream")
    # A file that ends within its index has a stream of which nothing is known.
    known = next((stream for stream in streams if stream.codec_context is not None), None)
    if known is None:
        problem = "cannot be decoded as video (it ends too early, or its codec is unknown)"
        raise MediaError(source, "undecodable", problem)
    return known
