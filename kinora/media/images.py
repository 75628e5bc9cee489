"""Reading and writing images: `uint8 [H, W, 3]`, RGB, by Pillow."""

from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps

from kinora.errors import KinoraError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")


def read_image(source: str | Path | BinaryIO) -> np.ndarray:
    """Read an image as one frame, `uint8 [1, H, W, 3]`; transparency is laid over white.

    Raises:
        KinoraError: if the file is no image that can be decoded.
    """
    try:
        with Image.open(source) as image:
            rgba = ImageOps.exif_transpose(image).convert("RGBA")  # cameras store how they were held
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        name = str(source) if isinstance(source, str | Path) else "the uploaded file"
        raise KinoraError(f"{name} cannot be decoded as an image; replace or remove it.") from error
    white = Image.new("RGBA", rgba.size, "white")
    return np.asarray(Image.alpha_composite(white, rgba).convert("RGB"))[None]


def write_image(target: str | Path | BinaryIO, frame: np.ndarray) -> None:
    """Write one frame `uint8 [H, W, 3]` as PNG."""
    Image.fromarray(frame).save(target, format="PNG")


def enlarge(frames: np.ndarray, factor: int) -> np.ndarray:
    """Repeat every pixel of `uint8 [T, H, W, 3]` `factor` times each way, so that small clips can be looked at."""
    return frames.repeat(factor, axis=1).repeat(factor, axis=2)
