"""What may have made a thing turn: another thing near it, the frame's edge, or a part of the scene that is there.

A part of the scene is told by its edge: along the side of the thing from which the push came, the scene looks other
beyond a line than before it. How much so is compared with the rest of the scene.
"""

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from evaluation.evidence.camera import carry
from evaluation.evidence.clip import Evidence
from evaluation.physics.mending import followed
from evaluation.physics.paths import Path, Turn

REACH = 2.5, 0.25  # pixels, and radii, within which a thing may touch another
BESIDE, UNSEEN = 2, 6  # frames from a turn in which things may touch, and by which one may be lost or found beside it
STEADY, NEAREST = 5, 15  # sights that tell how a thing goes, and percent of its pixels that may touch another
PART = 0.2  # of a thing's area: less is no thing that pushes it
DEPTHS = np.arange(-6, 9)  # pixels from the outline in which a surface is looked for
WINDOW = 3  # pixels on both sides of an edge
FACING = 0.5  # cosine between a push and a side of the frame that it may have come from
ANYWHERE = 40  # places of the scene that an edge is compared with
ELSEWHERE = 2.5  # radii, from which a thing has left the place where it was


@dataclass(frozen=True, eq=False)
class Cause:
    """What may have pushed a thing at a turn: how far off the nearest other thing and the frame's edge are."""

    evidence: Evidence
    turn: Turn
    push: np.ndarray  # float [2], a unit vector in steady pixels
    other: Path | None  # the thing within reach, where it has a path
    thing: float  # pixels to the nearest other thing
    border: float  # pixels to the frame's edge, on the side from which the push came

    @cached_property
    def surface(self) -> float:
        """How plain an edge of the scene is there, 0..1: the share of the scene with a less plain one."""
        return surface(self.evidence, self.turn, -self.push)


def cause_of(evidence: Evidence, turn: Turn, paths: tuple[Path, ...], push: np.ndarray) -> Cause:
    """Return what may have pushed a thing at a turn in a direction, a unit vector `[2]` in steady pixels."""
    path = turn.path
    h, w = evidence.luma.shape[1:]
    first, last = turn.span
    nearest, other = np.inf, None
    for track in (one.track for one in followed(evidence)):
        if track is path.track or track.area < PART * path.track.area:
            continue
        for t in range(max(first, track.start), min(last, track.end) + 1):
            i, j = t - path.track.start, t - track.start
            if not 0 <= i < len(path.track.frames):
                continue
            apart = between(path.track.masks[i], path.track.boxes[i], track.masks[j], track.boxes[j])
            if apart < nearest:
                nearest, other = apart, next((p for p in paths if p.track is track), None)
    boxes = path.track.boxes[first - path.track.start : last - path.track.start + 1]
    sides = np.array([boxes[:, 0].min(), boxes[:, 1].min(), w - boxes[:, 2].max(), h - boxes[:, 3].max()])
    facing = np.array([push[0], push[1], -push[0], -push[1]]) > FACING
    border = float(sides[facing].min())
    return Cause(evidence, turn, push, other, nearest, border)


def ran_into(evidence: Evidence, turn: Turn, push: np.ndarray) -> float:
    """Return how surely a thing that turns ran into another one, or was run into, where the push came from, 0..1.

    What is lost or found a few frames from then counts where it was last seen, or is seen first.
    """
    path, found = turn.path, 0.0
    own, reach, change = path.track, REACH[0] + REACH[1] * path.radius, float(np.hypot(*turn.change)) / path.fps
    first, last = (int(np.clip(frame, own.start, own.end)) for frame in (turn.span[0] - BESIDE, turn.span[1] + BESIDE))
    velocity = turn.before.velocity(turn.time) / path.fps
    for track in (one.track for one in followed(evidence)):
        if track is own or track.area < PART * own.area or track.shot != own.shot:
            continue
        lost = 0 if track.ends in ("border", "clip") else UNSEEN
        new = 0 if track.begins in ("border", "clip") else UNSEEN
        frames = range(max(first, track.start - new), min(last, track.end + lost) + 1)
        sights = np.flatnonzero(track.frames <= turn.span[0] + 1)[-STEADY:]
        went = (track.steady[sights[-1]] - track.steady[sights[0]]) / max(1, len(sights) - 1) if len(sights) else 0.0
        closing = float(np.clip(4 * float((went - velocity) @ push) / change - 0.2, 0, 1))
        for t in frames if closing > found else ():
            i, j = t - own.start, min(max(t, track.start), track.end) - track.start
            gap = np.maximum(own.boxes[i][:2] - track.boxes[j][2:], track.boxes[j][:2] - own.boxes[i][2:]).max()
            if gap > 1.5 * reach:
                continue
            apart = between(own.masks[i], own.boxes[i], track.masks[j], track.boxes[j])
            near = float(np.clip(1.5 - apart / reach, 0, 1))
            if near * closing > found:
                away = _away(own.centres[i], track.masks[j], track.boxes[j])
                found = max(found, near * closing * float(np.clip((away @ push - 0.3) / 0.4, 0, 1)))
    return found


def _away(centre: np.ndarray, mask: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Return the direction, `[2]`, to a place from the nearest part of a mask."""
    y, x = np.nonzero(mask)
    off = centre - np.stack([x, y], axis=1) - box[:2]
    far = np.hypot(*off.T)
    way = off[far <= np.percentile(far, NEAREST) + 1].mean(axis=0)
    return np.asarray(way / max(float(np.hypot(*way)), 1e-9))


def between(mask: np.ndarray, box: np.ndarray, other: np.ndarray, other_box: np.ndarray) -> float:
    """Return the distance in pixels between two masks of their boxes, 0 where they touch."""
    gap = np.maximum(np.maximum(box[:2] - other_box[2:], other_box[:2] - box[2:]), 0)
    if np.hypot(*gap) > 12:
        return float(np.hypot(*gap))
    x0, y0 = np.minimum(box[:2], other_box[:2])
    x1, y1 = np.maximum(box[2:], other_box[2:])
    away = np.ones((y1 - y0, x1 - x0), np.uint8)
    away[box[1] - y0 : box[3] - y0, box[0] - x0 : box[2] - x0][mask] = 0
    far = cv2.distanceTransform(away, cv2.DIST_L2, 3)
    there = far[other_box[1] - y0 : other_box[3] - y0, other_box[0] - x0 : other_box[2] - x0][other]
    return float(max(0.0, there.min() - 1)) if there.size else np.inf


def surface(evidence: Evidence, turn: Turn, towards: np.ndarray) -> float:
    """Return how plain an edge of the scene lies at a thing's outline in a direction, against any place of it, 0..1."""
    first, last = turn.span
    moment = turn.time * turn.path.fps
    frames = {int(np.clip(t, first, last)) for t in (np.floor(moment), np.ceil(moment))}
    return max(plainness(evidence, turn.path, frame, towards) for frame in frames)


def plainness(evidence: Evidence, path: Path, frame: int, towards: np.ndarray) -> float:
    """Return how plain an edge of the scene lies at a thing's outline in one frame in a direction, 0..1.

    What rests long is a part of the scene's picture: where a frame shows the place without it, both must have it.
    """
    track = path.track
    index = frame - track.start
    ahead = here(evidence, frame, track.steady[index], towards)
    y, x = np.nonzero(track.masks[index])
    inside = np.stack([x, y], axis=1) + track.boxes[index][:2] - track.centres[index]
    reach = float(np.percentile(inside @ ahead, 98)) if len(inside) else path.radius
    point = track.centres[index] + reach * ahead
    found = _rank(evidence.background.rgb[frame], point, ahead, path.radius, frame)
    away = np.hypot(*(track.steady - track.steady[index]).T)
    k = int(away.argmax())
    if away[k] < ELSEWHERE * path.radius:
        return found
    other, to_first = int(track.frames[k]), evidence.camera.to_first
    point = carry(np.linalg.inv(to_first[other]) @ to_first[frame], point[None])[0]
    h, w = evidence.luma.shape[1:]
    if not (0 <= point[0] < w and 0 <= point[1] < h):
        return found
    ahead = here(evidence, other, track.steady[index], towards)
    return min(found, _rank(evidence.rgb[other].astype(np.float32), point, ahead, path.radius, frame))


def _rank(picture: np.ndarray, point: np.ndarray, ahead: np.ndarray, radius: float, seed: int) -> float:
    """Return the share of places of a picture with less of an edge across a direction than a point has."""
    h, w = picture.shape[:2]
    places = np.random.default_rng(seed).uniform([0, 0], [w - 1, h - 1], (ANYWHERE, 2))
    steps = edges(picture, np.concatenate([point[None], places]), ahead, radius)
    return float((steps[1:] < steps[0]).mean())


def here(evidence: Evidence, frame: int, point: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """Return a direction of steady pixels, at a point, as a unit vector in a frame."""
    matrix = np.linalg.inv(evidence.camera.to_first[frame])
    ends = carry(matrix, np.stack([point, point + direction]))
    step = ends[1] - ends[0]
    return np.asarray(step / max(float(np.hypot(*step)), 1e-9))


def edges(picture: np.ndarray, places: np.ndarray, across: np.ndarray, radius: float) -> np.ndarray:
    """Return how much a picture changes across lines at places `[n, 2]`, in levels, `[n]`."""
    h, w = picture.shape[:2]
    along = np.array([-across[1], across[0]])
    width = np.linspace(-0.6 * radius, 0.6 * radius, max(5, int(radius)))
    grid = places[:, None, None] + DEPTHS[None, :, None, None] * across + width[None, None, :, None] * along
    x = np.clip(np.round(grid[..., 0]), 0, w - 1).astype(int)
    y = np.clip(np.round(grid[..., 1]), 0, h - 1).astype(int)
    colours = picture[y, x]  # [n, depth, width, 3]
    middle = range(WINDOW, len(DEPTHS) - WINDOW + 1)
    steps = np.stack(
        [np.abs(colours[:, k : k + WINDOW].mean(1) - colours[:, k - WINDOW : k].mean(1)).max(-1) for k in middle]
    )
    return np.asarray(np.median(steps, axis=2).max(axis=0))
