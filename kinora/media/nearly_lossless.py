"""Nearly lossless H.264 in MP4 with colour at full resolution, which training data wants, made with little work.

An encoder takes as long to open as a small clip to encode, so that the last few are kept. Clips are named by their
bytes: those of a clip do not depend on what an encoder wrote before.
"""

import threading
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO, cast

import av
import numpy as np
from av.video.frame import PictureType
from av.video.reformatter import VideoReformatter

from kinora.media.colour import usual_matrix

# A fixed quantizer, because rate control encodes very small frames by what happened to be in memory. Of so many bits
# CABAC would save none that count, and takes twice as long; what flatters the eye costs bytes. Without latency each
# frame gives its packet at once.
OPTIONS = {"qp": "11", "preset": "ultrafast", "tune": "zerolatency", "forced-idr": "1", "x264-params": "cabac=0:psy=0"}
KEPT = 4  # encoders


def write_nearly_lossless(target: str | Path | BinaryIO, frames: np.ndarray, fps: float) -> None:
    """Write frames `uint8 [T, H, W, 3]`, RGB, as H.264 with 4:4:4 colour in MP4."""
    height, width = frames.shape[1:3]
    key = width, height, Fraction(fps).limit_denominator(1001)
    with _lock:
        encoder = _idle.pop(key, None)
    encoder = encoder or _Encoder(*key)
    encoder.write(target, frames)
    with _lock:  # one that failed is not used again
        _idle[key] = encoder
        while len(_idle) > KEPT:
            del _idle[next(iter(_idle))]


class _Encoder:
    """Encodes frames of one size and rate, clip after clip."""

    def __init__(self, width: int, height: int, rate: Fraction):
        context = av.CodecContext.create("libx264", "w")
        context.width, context.height, context.pix_fmt = width, height, "yuv444p"
        context.framerate, context.time_base = rate, 1 / rate
        context.options, context.thread_count = dict(OPTIONS), 1
        self._context, self._matrix, self._converter = context, usual_matrix(width, height), VideoReformatter()
        self._done = 0  # frames
        self._starts = 0  # key frames
        black = np.zeros((height, width, 3), np.uint8)
        for _ in range(2):  # the first packet also holds the encoder's name and settings
            self._packet(black, start=True)

    def write(self, target: str | Path | BinaryIO, frames: np.ndarray) -> None:
        first, context = self._done, self._context
        # A browser can start before the whole file has arrived; the muxer can only do that by opening the file again.
        flags = {"movflags": "faststart"} if isinstance(target, str | Path) else {}
        with av.open(target, mode="w", format="mp4", options=flags) as container:
            size = {"width": context.width, "height": context.height}
            made = container.add_mux_stream("h264", rate=context.framerate, time_base=context.time_base, **size)
            stream = cast(av.VideoStream, made)
            for frame in frames:
                packet = self._packet(frame, start=self._done == first)
                packet.pts = packet.dts = self._done - 1 - first
                packet.stream = stream
                container.mux_one(packet)
        if self._starts % 2:  # key frames are numbered 0, 1, 0, 1, ...: the next clip is to begin with 0 as well
            self._packet(frames[0], start=True)

    def _packet(self, frame: np.ndarray, *, start: bool) -> "av.Packet[av.VideoStream]":
        rgb = av.VideoFrame.from_numpy_buffer(np.ascontiguousarray(frame), format="rgb24")
        coded = self._converter.reformat(
            rgb, format="yuv444p", dst_colorspace=self._matrix, interpolation="BILINEAR", threads=1
        )
        coded.pts = self._done
        coded.pict_type = PictureType.I if start else PictureType.NONE
        (packet,) = self._context.encode(coded)
        self._done += 1
        self._starts += packet.is_keyframe
        return packet


_lock = threading.Lock()
_idle: dict[tuple[int, int, Fraction], _Encoder] = {}
