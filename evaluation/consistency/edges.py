"""Long straight edges of a scene that do not stay straight: no motion of a camera bends what is straight.

An edge is found in a shot's first frame and looked for across itself wherever the camera carries it. How far it then
lies off the straight line that most of it follows is a wave along it that grows and shrinks, where a scene bends: the
pattern that most of it follows is found as `bending` finds a scene's. This needs no texture. Edges whose neighbouring
places do not agree were lost to others. Distances are in % of the picture's longer side, where nothing else is said.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from evaluation.consistency.bending import strength_and_spread
from evaluation.evidence.camera import carry
from evaluation.evidence.clip import Evidence
from evaluation.evidence.flow import sample
from evaluation.evidence.shots import Shot

SOFT, VOTES, GAP = 1.0, 25, 8  # pixels of blur; points of an edge at least; pixels by which it may be hidden
LONGEST, MOST_EDGES, APART = 0.4, 12, 4.0  # of the longer side at least; edges; pixels between two
REACH, AT_FIRST, LATER = 8.0, 0.75, 3.0  # pixels across an edge where it is looked for; of these, where it likely is
STEP, LEFT = 10.0, 0.4  # levels, and the share of an edge's contrast at first, that tell it from others
SEEN, STRAIGHT, EARLY = 0.7, 0.6, 0.12  # share seen at first; pixels off at first; % off in the first eighth
KNOWN, CELL, LEAST_CELLS = 0.65, 6, 7  # share of cells seen later; pixels of an edge taken together; of them at least
AGREE = 0.4  # correlation of neighbouring cells
RATE, MOMENTS, ROUNDS, GIVE = 8.0, 5, 8, 0.5  # looks a second, at least; turns, and pixels, of the fit of a line
BENT = 0.3  # share of the largest deviation that is a beginning


@dataclass(frozen=True)
class Bent:
    """An edge that may bend: from the frame `start` on, as strongly as `strength` (log of %), by `far` % at most."""

    start: int
    strength: float
    far: float


def find_bent_edges(evidence: Evidence, shot: Shot) -> Iterator[Bent]:
    """Yield how strongly edges bend that are straight in a shot's first frame and can be followed through it."""
    frames = np.arange(shot.start, shot.end + 1, max(1, round(evidence.clip.fps / RATE)))
    if len(frames) < MOMENTS or not evidence.camera.moves:
        return
    views = [cv2.GaussianBlur(evidence.luma[t], (0, 0), SOFT) for t in frames]
    to_first = evidence.camera.to_first
    carries = np.linalg.inv(to_first[frames]) @ to_first[shot.start]
    unit = 100 / max(evidence.luma.shape[1:])
    for ends in straight_edges(views[0]):
        followed = _follow(views, carries, ends, EARLY / unit)
        if followed is None or _agreement(*followed) < AGREE:
            continue
        off, known = followed[0] * unit, followed[1]
        strength, _ = strength_and_spread(np.stack([off, np.zeros_like(off)], axis=-1), known)
        size = np.sqrt(np.sum(off**2, axis=1) / known.sum(axis=1).clip(1))
        begins = int(np.argmax(size >= BENT * size.max()))
        yield Bent(int(frames[max(0, begins - 1)]) + 1, strength, float(np.abs(off).max()))


def straight_edges(view: np.ndarray) -> list[np.ndarray]:
    """Return the ends `[2, 2]` in pixels (x, y) of the longest straight edges in a frame `float32 [h, w]`."""
    edges = cv2.Canny(view.astype(np.uint8), 15, 40)
    lines = cv2.HoughLinesP(edges, 1, np.pi / 180, VOTES, minLineLength=LONGEST * max(view.shape), maxLineGap=GAP)
    found: list[np.ndarray] = []
    if lines is None:
        return found
    ends = np.asarray(lines, float).reshape(-1, 2, 2)
    for one in ends[np.argsort(-np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1), kind="stable")]:
        if all(_distance(one.mean(axis=0), other) > APART for other in found):
            found.append(one)
        if len(found) == MOST_EDGES:
            break
    return found


def _distance(point: np.ndarray, ends: np.ndarray) -> float:
    """Return how many pixels a point is off the line through two ends."""
    (x, y), (along, down) = point - ends[0], ends[1] - ends[0]
    return float(abs(x * down - y * along) / np.hypot(along, down))


def _follow(
    views: list[np.ndarray], carries: np.ndarray, ends: np.ndarray, early: float
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return how many pixels the cells of an edge lie off a straight line in each view, and where that is known.

    Both are `[n, cells]`; None where the edge is none, is off by more than `early` at first, or cannot be followed.
    """
    count = int(np.linalg.norm(ends[1] - ends[0])) // 2
    along = np.linspace(0, 1, count)
    points = ends[0] + along[:, None] * (ends[1] - ends[0])
    at, contrast = np.zeros(count), 0.0
    off: list[np.ndarray] = []
    known: list[np.ndarray] = []
    for view, matrix in zip(views, carries, strict=True):
        found, steps, seen = _across(view, carry(matrix, points), at, contrast)
        line = _line(along, found, seen)
        if not off:
            contrast = float(np.median(steps[seen])) if seen.any() else 0.0
            if abs(contrast) < STEP or seen.mean() < SEEN:
                return None
            if np.quantile(np.abs(found - line)[seen], 0.8) > STRAIGHT:
                return None
        at = cv2.medianBlur(np.where(seen, found, line).astype(np.float32)[None], 5)[0]
        values, there = _cells(found - line, seen)
        off.append(values)
        known.append(there)
        if len(off) == max(2, len(views) // 8):
            at_first = np.abs(np.array(off)[np.array(known)])
            if np.quantile(at_first, 0.7) > early:
                return None
    followed = np.mean(known, axis=0) > 0.5
    table, there = np.array(off)[:, followed], np.array(known)[:, followed]
    return (table, there) if followed.sum() >= LEAST_CELLS and there.mean() >= KNOWN else None


def _across(
    view: np.ndarray, points: np.ndarray, at: np.ndarray, contrast: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return how many pixels across its points `[n, 2]` an edge lies, its steps in levels, and where it is seen, `[n]`.

    It is likely where it was before, `at`, and of the `contrast` that it has; 0 where that is to be found.
    """
    height, width = view.shape
    ways = np.gradient(points, axis=0)
    across = np.stack([-ways[:, 1], ways[:, 0]], axis=1) / np.linalg.norm(ways, axis=1)[:, None].clip(1e-6)
    reach = np.arange(-REACH, REACH + 0.25, 0.5)
    places = points[:, None] + across[:, None] * (at[:, None] + reach)[..., None]
    beyond, before = (sample(view, (places + side * across[:, None]).astype(np.float32)) for side in (1, -1))
    steps = beyond - before
    likely = np.exp(-(reach**2) / (2 * (LATER if contrast else AT_FIRST) ** 2))
    clear = (steps * np.sign(contrast) if contrast else np.abs(steps)) * likely
    best, rows = np.argmax(clear, axis=1), np.arange(len(points))
    a, b, c = (clear[rows, np.clip(best + k, 0, len(reach) - 1)] for k in (-1, 0, 1))
    peaked = a + c - 2 * b < -1e-6
    finer = np.where(peaked, (a - c) / np.where(peaked, 2 * (a + c - 2 * b), 1), 0).clip(-0.5, 0.5)
    found = at + reach[best] + 0.5 * finer
    where = points + across * found[:, None]
    inside = ((where > 1) & (where < [width - 2, height - 2])).all(axis=1)
    step = steps[rows, best]
    strong = np.abs(step) > (max(STEP / 2, LEFT * abs(contrast)) if contrast else STEP)
    return found, step, inside & strong & (best > 0) & (best < len(reach) - 1)


def _line(along: np.ndarray, found: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Return the straight line that most of what is seen of an edge lies on, `[n]`."""
    basis, weight, line = np.stack([np.ones_like(along), along], axis=1), seen.astype(float), np.zeros_like(found)
    for _ in range(ROUNDS):
        weighted = basis * weight[:, None]
        line = basis @ np.linalg.solve(weighted.T @ basis + 1e-6 * np.eye(2), weighted.T @ found)
        weight = seen / (GIVE**2 + (found - line) ** 2)
    return line


def _cells(off: np.ndarray, seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the medians of stretches of an edge, and where most of a stretch is seen; 0 elsewhere."""
    parts = np.array_split(np.arange(len(off)), max(1, len(off) * 2 // CELL))
    known = np.array([seen[part].mean() > 0.5 for part in parts])
    values = [np.median(off[part][seen[part]]) if there else 0.0 for part, there in zip(parts, known, strict=True)]
    return np.array(values), known


def _agreement(off: np.ndarray, known: np.ndarray) -> float:
    """Return how alike neighbouring cells are, -1..1."""
    a, b = (part[known[:, :-1] & known[:, 1:]] for part in (off[:, :-1], off[:, 1:]))
    return float(2 * (a @ b) / (a @ a + b @ b + 1e-9))
