"""Containers of packets that announce no length, MPEG-TS and Ogg, looked at after FFmpeg has read them.

FFmpeg searches for the next whole packet where one is torn, and what was between them is lost without a word. It looks
at the counters of packets, but not where a file begins.
"""

import os
import struct
from typing import BinaryIO

import numpy as np

from kinora.media.errors import MediaError, Source
from kinora.media.formats import opened

SYNC = 0x47  # the first byte of every packet (ISO/IEC 13818-1, 2.4.3.2; 2.4.3.4 for what is read of its header)
PACKET = 188  # bytes
STEPS = (PACKET, 192, 204)  # from packet to packet: there may be a time before each (Blu-ray), or parity behind it
HEAD = 8192  # bytes, from which the step is told
PACKETS_TOGETHER = 2**15
# Ogg (RFC 3533, section 6): a page begins with these bytes, and has at most 255 parts of 255 bytes.
PAGE_START, LONGEST_PAGE = b"OggS", 27 + 255 + 255 * 255
END_OF_STREAM = 0x04


def refuse_torn(source: Source, containers: set[str], stream_id: int) -> None:
    """Refuse an MPEG-TS of which packets are torn or missing, and an Ogg without its end; other containers pass.

    Args:
        source: a path, or a file that can be searched, which is left at its start.
        containers: FFmpeg's names of the file's format.
        stream_id: of the stream that is read; in MPEG-TS its PID.

    Raises:
        MediaError: if it is.
    """
    if "mpegts" in containers:
        with opened(source) as file:
            _refuse_torn_stream(source, file, stream_id)
    elif "ogg" in containers:
        with opened(source) as file:
            _refuse_open_end(source, file)


def _refuse_torn_stream(source: Source, file: BinaryIO, pid: int) -> None:
    """Refuse an MPEG-TS whose packets do not follow each other without a gap, from its first whole one to its end."""
    head = np.frombuffer(file.read(HEAD), np.uint8) == SYNC
    places = [(head[first::step].mean(), step, first) for step in STEPS for first in range(step)]
    _, step, first = max(places, key=lambda place: (place[0], -place[1], -place[2]))
    file.seek(first)
    number, counter = 0, None
    while data := file.read(step * PACKETS_TOGETHER):
        values = np.frombuffer(data, np.uint8)
        in_step = values[::step] == SYNC
        if not in_step.all():
            raise _torn(source, number + int(in_step.argmin()))
        if 0 < len(data) % step < PACKET:
            problem = f"ends too early (of the {PACKET} bytes of its last packet it holds {len(data) % step})"
            raise MediaError(source, "truncated", problem)
        ours, counters, announced = _counters(values, step, pid)
        before = np.concatenate([counters[:1] if counter is None else [counter], counters[:-1]])
        # Packets without payload keep the counter, and so does one that is sent twice.
        jumps = ((counters - before) % 16 > 1) & ~announced
        if jumps.any():
            raise _torn(source, number + int(ours[jumps.argmax()]))
        counter = int(counters[-1]) if len(counters) else counter
        number += len(in_step)


def _counters(values: np.ndarray, step: int, pid: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return which packets of some are of a PID, their counters, and which of them announce that they jump."""
    high, low, flags, length, adaptation = (values[at::step].astype(int) for at in range(1, 6))
    ours = np.flatnonzero(((high & 0x1F) << 8 | low) == pid)
    announced = ((flags & 0x20) > 0) & (length > 0) & ((adaptation & 0x80) > 0)
    return ours, flags[ours] & 0x0F, announced[ours]


def _torn(source: Source, number: int) -> MediaError:
    return MediaError(source, "corrupt", f"is damaged (parts of it are missing before or in its packet {number:,})")


def _refuse_open_end(source: Source, file: BinaryIO) -> None:
    """Refuse an Ogg whose last page does not say that a stream ends with it, or is itself cut."""
    file.seek(-min(LONGEST_PAGE, file.seek(0, os.SEEK_END)), os.SEEK_END)
    page = file.read()
    page = page[max(0, page.rfind(PAGE_START)) :]
    flags, parts = struct.unpack("<5xB20xB", page[:27])
    if not flags & END_OF_STREAM or len(page) < 27 + parts + sum(page[27 : 27 + parts]):
        raise MediaError(source, "truncated", "ends too early (its last page is not the end of a stream)")
