"""Reading and writing images: `uint8 [H, W, 3]`, RGB, by Pillow."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import av
import numpy as np
from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngInfo

from kinora.media.comment import Metadata, metadata_text
from kinora.media.errors import MediaError, Source, require_file
from kinora.media.formats import IMAGE_FORMATS
from kinora.media.limits import LIMITS, MediaLimits
from kinora.media.listening import listening

COMMENT, IMAGE_DESCRIPTION = "Comment", 0x010E  # a PNG's text chunk and an EXIF tag, which hold the metadata
ROWS_AT_ONCE = 2**20  # pixels that are laid over white together


def image_size(source: Source, formats: tuple[str, ...] = IMAGE_FORMATS) -> tuple[int, int]:
    """Return the (width, height) that an image's header announces, as stored; nothing is decoded.

    Raises:
        MediaError: if there is no such file, it is no image, or one that is too large.
    """
    with open_image(source, formats) as image:
        return image.size


def read_image(source: Source, *, formats: tuple[str, ...] = IMAGE_FORMATS, limits: MediaLimits = LIMITS) -> np.ndarray:
    """Read an image as one frame, `uint8 [1, H, W, 3]`, upright; transparency is laid over white.

    Args:
        source: a path, or a file that can be read and searched.
        formats: Pillow's names of the formats that are allowed.
        limits: an image that announces more pixels is refused before it is decoded.

    Raises:
        MediaError: if there is no such file, it is no image that can be decoded, or one that is too large.
    """
    with open_image(source, formats, limits) as image:
        ImageOps.exif_transpose(image, in_place=True)  # cameras store how they were held
        image.load()
        if image.format == "JPEG":
            _refuse_damaged_jpeg(source)
        elif image.format == "PNG":
            refuse_damaged_png(source)
        return rgb_of(source, image)[None]


def write_image(target: str | Path | BinaryIO, frame: np.ndarray, metadata: Metadata | None = None) -> None:
    """Write one frame `uint8 [H, W, 3]` as PNG, with how it was made in a text chunk."""
    chunks = PngInfo()
    if metadata:
        chunks.add_itxt(COMMENT, metadata_text(metadata))
    Image.fromarray(frame).save(target, format="PNG", pnginfo=chunks)


def enlarge(frames: np.ndarray, factor: int) -> np.ndarray:
    """Repeat every pixel of `uint8 [T, H, W, 3]` `factor` times each way, so that small clips can be looked at."""
    return frames.repeat(factor, axis=1).repeat(factor, axis=2)


@contextmanager
def open_image(
    source: Source, formats: tuple[str, ...] = IMAGE_FORMATS, limits: MediaLimits = LIMITS
) -> Iterator[Image.Image]:
    """Open an image with Pillow, closed at the end of the `with` block, in which all that Pillow may raise is refused.

    Raises:
        MediaError: if there is no such file, it is no image, or one that is too large.
    """
    require_file(source)
    if "HEIF" in formats:
        from pillow_heif import register_heif_opener  # only here: processes that read videos start sooner without

        register_heif_opener(thumbnails=False)  # Pillow reads AVIF by itself, but not HEIC
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the size is refused here
            image = Image.open(source, formats=formats)
        with image:
            limits.refuse_pixels(source, *image.size)  # from the header
            yield image
    except Image.DecompressionBombError as error:
        raise MediaError(source, "too_large", "has too many pixels to be decoded safely") from error
    except MediaError:
        raise
    except Exception as error:  # what Pillow's many readers raise of damaged files has no common type
        raise MediaError(source, "undecodable", "cannot be decoded as an image") from error


def _refuse_damaged_jpeg(source: Source) -> None:
    """Refuse a JPEG that libav finds damaged; Pillow decodes it to a picture of stripes without a word.

    Only the first image of the file is looked at: phones append others, and videos.
    """
    data = Path(source).read_bytes() if isinstance(source, str | Path) else _bytes_of(source)
    with listening() as said:
        decoder = av.CodecContext.create("mjpeg", "r")
        decoder.thread_count = 1
        try:
            frames = decoder.decode(av.Packet(data))
        except av.FFmpegError as error:
            said.append(str(error.strerror))
            frames = []
    if said or any(frame.is_corrupt for frame in frames):
        raise MediaError(source, "corrupt", f"is damaged ({said[0] if said else 'its decoder marks it as corrupt'})")


def refuse_damaged_png(source: Source) -> None:
    """Refuse a PNG with a wrong checksum, which Pillow does not look at when it decodes.

    Raises:
        MediaError: if it has one.
    """
    try:
        with Image.open(source, formats=("PNG",)) as image:
            image.verify()
    except (SyntaxError, OSError) as error:
        raise MediaError(source, "corrupt", "is damaged (a checksum is wrong)") from error


def _bytes_of(file: BinaryIO) -> bytes:
    file.seek(0)
    return file.read()


def rgb_of(source: Source, image: Image.Image) -> np.ndarray:
    """Return a decoded image as RGB `uint8 [H, W, 3]`; transparency is laid over white.

    Raises:
        MediaError: if it is grey, and what is white in it is not known.
    """
    return _over_white(_of_eight_bits(source, image))


def _of_eight_bits(source: Source, image: Image.Image) -> Image.Image:
    """Return an image whose grey has more than 8 bits scaled to these; Pillow itself would clip it."""
    if not image.mode.startswith(("I", "F")):
        return image
    values = np.asarray(image)
    most = 65_535 if image.mode.startswith("I;16") or image.format == "PNG" else 0
    if not most:
        raise MediaError(source, "undecodable", "has grey of 32 bits, whose white is not known")
    return Image.fromarray(np.rint(values * (255 / most)).astype(np.uint8))


def _over_white(image: Image.Image) -> np.ndarray:
    """Return RGB `uint8 [H, W, 3]`; a few rows at a time, so that a large image is not held four times over."""
    if image.mode == "RGB" and "transparency" not in image.info:
        return np.asarray(image)
    width, height = image.size
    frame = np.empty((height, width, 3), np.uint8)
    step = max(1, ROWS_AT_ONCE // width)
    for top in range(0, height, step):
        rows = image.crop((0, top, width, min(height, top + step))).convert("RGBA")
        white = Image.new("RGBA", rows.size, "white")
        frame[top : top + step] = np.asarray(Image.alpha_composite(white, rows).convert("RGB"))
    return frame
