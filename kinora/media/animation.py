"""Animated GIF and WebP that play for ever, written frame by frame: no more than one frame is held.

Pillow compresses each frame as a file of its own, and the parts of these files are put together here (GIF89a; WebP
container specification, RFC 9649). Its own writers of animations hold all frames.
"""

import io
import json
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from kinora.media.comment import Metadata, metadata_text
from kinora.media.images import IMAGE_DESCRIPTION

Write = Callable[[np.ndarray], None]
# GIF counts hundredths of a second, and browsers slow down what is shown for less than two of them.
GIF_MAX_FPS = 50.0
ANIMATED, WITH_EXIF = 0x02, 0x08  # flags of WebP's VP8X
NOT_BLENDED = 0x02  # a flag of WebP's ANMF


@contextmanager
def gif_writer(path: Path, fps: float, metadata: Metadata | None) -> Iterator[Write]:
    """Yield what appends frames `uint8 [T, H, W, 3]` to a GIF, the metadata in its comment."""
    text = metadata_text(metadata)
    duration = _durations(fps, 100)
    with open(path, "wb") as file:

        def write(frames: np.ndarray) -> None:
            for frame in frames:
                if not file.tell():
                    height, width = frame.shape[:2]
                    file.write(b"GIF89a" + struct.pack("<HHBBB", width, height, 0x70, 0, 0))
                    file.write(b"\x21\xff\x0bNETSCAPE2.0" + _sub_blocks(b"\x01\0\0"))  # play for ever
                    if text:
                        file.write(b"\x21\xfe" + _sub_blocks(text.encode()))
                file.write(struct.pack("<BBBBHBB", 0x21, 0xF9, 4, 1 << 2, next(duration), 0, 0))
                file.write(_gif_frame(frame))

        yield write
        file.write(b";")


@contextmanager
def webp_writer(path: Path, fps: float, metadata: Metadata | None) -> Iterator[Write]:
    """Yield what appends frames `uint8 [T, H, W, 3]` to a WebP, the metadata in its EXIF."""
    duration = _durations(fps, 1000)
    with open(path, "wb") as file:

        def write(frames: np.ndarray) -> None:
            for frame in frames:
                size = _three(frame.shape[1] - 1) + _three(frame.shape[0] - 1)
                if not file.tell():
                    file.write(b"RIFF\0\0\0\0WEBP")
                    flags = ANIMATED | (WITH_EXIF if metadata else 0)
                    file.write(_chunk(b"VP8X", bytes([flags, 0, 0, 0]) + size))
                    file.write(_chunk(b"ANIM", bytes(6)))  # no background, play for ever
                place = _three(0) + _three(0) + size + _three(next(duration)) + bytes([NOT_BLENDED])
                file.write(_chunk(b"ANMF", place + _webp_frame(frame)))

        yield write
        if metadata:
            exif = Image.Exif()
            exif[IMAGE_DESCRIPTION] = json.dumps(metadata)  # the tag holds ASCII
            file.write(_chunk(b"EXIF", exif.tobytes().removeprefix(b"Exif\0\0")))
        length = file.tell()
        file.seek(4)
        file.write(struct.pack("<I", length - 8))


def _gif_frame(frame: np.ndarray) -> bytes:
    """Return a GIF's image block of `uint8 [H, W, 3]`, with a palette of its own."""
    buffer = io.BytesIO()
    # Without dithering: dots that change from frame to frame shimmer.
    Image.fromarray(frame).quantize(256, dither=Image.Dither.NONE).save(buffer, "GIF", interlace=0)
    file = buffer.getvalue()
    bits = file[10] & 0x07  # the palette has 2^(bits + 1) colours
    start = 13 + 3 * 2 ** (bits + 1)  # after the palette
    assert file[10] & 0x80
    assert file[start] == 0x2C  # the image block follows at once
    place = file[start : start + 9]
    return place + bytes([0x80 | bits]) + file[13:start] + file[start + 10 : -1]


def _webp_frame(frame: np.ndarray) -> bytes:
    """Return the chunk of a still WebP that holds `uint8 [H, W, 3]`."""
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, "WEBP", quality=90, method=4)
    return buffer.getvalue()[12:]


def _durations(fps: float, ticks: int) -> Iterator[int]:
    """Yield how long each frame is shown, in whole 1/`ticks` s, so that no frame is more than half a tick off."""
    number = start = 0
    while True:
        number += 1
        end = round(number * ticks / fps)
        yield end - start
        start = end


def _sub_blocks(data: bytes) -> bytes:
    """Return data in GIF's blocks of at most 255 bytes, with the empty one at their end."""
    blocks = [data[start : start + 255] for start in range(0, len(data), 255)]
    return b"".join(bytes([len(block)]) + block for block in blocks) + b"\0"


def _chunk(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def _three(number: int) -> bytes:
    return number.to_bytes(3, "little")
