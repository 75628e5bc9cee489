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
KERNEL = np.ones((3, 3), np.uint8)


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
    map8 = labels_HW.astype(np.uint8, copy=False)
    left, top, wide, high = cv2.boundingRect(map8)
    left, top = max(0, left - 1), max(0, top - 1)  # with what is around them, for outlines and texture
    place = slice(top, top + high + 2), slice(left, left + wide + 2)
    map8, luma, rgb = map8[place], luma_HW[place], rgb_HWC[place]
    areas, centres, boxes, elongation = _shapes(map8, count)
    centres[areas > 0] += (left, top)
    boxes[areas > 0] += (left, top, left, top)
    some = np.maximum(areas, 1)

    at = np.flatnonzero(map8)
    owner = map8.ravel().take(at).astype(np.intp) - 1
    inside = (cv2.erode(map8, KERNEL) == cv2.dilate(map8, KERNEL)).ravel()
    stride = np.maximum(areas // ENOUGH, 1).astype(int)
    if (stride > 1).any():
        y, x = np.divmod(at, map8.shape[1])
        chosen = np.flatnonzero((7 * (x + left) + 13 * (y + top)) % stride.take(owner) == 0)
        at, owner = at.take(chosen), owner.take(chosen)
    pixels, level = rgb.reshape(-1, 3).take(at, axis=0), luma.ravel().take(at)
    features = np.empty((len(at), COLOURS + 9), np.float32)
    features[:, :COLOURS] = _features().take(_index(pixels), axis=0)
    features[:, COLOURS : COLOURS + 3] = pixels
    features[:, COLOURS + 3] = cv2.absdiff(luma, cv2.blur(luma, (3, 3))).ravel().take(at)
    features[:, COLOURS + 4] = level
    features[:, COLOURS + 5 :] = features[:, [COLOURS + 4, COLOURS, COLOURS + 1, COLOURS + 2]] ** 2
    if features_HWN is not None:
        features = np.column_stack([features, features_HWN[place].reshape(-1, features_HWN.shape[-1]).take(at, axis=0)])
    onehot = np.zeros((count, len(owner)), np.float32)
    onehot[owner, np.arange(len(owner))] = np.where(inside.take(at), np.float32(1), np.float32(AT_EDGE))
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


def _shapes(map8: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return areas, centres, boxes and the logarithm of how long for their width regions 1 to `count` are."""
    areas, centres, boxes, spread = (
        np.zeros(count),
        np.zeros((count, 2)),
        np.zeros((count, 4), int),
        np.zeros((count, 3)),
    )
    for i in range(count):
        mask = (map8 == i + 1).view(np.uint8)
        x, y, wide, high = cv2.boundingRect(mask)
        if wide:
            m = cv2.moments(mask[y : y + high, x : x + wide], binaryImage=True)
            areas[i] = m["m00"]
            centres[i] = x + m["m10"] / m["m00"], y + m["m01"] / m["m00"]
            boxes[i] = x, y, x + wide, y + high
            spread[i] = m["mu20"] / m["m00"], m["mu11"] / m["m00"], m["mu02"] / m["m00"]
    xx, xy, yy = spread.T
    root = np.sqrt((xx - yy) ** 2 + 4 * xy**2)
    return areas, centres, boxes, 0.5 * np.log((xx + yy + root + 0.2) / np.maximum(xx + yy - root + 0.2, 0.2))


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
