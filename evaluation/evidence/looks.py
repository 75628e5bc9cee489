"""How regions of a frame look: place, size, colour, and an embedding that stays along one thing and tells things apart.

The colours of a region are embedded by the mean of random Fourier features (Rahimi and Recht 2007) of its pixels in
CIELAB, a kernel mean embedding: the distance of two is how differently their colours are distributed, whatever their
number is, without the edges of a histogram's bins. Lightness counts half of what hue and chroma do, so that a shadow
changes little. Texture, size and elongation follow with small weights.
"""

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

COLOURS = 24  # the first entries of a look: colour alone
BANDWIDTH = (45.0, 20.0, 20.0)  # CIELAB units of L, a, b: differences from which colours are unlike
WEIGHTS = np.array([0.25, 0.15, 0.1, 0.1])  # of texture, contrast, the logarithm of the area, elongation
LOOK = COLOURS + len(WEIGHTS)
ENOUGH = 200  # pixels of a region, spread over it, that its colours are taken from
BITS = 5  # of each channel that colours are looked up by
AT_EDGE = 0.1  # weight of a region's outermost pixels, which mix with what is behind


@dataclass(frozen=True, eq=False)
class Regions:
    """What is measured of `n` regions of one frame; a region without pixels has area 0 and zeros."""

    areas: np.ndarray  # float [n], pixels
    centres: np.ndarray  # float [n, 2], x, y of the pixels' mean
    boxes: np.ndarray  # int [n, 4], x0, y0, x1, y1, the last two exclusive
    colours: np.ndarray  # float [n, 3], mean RGB of the inside
    spreads: np.ndarray  # float [n], standard deviation of RGB about it
    looks: np.ndarray  # float32 [n, LOOK], or longer by the features of a network


def regions(
    rgb_HWC: np.ndarray, luma_HW: np.ndarray, labels_HW: np.ndarray, count: int, features_HWN: np.ndarray | None = None
) -> Regions:
    """Measure the regions 1 to `count` of a label map in a frame; the mean of `features_HWN` is appended to looks."""
    W = labels_HW.shape[1]
    at = np.flatnonzero(labels_HW)
    owner = labels_HW.ravel()[at].astype(np.intp) - 1
    y, x = np.divmod(at, W)
    areas = np.bincount(owner, minlength=count).astype(float)
    some = np.maximum(areas, 1)
    centres = np.stack([np.bincount(owner, weights=axis, minlength=count) for axis in (x, y)], axis=1) / some[:, None]
    xx, xy, yy = (
        np.bincount(owner, weights=p * q, minlength=count) / some - centres[:, i] * centres[:, j]
        for p, q, i, j in ((x, x, 0, 0), (x, y, 0, 1), (y, y, 1, 1))
    )
    root = np.sqrt(np.maximum((xx - yy) ** 2 + 4 * xy**2, 0))
    elongation = 0.5 * np.log((xx + yy + root + 0.2) / np.maximum(xx + yy - root + 0.2, 0.2))

    kernel = np.ones((3, 3), np.uint8)
    map8 = labels_HW.astype(np.uint8)
    inside = (cv2.erode(map8, kernel) == cv2.dilate(map8, kernel)).ravel()[at]
    stride = np.maximum(areas // ENOUGH, 1).astype(int)[owner]
    chosen = (7 * x + 13 * y) % stride == 0
    boxes = _boxes(owner, x, y, count)
    at, owner, inside = at[chosen], owner[chosen], inside[chosen]
    slope = cv2.absdiff(luma_HW, cv2.blur(luma_HW, (3, 3))).ravel()[at]
    pixels = rgb_HWC.reshape(-1, 3)[at]
    level = luma_HW.ravel()[at]
    colour = pixels.astype(np.float32)
    features = np.column_stack([_features()[_index(pixels)], colour, slope, level, level**2, colour**2])
    if features_HWN is not None:
        features = np.column_stack([features, features_HWN.reshape(-1, features_HWN.shape[-1])[at]])
    weight = np.where(inside, 1.0, AT_EDGE).astype(np.float32)
    onehot = np.zeros((count, len(owner)), np.float32)
    onehot[owner, np.arange(len(owner))] = weight
    means = (onehot @ features) / np.maximum(onehot.sum(axis=1), 1e-6)[:, None]
    colours = means[:, COLOURS : COLOURS + 3]
    texture, level1, level2 = means[:, COLOURS + 3 : COLOURS + 6].T
    variance = means[:, COLOURS + 6 : COLOURS + 9] - colours**2
    others = np.stack(
        [np.log1p(texture), np.sqrt(np.maximum(level2 - level1**2, 0)) / 40, np.log(some), elongation], axis=1
    )
    looks = np.concatenate([means[:, :COLOURS], others * WEIGHTS, means[:, COLOURS + 9 :]], axis=1).astype(np.float32)
    looks[areas == 0] = 0
    spreads = np.sqrt(np.maximum(variance, 0).mean(axis=1))
    return Regions(areas, centres, boxes, colours.astype(float), spreads.astype(float), looks)


def colours_of(rgb: np.ndarray) -> np.ndarray:
    """Return how the colours of pixels uint8 or float `[n, 3]` are distributed, as in a look, `[COLOURS]`."""
    return np.asarray(_features()[_index(rgb.clip(0, 255))].mean(axis=0))


def unlike(look: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return how differently looks `[..., LOOK]` look: about 0.1 for one thing in two frames, 1 for two colours."""
    return np.asarray(np.linalg.norm(np.asarray(look, dtype=float) - other, axis=-1))


def _boxes(owner: np.ndarray, x: np.ndarray, y: np.ndarray, count: int) -> np.ndarray:
    boxes = np.zeros((count, 4), dtype=int)
    big = 1 << 30
    for axis, values in enumerate((x, y)):
        low, high = np.full(count, big), np.full(count, -1)
        np.minimum.at(low, owner, values)
        np.maximum.at(high, owner, values)
        boxes[:, axis], boxes[:, axis + 2] = np.where(high < 0, 0, low), high + 1
    return boxes


def _index(rgb: np.ndarray) -> np.ndarray:
    coarse = rgb.astype(np.intp) >> (8 - BITS)
    return np.asarray((coarse[:, 0] << 2 * BITS) | (coarse[:, 1] << BITS) | coarse[:, 2])


@cache
def _features() -> np.ndarray:
    """Return the features of every coarse colour, `float32 [2 ** (3 BITS), COLOURS]`."""
    levels = ((np.arange(1 << BITS) + 0.5) / (1 << BITS)).astype(np.float32)
    rgb = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(1, -1, 3)
    lab = cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB)[0] / np.array(BANDWIDTH)
    directions = np.random.default_rng(0).standard_normal((3, COLOURS // 2))
    phase = lab @ directions
    return np.asarray(np.concatenate([np.cos(phase), np.sin(phase)], axis=1) / np.sqrt(COLOURS // 2), dtype=np.float32)
