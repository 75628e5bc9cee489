"""The header of an MP4 file, looked at before FFmpeg opens it.

FFmpeg makes an index entry of about 70 bytes for every sample that an MP4 announces, as soon as it is opened. Where all
samples have one size, a file of a few hundred bytes can announce billions.
"""

import os
import re
import struct
from collections.abc import Iterator
from typing import BinaryIO

from kinora.media.errors import MediaError, Source
from kinora.media.formats import MP4_BOXES, OTHER_STARTS, first_bytes, opened

CHUNK = 2**20
# Names of boxes (ISO/IEC 14496-12), and the bytes of each that are needed.
COUNTS = re.compile(rb"(?:stsz(.{12})|(trun|elst)(.{8}))", re.DOTALL)
PER_SAMPLE_FIELDS = 0x000F00  # flags of `trun`: duration, size, flags or time offset of each sample follow


def refuse_impossible_counts(source: Source, max_samples: int | None = None) -> None:
    """Refuse an MP4 that announces more samples than it has bytes for; other formats pass.

    Args:
        source: a path, or a file that can be searched, which is left at its start.
        max_samples: the most samples of all tracks, times one more than the number of edits (each may repeat all).

    Raises:
        MediaError: if it does.
    """
    if not first_bytes(source).startswith(OTHER_STARTS):
        with opened(source) as file:
            _refuse(source, file, max_samples)


def ends_within_a_box(source: Source) -> bool:
    """Say whether an MP4 ends before its last box does.

    Raises:
        MediaError: if it cannot be read.
    """
    with opened(source) as file:
        size = file.seek(0, os.SEEK_END)
        boxes = list(_boxes(file, size))
    return bool(boxes) and boxes[0][0] in MP4_BOXES and boxes[-1][2] > size


def _refuse(source: Source, file: BinaryIO, max_samples: int | None) -> None:
    size = file.seek(0, os.SEEK_END)
    samples = edits = 0
    for name, fields in _counts(file, size):
        if name == b"elst":
            edits += fields[1]
        elif name == b"trun":
            samples += fields[1]
            if not fields[0] & PER_SAMPLE_FIELDS and fields[1] > size:
                raise _impossible(source, fields[1], size)
        else:
            samples += fields[2]
            if fields[1] * fields[2] > size:  # the size of every sample; 0 where a table gives each its own
                raise _impossible(source, fields[2], size)
    if max_samples is not None and samples * (1 + edits) > max_samples:
        raise MediaError(source, "too_large", f"announces {samples:,} samples and {edits:,} edits, too many to be read")


def _impossible(source: Source, samples: int, size: int) -> MediaError:
    return MediaError(source, "undecodable", f"announces {samples:,} samples and has only {size:,} bytes")


def _counts(file: BinaryIO, size: int) -> Iterator[tuple[bytes, tuple[int, ...]]]:
    """Yield the name and first fields of every box that counts, wherever it is outside of the media data."""
    for name, start, end in _boxes(file, size):
        if name != b"mdat":
            yield from _counts_between(file, start, min(size, end))


def _boxes(file: BinaryIO, size: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield the name, start and end of every outer box; the end of the last may lie behind that of the file."""
    offset = 0
    while offset + 8 <= size:
        file.seek(offset)
        header = file.read(16)
        length, name = int.from_bytes(header[:4], "big"), header[4:8]
        if length == 1:
            length = int.from_bytes(header[8:16], "big")
        if not re.fullmatch(rb"[ -~\xa9]{4}", name) or 0 < length < 8:
            return  # this is no box
        end = offset + length if length else size
        yield name, offset, end
        offset = end


def _counts_between(file: BinaryIO, start: int, end: int) -> Iterator[tuple[bytes, tuple[int, ...]]]:
    file.seek(start)
    rest = b""
    while start < end:
        chunk = file.read(min(CHUNK, end - start))
        if not chunk:
            return
        start += len(chunk)
        text = rest + chunk
        done = 0
        for match in COUNTS.finditer(text):
            fields = match[1] or match[3]
            yield match[2] or b"stsz", struct.unpack(f">{len(fields) // 4}I", fields)
            done = match.end()
        rest = text[max(done, len(text) - 15) :]  # what may be the beginning of the next
