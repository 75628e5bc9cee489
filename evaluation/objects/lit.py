"""Objects in a scene that light and texture fall on, found in RGB alone.

A lit surface shows its colour c at many levels s c, and white where it shines. So a pixel is compared with the
background in two parts: across the background's direction in RGB, which light does not change, and along it, where more
counts and less does not, for shadows are darker than what they fall on. The background itself is a smooth surface of
second degree a frame and channel, fitted to what is like the commonest colour of the clip's border. A pixel that stands
out belongs to the colour of the palette that is nearest in direction, white where none is saturated.

Layouts as in `evaluation.objects.segmentation`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from evaluation.evidence.medians import median
from kinora.worlds import PALETTE

NEAR = 60.0  # RGB distance from the commonest colour within which the first fit takes pixels for background ...
FITTED = 30.0  # ... and from the fit, at least, in the later ones
FITS = 3
GLOOM = 14.0  # levels: added to the background before its direction is taken, for black has none
LEAST = 22.0  # levels that stand out at least
SPREADS = 3.5  # robust standard deviations of the background that stand out
EDGE = 2  # pixels: how far a soft edge reaches
WHITE = 0.16  # saturation (max - min) / max below which a surface is white
WALL = 0.1  # of the shorter side: how far a room's walls reach in at most
LINED = 0.8  # of an edge that a wall lines
SHINE = 0.25  # a white spot that covers less of what surrounds it is a highlight


@dataclass(frozen=True, eq=False)
class Layers:
    """What every pixel shows: how far it stands out from the background, and which colour of the palette it is."""

    background: np.ndarray  # float32 [T, H, W, 3]
    distance: np.ndarray  # [T, H, W], levels
    least: float  # distance from which a pixel stands out
    label: np.ndarray  # int [T, H, W], index into the palette, 0 where nothing stands out

    @property
    def stands_out(self) -> np.ndarray:
        """`bool [T, H, W]`."""
        return self.distance > self.least


def find_layers(pixels_THWC: np.ndarray, commonest: np.ndarray) -> Layers:
    """Tell background from what stands in front of it, `commonest [3]` being the commonest colour of the border."""
    background = fit_background(pixels_THWC, commonest)
    across, along = stand_out(pixels_THWC, background)
    near = np.hypot(across, along) < 2 * LEAST
    texture, tint = (1.4826 * float(median(np.abs(part[near]))) if near.any() else 0.0 for part in (along, across))
    # Texture is brighter than the light on the whole, and its own brightest spots are no objects.
    distance = np.hypot(across, np.maximum(0.0, along - SPREADS * texture))
    distance[:, furniture(pixels_THWC, background)] = 0.0
    least = max(LEAST, SPREADS * tint)
    label = np.zeros(distance.shape, int)
    label[distance > least] = nearest(pixels_THWC[distance > least])
    return Layers(background, distance, least, label)


def fit_background(pixels_THWC: np.ndarray, commonest: np.ndarray) -> np.ndarray:
    """Return the background `float32 [T, H, W, 3]`: a polynomial of second degree for every frame and channel."""
    T, H, W, _ = pixels_THWC.shape
    y, x = np.meshgrid(np.linspace(-1, 1, H), np.linspace(-1, 1, W), indexing="ij")
    design = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1).reshape(-1, 6)
    products = (design[:, :, None] * design[:, None]).reshape(-1, 36)
    ridge = np.diag([1e-6, 1, 1, 3, 3, 3]) * 0.002 * H * W  # towards an even background, where little of it is seen
    planes = np.ascontiguousarray(pixels_THWC.reshape(T, -1, 3).swapaxes(1, 2))
    fitted = np.broadcast_to(commonest.astype(np.float32)[:, None], planes.shape).copy()
    reach = NEAR
    for _ in range(FITS):
        near = ((planes - fitted) ** 2).sum(axis=1) < reach**2
        squares = (near @ products).reshape(T, 6, 6) + ridge
        solutions = np.linalg.solve(squares, ((planes * near[:, None]) @ design).swapaxes(1, 2)).swapaxes(1, 2)
        enough = near.sum(axis=1) >= 12
        fitted[enough] = solutions[enough] @ design.T
        left = np.sqrt(((planes - fitted) ** 2).sum(axis=1)[near])
        reach = max(FITTED, 3 * float(median(left))) if len(left) else FITTED
    return np.ascontiguousarray(fitted.swapaxes(1, 2)).reshape(pixels_THWC.shape)


def stand_out(pixels_THWC: np.ndarray, background: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the difference to the background across its direction and along it, both `[T, H, W]` in levels."""
    direction = np.maximum(background, 0) + GLOOM
    direction /= length(direction)[..., None]
    difference = pixels_THWC - background
    along = np.einsum("...c,...c->...", difference, direction)
    return length(difference - along[..., None] * direction), along


def length(colours: np.ndarray) -> np.ndarray:
    """Return the lengths of colours or of their differences, `[..., 3]`: NumPy's norm takes five times as long."""
    red, green, blue = np.moveaxis(colours, -1, 0)
    return np.asarray(np.sqrt(red * red + green * green + blue * blue))


def furniture(pixels_THWC: np.ndarray, background: np.ndarray) -> np.ndarray:
    """Return `bool [H, W]`: the walls of a room, each of one tone, along the left, right and upper edges."""
    H, W = pixels_THWC.shape[1:3]
    reach = max(1, round(WALL * min(H, W)))
    walls = np.zeros((H, W), dtype=bool)
    for strip, edge in (
        (np.s_[:, :reach], np.s_[:, 0]),
        (np.s_[:, W - reach :], np.s_[:, -1]),
        (np.s_[:reach, :], np.s_[0, :]),
    ):
        still, behind = (median(clip[:, *edge]) for clip in (pixels_THWC, background))
        tone = np.median(still, axis=0)
        lined = (np.linalg.norm(still - tone, axis=-1) < FITTED).mean() > LINED
        apart = np.linalg.norm(still - behind, axis=-1).mean() > LEAST
        if not (lined and apart):
            return np.zeros((H, W), dtype=bool)
        walls[strip] |= np.linalg.norm(median(pixels_THWC[:, *strip]) - tone, axis=-1) < FITTED
    return walls


def nearest(pixels: np.ndarray, palette: Mapping[str, tuple[int, int, int]] = PALETTE) -> np.ndarray:
    """Return the index of the colour of `palette` that lies nearest in direction to every pixel of `[..., 3]`."""
    colours = np.array(list(palette.values()), dtype=np.float32)
    saturation = 1 - colours.min(axis=1) / colours.max(axis=1)
    vivid = np.flatnonzero(saturation > WHITE)
    directions = colours[vivid] / np.linalg.norm(colours[vivid], axis=1, keepdims=True)
    label = vivid[np.argmax(pixels @ directions.T, axis=-1)]
    dull = np.flatnonzero(saturation <= WHITE)
    if len(dull):
        most, least = pixels.max(axis=-1), pixels.min(axis=-1)
        label = np.where(most - least < WHITE * np.maximum(most, 1), dull[0], label)
    return np.asarray(label)


def mattes(layers: Layers, frame: int, smallest: float) -> list[tuple[int, np.ndarray, np.ndarray]]:
    """Return the objects of one frame: the colour's index, `bool [H, W]` where it is, and its soft matte `[H, W]`."""
    distance, label = layers.distance[frame], layers.label[frame]
    outer = distance > layers.least
    reach = np.ones((2 * EDGE + 1, 2 * EDGE + 1), np.uint8)
    found: list[tuple[int, np.ndarray, np.ndarray]] = []
    # An edge is half of what is next to it, whatever light falls there.
    crest = np.maximum(cv2.dilate(np.where(outer, distance, 0), reach), 1.0)
    alpha = np.clip(distance / crest, 0, 1)
    within = cv2.erode(outer.astype(np.uint8), reach, borderValue=1)
    solid = ((outer & (alpha > 0.5)) | (within > 0)).astype(np.uint8)
    count, parts = cv2.connectedComponents(solid, connectivity=8)
    for part in range(1, count):
        here = parts == part
        if here.sum() < smallest:
            continue
        for colour, mask in _by_colour(here, label, smallest):
            if mask.sum() >= smallest and thick(mask).any():
                found.append((colour, mask, _matte(mask, alpha, here)))
    return found


def _by_colour(here: np.ndarray, label: np.ndarray, smallest: float) -> list[tuple[int, np.ndarray]]:
    """Split what hangs together by its colours; thin seams, specks and highlights go to what surrounds them."""
    colours = [k for k in np.unique(label[here]) if (here & (label == k)).sum() >= smallest]
    regions: list[tuple[int, np.ndarray]] = []
    for k in colours:
        core = thick(here & (label == k))
        count, parts, stats, _ = cv2.connectedComponentsWithStats(core.astype(np.uint8), connectivity=8)
        regions += [(int(k), parts == p) for p in range(1, count) if stats[p, cv2.CC_STAT_AREA] >= 0.6 * smallest]
    if not regions:
        return []
    regions.sort(key=lambda region: -region[1].sum())
    regions = [r for n, r in enumerate(regions) if not any(_shines(r[1], host) for _, host in regions[:n])]
    if len(regions) == 1:
        return [(regions[0][0], filled(here))]
    # Every pixel goes to the nearest region of those it may belong to.
    away = np.stack([cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 3) for _, mask in regions])
    owner = away.argmin(axis=0)
    whole = filled(here)
    return [(k, whole & (owner == n)) for n, (k, _) in enumerate(regions)]


def _shines(spot: np.ndarray, host: np.ndarray) -> bool:
    """Say whether a spot is a highlight, or a stain of light, of a larger region that surrounds it."""
    if spot.sum() > SHINE * host.sum():
        return False
    ring = cv2.dilate(spot.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool) & ~spot
    return bool((filled(host | spot) & ring).sum() > 0.75 * ring.sum())


def _matte(mask: np.ndarray, alpha: np.ndarray, here: np.ndarray) -> np.ndarray:
    """Return the soft matte of a mask: 1 inside, `alpha` along its edge, 0 where another object begins."""
    kernel = np.ones((3, 3), np.uint8)
    inside = cv2.erode(mask.astype(np.uint8), kernel, borderValue=1).astype(bool)
    around = cv2.dilate(mask.astype(np.uint8), kernel).astype(bool)
    return np.where(inside, 1.0, np.where(mask | (around & ~here), alpha, 0.0))


def filled(mask_HW: np.ndarray) -> np.ndarray:
    """Return a mask without its holes."""
    padded = np.pad(mask_HW.astype(np.uint8), 1)
    cv2.floodFill(padded, None, (0, 0), 2)
    return np.asarray(padded[1:-1, 1:-1] != 2)


def thick(mask_HW: np.ndarray) -> np.ndarray:
    """Return the parts of a mask that are 3 pixels thick: objects are, coloured fringes are not."""
    return cv2.morphologyEx(mask_HW.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)).astype(bool)
