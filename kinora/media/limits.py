"""How much a media file may announce before it is decoded."""

from dataclasses import dataclass


@dataclass(frozen=True)
class MediaLimits:
    """What a file's header may announce, and its frames may bring; the defaults are for any footage that people make.

    pixels: of one frame or image; Pillow's own limit against decompression bombs, three times the pixels of 8K.
    frames, seconds, streams: of one video. samples: that an MP4 announces in all its tracks, times one more than the
    number of edits, since each edit may repeat all; None for any number. Each sample takes about 70 bytes of memory.
    """

    pixels: int = 89_478_485
    frames: int = 2**24
    seconds: float = 7 * 24 * 3600.0
    streams: int = 100
    samples: int | None = None


LIMITS = MediaLimits()
