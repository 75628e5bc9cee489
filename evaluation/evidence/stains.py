"""What may have stained a thing: something of the colour that it takes on, at rest beside it before and after."""

from typing import TYPE_CHECKING

import cv2
import numpy as np

from evaluation.evidence.turning import KERNEL, Turn, cut_out, followed

if TYPE_CHECKING:
    from evaluation.evidence.clip import Evidence

LIGHTNESS = np.array([0.5, 1, 1], np.float32)
ANOTHER, ALIKE = 10.0, 11.0  # of `shades`: not seen there before; of a stain and what left it, which coding blurs
LIGHT = 0.75, 1.35  # times which colours of `shades` may be in another light: about its cube root
SETTLED = 2  # frames after a turn, in which a stain is all there
NEAR, REACH = 0.12, 0.2  # of the shorter side: from a stain to what left it; in which that is looked for
RARE = 0.04  # of the frame that has the colour: more is no stain's
LAG, FEWEST_FRAMES = 0.2, 3  # seconds, and frames, before and after a turn in which it is seen
RIM = 2.5  # pixels around a region that may be the stain itself
FEWEST = 10  # pixels of what left it
SAMPLES = 250  # pixels of a region that are compared


def stained(evidence: "Evidence", a: int, b: int, mask: np.ndarray, at: np.ndarray, colour: np.ndarray) -> bool:
    """Say whether what a region turned to has a source: a little of its colour rests near it before and after.

    The mask is centred `at` a place in frame `b`; the colour, of `shades`, is not there in frame `a`.
    """
    return len(source(evidence, a, b, mask, at, colour)) >= FEWEST


def source(evidence: "Evidence", a: int, b: int, mask: np.ndarray, at: np.ndarray, colour: np.ndarray) -> np.ndarray:
    """Return the places in frame `b` of what may have stained a region, as for `stained`, float `[n, 2]`."""
    shot = next(shot for shot in evidence.shots if shot.start <= a <= shot.end)
    lag = max(FEWEST_FRAMES, round(LAG * evidence.clip.fps))
    first, last = max(shot.start, a - lag), min(shot.end, b + lag)
    frame = shades(evidence.rgb[first][::3, ::3].astype(np.float32))
    if (far(frame, colour) < ALIKE).mean() >= RARE:
        return np.zeros((0, 2))
    h, w = evidence.luma.shape[1:]
    half = int(REACH * min(h, w))
    shape = np.pad(mask.astype(np.uint8), half)
    y, x = np.mgrid[: shape.shape[0], : shape.shape[1]] - (np.array(shape.shape)[:, None, None] - 1) / 2
    alike = []
    for t in (first, last):
        place = carried_by_camera(evidence, at, b, t)
        seen = shades(cut_out(evidence.rgb[t], place, (shape.shape[1], shape.shape[0])))
        framed = (x + place[0] >= 0) & (y + place[1] >= 0) & (x + place[0] <= w - 1) & (y + place[1] <= h - 1)
        alike.append((far(seen, colour) < ALIKE) & framed)
    away = cv2.distanceTransform(1 - shape, cv2.DIST_L2, 3)
    rests = alike[0] & (cv2.dilate(alike[1].astype(np.uint8), KERNEL) > 0)
    rests &= (away > RIM) & (away < NEAR * min(h, w))
    return np.asarray(np.stack([x[rests], y[rests]], axis=-1) + at)


def carried_by_camera(evidence: "Evidence", places: np.ndarray, b: int, t: int) -> np.ndarray:
    """Return where places of the scene in frame `b`, `[..., 2]`, are in frame `t`."""
    if not evidence.camera.moves:
        return places
    matrix = np.linalg.inv(evidence.camera.to_first[t]) @ evidence.camera.to_first[b]
    flat = np.asarray(places, float).reshape(1, -1, 2)
    return np.asarray(cv2.perspectiveTransform(flat, matrix).reshape(places.shape))


def turned_to(evidence: "Evidence", turn: Turn) -> np.ndarray:
    """Return the colour that a region shows after it turned and did not show before, of `shades`, `[3]`."""
    end = next(shot.end for shot in evidence.shots if shot.start <= turn.a <= shot.end)
    on = followed(evidence, turn.b, turn.at, turn.mask, 1, SETTLED, end)
    size = (turn.mask.shape[1], turn.mask.shape[0])
    was = cut_out(evidence.rgb[turn.a], turn.from_, size)[turn.mask]
    now = cut_out(evidence.rgb[turn.b + len(on) - 1], on[-1], size)[turn.mask]
    return newest(shades(was), shades(now))


def newest(was: np.ndarray, now: np.ndarray) -> np.ndarray:
    """Return the median of those of the colours `now` that are farthest from all of `was`, `[n, 3]`."""
    was, now = some(was, SAMPLES), some(now, SAMPLES)
    away = nearest(now, was)
    return np.asarray(np.median(now[away >= max(min(ANOTHER, away.max()), np.percentile(away, 60))], axis=0))


def shades(rgb: np.ndarray) -> np.ndarray:
    """Return colours of float levels `[..., 3]` in CIELAB, lightness halved: a shadow changes hue and chroma less."""
    flat = np.ascontiguousarray(rgb.clip(0, 255) / np.float32(255), np.float32).reshape(1, -1, 3)
    return np.asarray(cv2.cvtColor(flat, cv2.COLOR_RGB2LAB).reshape(rgb.shape) * LIGHTNESS)


def nearest(colours: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return how far each of some colours `[n, 3]` is from the nearest of others `[m, 3]`, `[n]`."""
    squares = (colours**2).sum(axis=1)[:, None] + (others**2).sum(axis=1) - 2 * colours @ others.T
    return np.asarray(np.sqrt(np.maximum(squares.min(axis=1), 0)))


def some(pixels: np.ndarray, count: int) -> np.ndarray:
    """Return about so many of some pixels, spread over them."""
    return pixels[:: max(1, len(pixels) // count)]


def far(colours: np.ndarray, colour: np.ndarray) -> np.ndarray:
    """Return how far colours `[..., 3]` are from one, in whatever light: light moves a colour to black or from it."""
    light = np.clip(colours @ colour / max(float(colour @ colour), 1e-6), *LIGHT)
    return np.asarray(np.linalg.norm(colours - light[..., None] * colour, axis=-1))
