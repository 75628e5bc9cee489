"""Floors and walls, known because something turned or rests on an edge of the scene.

A surface is a straight line of the scene, in steady pixels: the points of things that touched it lie on it, and the
scene looks other beyond it along most of its length in the picture.
"""

from dataclasses import dataclass

import numpy as np

from evaluation.evidence.clip import Evidence
from evaluation.physics.contacts import surface
from evaluation.physics.meetings import turned
from evaluation.physics.paths import Path, Turn

PLAIN = 0.8  # share of the scene with less of an edge, from which a turn is on one
CLEAR = 0.5  # least quality of a track that tells where a surface is
NEAR = 1.5  # pixels by which touching points of one line differ


@dataclass(frozen=True, eq=False)
class Surface:
    """A line through `point` with the `outward` normal, away from what is solid, that `owners` turned on or rest on."""

    shot: int
    point: np.ndarray  # float [2]
    outward: np.ndarray  # float [2], a unit vector
    owners: tuple[Path, ...]
    sure: float  # 0..1
    error: float  # pixels

    def depth(self, evidence: Evidence, path: Path) -> np.ndarray:
        """Return how far a thing reaches beyond the line in each frame of its track, in pixels, negative before it."""
        track = path.track
        deep = np.empty(len(track.frames))
        for i, (box, mask) in enumerate(zip(track.boxes, track.masks, strict=True)):
            y, x = np.nonzero(mask)
            if not len(x):
                deep[i] = -np.inf
                continue
            points = np.stack([x, y], axis=1) + box[:2]
            shift = track.steady[i] - track.centres[i]
            deep[i] = np.percentile((points + shift - self.point) @ -self.outward, 97)
        deep[track.at_border] = -np.inf
        return deep


def surfaces(evidence: Evidence, paths: tuple[Path, ...]) -> list[Surface]:
    """Return the lines that things turned on, each once."""
    found: list[Surface] = []
    for path in paths:
        for turn in path.turns:
            here = _touched(evidence, turn)
            if here is None:
                continue
            for index, known in enumerate(found):
                if known.outward @ here.outward > 0.9 and abs((here.point - known.point) @ known.outward) < NEAR + 2:
                    owners = known.owners if path in known.owners else (*known.owners, path)
                    sure = min(1.0, known.sure + 0.35)
                    found[index] = Surface(known.shot, known.point, known.outward, owners, sure, known.error)
                    break
            else:
                found.append(here)
    return found


def _touched(evidence: Evidence, turn: Turn) -> Surface | None:
    """Return the line that a thing bounced off, None where it did not."""
    if not turned(turn) or turn.gap > 2:
        return None
    path, change = turn.path, turn.change
    push = change / np.hypot(*change)
    came, goes = -float(turn.before.velocity(turn.time) @ push), float(turn.after.velocity(turn.time) @ push)
    if came < 3 * turn.error or goes > 1.15 * came + 2 * turn.error:
        return None
    # The normal is that of an upright or level line where the push is near it, as friction tilts the push.
    if not path.track.rigid or path.track.quality < CLEAR or path.track.at_border[turn.span[0] - path.track.start]:
        return None
    axis = np.array([np.sign(push[0]), 0.0]) if abs(push[0]) > abs(push[1]) else np.array([0.0, np.sign(push[1])])
    normal = axis if axis @ push > 0.9 else push
    plain = surface(evidence, turn, -normal)
    if plain < PLAIN:
        return None
    reaches = []
    for frame in range(turn.span[0], turn.span[1] + 1):
        i = frame - path.track.start
        y, x = np.nonzero(path.track.masks[i])
        points = np.stack([x, y], axis=1) + path.track.boxes[i][:2] + (path.track.steady[i] - path.track.centres[i])
        reaches.append(float(np.percentile(points @ -normal, 97)))
    point = -normal * max(reaches)
    return Surface(path.track.shot, point, normal, (path,), 0.3, NEAR)
