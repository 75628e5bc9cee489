"""Medians: of a few numbers or vectors NumPy's takes ten times as long for what it allows beside, of pictures more."""

import cv2
import numpy as np

SHORT = 100  # numbers, up to which it is quicker to put all of them in order


def median(values: np.ndarray) -> np.ndarray:
    """Return the median over the first axis of finite `[n, ...]`, n at least 1, in the least floating type for them.

    That is float32 of numbers of up to 16 bits.
    """
    low, high = (len(values) - 1) // 2, len(values) // 2
    if values.dtype == np.uint8 and values.ndim > 2 and len(values) <= SHORT:
        levels = level_at(values, low)
        return np.asarray((levels.astype(np.float32) + (levels if low == high else level_at(values, high))) / 2)
    across = np.ascontiguousarray(np.moveaxis(values, 0, -1), np.result_type(values, np.float32))
    # Two places, be they one, as a single one is sought in a way that is slow where many numbers are equal.
    ordered = np.sort(across, axis=-1) if len(values) <= SHORT else np.partition(across, (low, high), axis=-1)
    return np.asarray((ordered[..., low] + ordered[..., high]) / 2)


def level_at(pictures: np.ndarray, place: int | np.ndarray) -> np.ndarray:
    """Return the level at a place, from 0, in the order of up to 255 pictures `uint8 [n, ...]`, found bit by bit."""
    found = np.zeros(pictures.shape[1:], np.uint8)
    for bit in 2 ** np.arange(7, -1, -1, dtype=np.uint8):
        below = np.add.reduce((pictures < found + bit).view(np.uint8), axis=0, dtype=np.uint8)
        found += bit * (below <= place)
    return found


def median_level(picture: np.ndarray) -> float:
    """Return the median of a picture `uint8 [h, w]`."""
    until = cv2.calcHist([picture], [0], None, [256], [0, 256]).ravel().cumsum()
    low, high = np.searchsorted(until, [(picture.size - 1) // 2, picture.size // 2], side="right")
    return float(low + high) / 2
