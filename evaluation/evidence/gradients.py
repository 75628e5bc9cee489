"""Whether pictures are smooth gradients and nothing else, so that there is nothing in them to follow.

A picture of which a cubic surface explains nearly everything has no thing in it and no layout: what compression and
dithering leave of a gradient stays below a tenth of its contrast, what is left of a scene that is blurred until only
its layout is left, above a quarter.
"""

import cv2
import numpy as np

from evaluation.evidence.sharpness import FRAMES

SIDE, DEGREE = 48, 3  # pixels of the longer side at which a frame is looked at; the degree of the surface
SMOOTH = 0.15  # of the contrast, that may be left


def gradients(rgb_THWC: np.ndarray) -> bool:
    """Say whether all frames of a clip, in levels, are smooth gradients."""
    chosen = np.unique(np.linspace(0, len(rgb_THWC) - 1, FRAMES).round().astype(int))
    return all(left_by_surface(rgb_THWC[t]) < SMOOTH for t in chosen)


def left_by_surface(rgb_HWC: np.ndarray) -> float:
    """Return what a surface of degree `DEGREE` leaves of a frame's contrast, 0 to 1; 0 of a plain colour."""
    height, width = rgb_HWC.shape[:2]
    factor = SIDE / max(height, width)
    size = max(DEGREE + 1, round(width * factor)), max(DEGREE + 1, round(height * factor))
    small = cv2.resize(rgb_HWC, size, interpolation=cv2.INTER_AREA)
    y, x = np.mgrid[-1 : 1 : small.shape[0] * 1j, -1 : 1 : small.shape[1] * 1j]
    terms = [x**i * y**j for i in range(DEGREE + 1) for j in range(DEGREE + 1 - i)]
    surface = np.stack(terms, axis=-1).reshape(-1, len(terms))
    levels = small.reshape(len(surface), -1).astype(np.float64)
    left = levels - surface @ np.linalg.lstsq(surface, levels, rcond=None)[0]
    contrast = levels - levels.mean(axis=0)
    return float(np.sqrt((left**2).sum() / max((contrast**2).sum(), 1e-9)))
