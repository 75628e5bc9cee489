"""Whether pictures are blurred until only their layout is left, so that nothing can be told of the things in them.

An edge as wide as a Gaussian of s pixels, smoothed by one of a pixels, has a slope in proportion to 1 / sqrt(s² + a²).
The ratio of its slopes after two smoothings tells s, whatever its contrast (Zhuo and Sim, "Defocus map estimation from
a single image", Pattern Recognition 44, 2011). The steepest edges count: what lies out of focus is soft in any picture,
and grain weighs little there.
"""

import cv2
import numpy as np

# Standard deviations of the two smoothings, as shares of the longer side, and pixels that the finer one has at least.
FINE, COARSE, FINEST = 0.006, 0.02, 0.6
STEEPEST, STEEP = 0.02, 0.3  # share of the pixels that is looked at, and of the steepest slope that each of them has
SHARPEST = 0.9  # quantile of these pixels, by how sharp they are, that stands for a frame: shaded edges are wide
FAINT = 0.3  # levels a pixel: a picture without a steeper slope is empty rather than blurred
# Standard deviation of an edge, in pixels and in shares of the longer side beside them, from which a frame is blurred:
# pixels, coding and lenses soften a sharp edge as much at any size, mush is as wide as its picture is long. The last is
# above what an autoencoder makes of pictures of 32 to 64 pixels. Of 80 clips, real and drawn, the widest has 0.8 of the
# limit at 128 pixels, and their mush, with grain of 3 levels over it, 1.1 of it.
SOFT, WIDE, LEAST = 0.96, 0.005, 1.28
FRAMES, SOFTER = 9, 0.25  # that are looked at; the share of them that may be sharper where a clip is blurred


def blurred(luma_THW: np.ndarray) -> bool:
    """Say whether nearly all frames of a clip, `float32 [T, h, w]` in levels, are blurred until only layout is left."""
    side = max(luma_THW.shape[1:])
    chosen = np.unique(np.linspace(0, len(luma_THW) - 1, FRAMES).round().astype(int))
    widths = [width for t in chosen if (width := edge_width(luma_THW[t])) is not None]
    return bool(widths) and float(np.quantile(widths, SOFTER)) > max(SOFT + WIDE * side, LEAST)


def edge_width(luma_HW: np.ndarray) -> float | None:
    """Return the standard deviation, in pixels, of the sharp ones among the steepest edges; None without an edge."""
    side = max(luma_HW.shape)
    a, b = max(FINE * side, FINEST), max(COARSE * side, 2 * FINEST)
    fine, coarse = (_slope(cv2.GaussianBlur(luma_HW, (0, 0), smoothing)) for smoothing in (a, b))
    if coarse.max() < FAINT:
        return None
    edges = coarse >= max(np.quantile(coarse, 1 - STEEPEST), STEEP * coarse.max())
    ratio = max(float(np.quantile(fine[edges] / coarse[edges], SHARPEST)) ** 2, 1 + 1e-6)
    return float(np.sqrt(max(0.0, (b**2 - ratio * a**2) / (ratio - 1))))


def _slope(smooth: np.ndarray) -> np.ndarray:
    return cv2.magnitude(cv2.Sobel(smooth, cv2.CV_32F, 1, 0) / 8, cv2.Sobel(smooth, cv2.CV_32F, 0, 1) / 8)
