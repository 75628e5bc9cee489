"""The median of a few numbers or vectors: NumPy's takes ten times as long for what it allows beside."""

import cv2
import numpy as np


def median(values: np.ndarray) -> np.ndarray:
    """Return the median over the first axis of finite `[n, ...]`, n at least 1, in their type where it is floating."""
    across = np.ascontiguousarray(np.moveaxis(values, 0, -1))
    if not np.issubdtype(across.dtype, np.floating):
        across = across.astype(float)
    half = len(values) // 2
    if len(values) % 2:
        return np.asarray(np.partition(across, half, axis=-1)[..., half])
    ordered = np.partition(across, (half - 1, half), axis=-1)
    return np.asarray((ordered[..., half - 1] + ordered[..., half]) / 2)


def median_level(picture: np.ndarray) -> float:
    """Return the median of a picture `uint8 [h, w]`."""
    until = cv2.calcHist([picture], [0], None, [256], [0, 256]).ravel().cumsum()
    low, high = np.searchsorted(until, [(picture.size - 1) // 2, picture.size // 2], side="right")
    return float(low + high) / 2
