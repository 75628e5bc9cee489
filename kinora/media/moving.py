"""Moving pictures in formats of images: animated WebP, PNG and AVIF, whose frames Pillow decodes."""

from collections.abc import Iterator
from fractions import Fraction

import av
from PIL import Image

from kinora.media.errors import MediaError, Source
from kinora.media.images import open_image, refuse_damaged_png, rgb_of
from kinora.media.limits import MediaLimits

FORMATS = ("WEBP", "PNG", "AVIF")  # Pillow's names
FRAMES_FOR_RATE = 24  # times are whole milliseconds, which most rates need several of
USUAL_MS = 100.0  # of a frame that is to be shown for no time; browsers do so too


class MovingPicture:
    """The frames of an animated WebP, PNG or AVIF; all as in `PictureStream`.

    Raises:
        MediaError: if it cannot be decoded, or announces more than the limits allow.
    """

    aspect = Fraction(1)

    def __init__(self, source: Source, limits: MediaLimits):
        self._source, self._limits = source, limits
        with open_image(source, FORMATS, limits) as image:
            self.size = image.size
            # A PNG may have another picture in front, for what shows no animation.
            self._numbers = range(int(getattr(image, "default_image", False)), getattr(image, "n_frames", 1))
            self.promised = len(self._numbers)
            if self.promised > limits.frames:
                problem = f"announces {self.promised:,} frames; at most {limits.frames:,} are read"
                raise MediaError(source, "too_large", problem)
            some = [_duration(image, number) for number in self._numbers[:FRAMES_FOR_RATE]]
        self.fps = 1000 * len(some) / sum(some)

    def frames(self) -> Iterator[av.VideoFrame]:
        """Yield the frames of the file, once, from its start.

        Raises:
            MediaError: if the file is damaged, or holds less than it announces.
        """
        with open_image(self._source, FORMATS, self._limits) as image:
            if image.format == "PNG":
                refuse_damaged_png(self._source)
            start = 0.0
            for number in self._numbers:
                duration = _duration(image, number)
                frame = av.VideoFrame.from_ndarray(rgb_of(self._source, image), format="rgb24")
                frame.pts, frame.duration, frame.time_base = round(start), round(duration), Fraction(1, 1000)
                start += duration
                yield frame


def _duration(image: Image.Image, number: int) -> float:
    """Decode a frame, and return for how many milliseconds it is shown."""
    image.seek(number)
    image.load()
    return float(image.info.get("duration") or USUAL_MS)
