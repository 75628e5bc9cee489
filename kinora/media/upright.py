"""Decoded frames as the pictures that a player shows: upright, with square pixels, HDR as SDR."""

from collections.abc import Mapping
from fractions import Fraction
from functools import cache
from typing import cast

import av
import cv2
import numpy as np
from av.buffer import Buffer
from av.video.reformatter import VideoReformatter

from kinora.media.colour import is_hdr, matrix_of, tone_mapped
from kinora.media.errors import Source
from kinora.media.refusals import refusing

# Decoded pictures whose first plane is luma or grey of 8 bits a pixel.
WITH_LUMA = {"gray", "nv12", "nv21", "yuv410p", "yuv411p"}
WITH_LUMA |= {f"yuv{full}{colour}p" for full in ("", "j") for colour in ("420", "422", "440", "444")}
FULL_RANGE = 2  # in AVFrame.color_range
SAMPLES = 4  # a side, of those that a thumbnail's pixel is the mean of


class Upright:
    """Converts the frames of one file.

    `size`: (width, height) of the upright frames in square pixels; before `place`, that of a file that is not turned.

    Args:
        source: the file.
        width, height: of a frame as it is stored.
        aspect: width of a pixel by its height.
    """

    def __init__(self, source: Source, width: int, height: int, aspect: Fraction):
        self._source, self._aspect = source, aspect
        self._orientation = (False, False, False)
        self.size = self._size(width, height)
        # One converter a size, on one thread: made anew for each frame it takes longer than decoding small ones.
        self._converters: dict[tuple[int, int], VideoReformatter] = {}
        self._samples: dict[tuple[int, int, int, int], np.ndarray] = {}  # of thumbnails, by shape of frame and side

    def place(self, first: av.VideoFrame) -> None:
        """Take size and orientation of a file's first frame, which are those of all that follow."""
        self._orientation = _orientation(first)
        self.size = self._size(first.width, first.height)

    def rgb(self, frame: av.VideoFrame, size: tuple[int, int]) -> np.ndarray:
        """Return a frame as RGB `uint8 [H, W, 3]`, scaled to `size` (width, height).

        Raises:
            MediaError: if it cannot be converted.
        """
        stored = size[::-1] if self._orientation[0] else size
        if is_hdr(frame.color_trc):
            codes = self._scaled(frame, stored, "rgb48le")
            return self._turned(tone_mapped(codes, frame.color_trc, frame.color_primaries))
        return self._turned(self._scaled(frame, stored, "rgb24"))

    def luma(self, frame: av.VideoFrame, size: tuple[int, int]) -> np.ndarray:
        """Return the luminance of a frame as `uint8 [H, W]`, of the full range, scaled to `size` (width, height).

        Raises:
            MediaError: if it cannot be converted.
        """
        if frame.format.name not in WITH_LUMA or is_hdr(frame.color_trc):
            return cv2.cvtColor(self.rgb(frame, size), cv2.COLOR_RGB2GRAY)
        stored = size[::-1] if self._orientation[0] else size
        luma = _luma(frame)
        if stored != (frame.width, frame.height):
            luma = cv2.resize(luma, stored, interpolation=cv2.INTER_AREA)
        return self._turned(luma if _is_full(frame) else cv2.LUT(luma, _full_range()))

    def grey(self, frame: av.VideoFrame, side: int) -> np.ndarray:
        """Return a frame as grey `uint8 [side, side]`: quick, to tell frames from each other.

        Each pixel is the mean of `SAMPLES` x `SAMPLES` of those that it stands for.

        Raises:
            MediaError: if it cannot be converted.
        """
        if frame.format.name not in WITH_LUMA:
            return self._turned(self._scaled(frame, (side, side), "gray8"))
        plane = frame.planes[0]
        shape = (frame.width, frame.height, plane.line_size, side)
        samples = self._samples.get(shape)
        if samples is None:
            samples = self._samples[shape] = self._places(*shape)
        luma = np.frombuffer(plane, np.uint8).take(samples)  # type: ignore[call-overload]  # a buffer
        return np.asarray(cv2.reduce(luma, 0, cv2.REDUCE_AVG)).reshape(side, side)

    def _places(self, width: int, height: int, line: int, side: int) -> np.ndarray:
        """Return where in a plane the samples of a thumbnail's upright pixels are, `[SAMPLES**2, side**2]`."""
        rows, columns = (
            ((np.arange(side * SAMPLES) + 0.5) * (length / (side * SAMPLES))).astype(int).reshape(side, SAMPLES)
            for length in (height, width)
        )
        places = self._turned(rows[:, None, :, None] * line + columns[None, :, None, :])
        return np.ascontiguousarray(places.reshape(side**2, SAMPLES**2).T)

    def _scaled(self, frame: av.VideoFrame, size: tuple[int, int], pixels: str) -> np.ndarray:
        converter = self._converters.get(size) or self._converters.setdefault(size, VideoReformatter())
        matrix = matrix_of(frame)
        with refusing(self._source):
            scaled = converter.reformat(
                frame, *size, format=pixels, src_colorspace=matrix, interpolation="AREA", threads=1
            )
            return np.asarray(scaled.to_ndarray())

    def _turned(self, picture: np.ndarray) -> np.ndarray:
        """Return a stored picture `[H, W, ...]` upright."""
        transposed, mirrored, flipped = self._orientation
        if not (transposed or mirrored or flipped):
            return np.ascontiguousarray(picture)
        if transposed:
            picture = picture.swapaxes(0, 1)
        return np.ascontiguousarray(picture[:: -1 if flipped else 1, :: -1 if mirrored else 1])

    def _size(self, width: int, height: int) -> tuple[int, int]:
        width = max(1, round(width * self._aspect))
        return (height, width) if self._orientation[0] else (width, height)


def _luma(frame: av.VideoFrame) -> np.ndarray:
    """Return the first plane of a frame of `WITH_LUMA`: a view `uint8 [H, W]`."""
    plane = frame.planes[0]
    lines = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)  # type: ignore[call-overload]  # a buffer
    return np.asarray(lines[: frame.height, : frame.width])


def _is_full(frame: av.VideoFrame) -> bool:
    """Say whether 0 and 255 are black and white (16 and 235 are in video otherwise)."""
    return frame.color_range == FULL_RANGE or frame.format.name.startswith(("yuvj", "gray"))


@cache
def _full_range() -> np.ndarray:
    """Return the luma of the full range for every one of the range 16 to 235."""
    return np.asarray(np.rint((np.arange(256) - 16) * (255 / 219)).clip(0, 255), np.uint8)


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
