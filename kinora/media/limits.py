"""How much a media file may announce before it is decoded."""

from dataclasses import dataclass

from kinora.media.errors import MediaError, Source


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

    def refuse_pixels(self, source: Source, width: int, height: int) -> None:
        """Refuse a file whose pictures have more than `pixels`.

        Raises:
            MediaError: if they do.
        """
        if width * height > self.pixels:
            problem = f"has {width}x{height} pixels; at most {self.pixels:,} are decoded"
            raise MediaError(source, "too_large", problem)


LIMITS = MediaLimits()
