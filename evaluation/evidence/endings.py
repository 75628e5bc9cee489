"""Why a thing is not seen before its first sight, or after its last.

The reasons are tried in order: the clip or the shot begins or ends; the frame's edge; another thing or a part of the
scene that hides it (`occluders.py`); another thing that it came out of or went into; that the frame still shows it,
though it does not stand out from what is around it there. What is left is unexplained.
"""

from typing import TYPE_CHECKING

import cv2
import numpy as np

from evaluation.evidence.camera import carry
from evaluation.evidence.occluders import hidden_by_scene
from evaluation.evidence.things import Sight, Thing

if TYPE_CHECKING:
    from evaluation.evidence.clip import Evidence

COVERED = 0.5  # of where a thing would be, from which what is there hides it
GROWN = 0.5  # of a thing's area, by which another grows that takes it in
SEEN = 0.5  # absence below which the frame shows the thing
LOOKS = 4  # sights by which it is looked for
FULL = 0.6  # of its usual contrast with what is behind it, below which it fades in or out
FADES = 3  # frames farther off at which a thing that fades is looked for
FARTHEST = 16  # pixels about the expected place within which it is looked for


def ending(evidence: "Evidence", owners: np.ndarray, start: int, end: int, thing: Thing, way: int) -> tuple[str, float]:
    """Return why a thing is not seen before its first (`way` -1) or after its last sight (1), and its absence there.

    `owners` are those of the shot from frame `start` to `end`. The absence is how far the frame is from showing the
    thing anywhere near, as a share of how far what is behind the thing is from it: 0 it is there, 1 there is no trace.
    """
    sights = thing.sights[::-way]  # from the last seen backward in time, or from the first forward
    t = sights[0].frame + way
    if not start <= t <= end:
        return ("clip" if t in (-1, len(evidence.luma)) else "cut"), 0.0
    h, w = owners.shape[1:]
    step = _step(sights)
    if _leaves(sights[0], step, thing.radius, h, w):
        return "border", 0.0
    there = owners[t - start][_shape(owners, start, thing, sights[0], step)]
    others = np.bincount(there, minlength=1)
    others[0] = 0
    if len(there) and others.sum() >= COVERED * len(there):
        other = int(others.argmax())
        grown = int((owners[t - start] == other).sum()) - int((owners[t - way - start] == other).sum())
        return ("merged" if grown > GROWN * sights[0].area else "occluded"), 0.0
    hidden = hidden_by_scene(evidence, owners, start, thing, sights, way)
    if hidden == "gradually":
        return "occluded", 0.0
    if sights[0].shared:  # it and another were one region: it may be in that still, or already
        return "merged", 0.0
    absent = _absence(evidence, owners, start, end, thing, sights, step, way)
    if absent < SEEN:
        return "blended", absent
    return ("occluded" if hidden == "at once" else "unexplained"), absent


def _step(sights: list[Sight]) -> np.ndarray:
    """Return how far it moves a frame, in pixels, towards where it is not seen."""
    few = sights[:4]
    return np.asarray((few[0].centre - few[-1].centre) / max(1, len(few) - 1))


def _leaves(sight: Sight, step: np.ndarray, radius: float, h: int, w: int) -> bool:
    x0, y0, x1, y1 = sight.box
    inside = np.array([x0, y0, w - x1, h - y1])  # pixels to the left, upper, right and lower edge
    outwards = np.array([-step[0], -step[1], step[0], step[1]])
    return bool(((inside <= 1) | ((inside < 1.5 * outwards + 1) & (outwards > 0.5))).any())


def _shape(owners: np.ndarray, start: int, thing: Thing, sight: Sight, step: np.ndarray) -> np.ndarray:
    """Return its mask in a sight, carried on by a step."""
    h, w = owners.shape[1:]
    mask = (owners[sight.frame - start] == thing.number).astype(np.uint8)
    matrix = np.array([[1, 0, step[0]], [0, 1, step[1]]])
    return np.asarray(cv2.warpAffine(mask, matrix, (w, h), flags=cv2.INTER_NEAREST) > 0)


def _absence(
    evidence: "Evidence",
    owners: np.ndarray,
    start: int,
    end: int,
    thing: Thing,
    sights: list[Sight],
    step: np.ndarray,
    way: int,
) -> float:
    usual = np.median([_contrast(evidence, owners, start, thing, sight) for sight in sights[: 4 * LOOKS : LOOKS]])
    looks = sights[:LOOKS]
    t = sights[0].frame + way
    if _contrast(evidence, owners, start, thing, sights[0]) < FULL * usual and len(sights) > FADES:
        looks = sights[FADES : FADES + 2]
        t = int(np.clip(t + FADES * way, start, end))
    return min(_missed(evidence, owners, start, thing, sight, t, step * way) for sight in looks)


def _missed(
    evidence: "Evidence", owners: np.ndarray, start: int, thing: Thing, sight: Sight, t: int, velocity: np.ndarray
) -> float:
    """Return how far frame `t` is from showing the thing as in one sight, of how far what is behind it is from it."""
    x0, y0, x1, y1 = sight.box
    mask = owners[sight.frame - start, y0:y1, x0:x1] == thing.number
    picture = evidence.rgb[sight.frame, y0:y1, x0:x1].astype(np.float32)
    gap = t - sight.frame
    to_first = evidence.camera.to_first
    place = np.array([[x0, y0]]) + velocity * gap
    place = carry(np.linalg.inv(to_first[t]) @ to_first[sight.frame], place)[0] if evidence.camera.moves else place[0]
    reach = int(min(FARTHEST, 3 + 0.7 * np.hypot(*velocity) * abs(gap)))
    h, w = owners.shape[1:]
    left, top = (int(np.clip(round(v) - reach, 0, side)) for v, side in zip(place, (w, h), strict=True))
    window = evidence.rgb[t, top : top + (y1 - y0) + 2 * reach, left : left + (x1 - x0) + 2 * reach].astype(np.float32)
    if window.shape[0] < picture.shape[0] or window.shape[1] < picture.shape[1]:
        return 0.0
    weight = np.repeat(mask.astype(np.float32)[..., None], 3, axis=-1)
    squares = cv2.matchTemplate(window, picture, cv2.TM_SQDIFF, mask=weight)
    best = float(np.sqrt(max(0.0, squares.min()) / max(1, 3 * mask.sum())))
    behind = _contrast(evidence, owners, start, thing, sight)
    return float(np.clip((best - 1.5 * evidence.noise) / max(behind, 1e-6), 0, 1))


def _contrast(evidence: "Evidence", owners: np.ndarray, start: int, thing: Thing, sight: Sight) -> float:
    """Return by how many levels, root mean square, a thing differs from what is behind it, or beside it."""
    h, w = owners.shape[1:]
    x0, y0, x1, y1 = sight.box
    place = slice(max(0, y0 - 2), min(h, y1 + 2)), slice(max(0, x0 - 2), min(w, x1 + 2))
    mask = owners[sight.frame - start][place] == thing.number
    frame = evidence.rgb[sight.frame][place].astype(np.float32)
    known = evidence.background.known[sight.frame][place] & mask
    if 2 * known.sum() > mask.sum():
        difference = frame[known] - evidence.background.rgb[sight.frame][place][known]
    elif mask.all():
        return 0.0
    else:
        difference = frame[mask] - frame[~mask].mean(axis=0)
    return float(np.sqrt(np.mean(difference**2)))
