"""Failures of physics and consistency, put into a scene whose faultless take is known.

Every way gives the take that shows it, the things it shows on, and its frames: from the first frame that is wrong to
the last in which it goes on happening. What lasts (a thing gone, a colour changed) ends with the change.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from evaluation.proving.case import SEVERITIES
from evaluation.proving.stage.scene import Scene, Take


@dataclass(frozen=True, eq=False)
class Fault:
    """A take with one failure.

    `mix` (float `[T]`) is the share of a foreign scene in the picture, where another scene is to be seen. `known_by` is
    what an eye must see to know that this is wrong: what would be missing as plainly if it were not there.
    """

    type: str
    way: str
    severity: str
    take: Take
    start: int
    end: int
    things: tuple[int, ...] = ()  # none: the whole picture
    mix: np.ndarray | None = None
    known_by: "Fault | None" = None


class Shot:
    """A scene, its faultless take, and what can be seen of each thing.

    `seen` (float `[T, N]`) is 0 where it is hidden or out of the picture, and 1 where all of it is seen; `inside` (bool
    `[T, N]`) says whether its middle is in the picture, hidden or not.
    """

    def __init__(
        self, scene: Scene, take: Take, seen: np.ndarray, inside: np.ndarray, rng: np.random.Generator
    ) -> None:
        self.scene, self.take, self.seen, self.inside, self.rng = scene, take, seen, inside, rng
        self.total, self.fps = scene.frames, scene.fps
        self.open = seen > 0.85
        self.touch = take.floor_touch | take.thing_touch.any(2)
        self.speed = np.linalg.norm(take.velocity, axis=2)
        self.severity = str(rng.choice(SEVERITIES))

    def graded(self, subtle: float, plain: float, gross: float) -> float:
        """A figure for this severity, up to a tenth off."""
        return float({"subtle": subtle, "plain": plain, "gross": gross}[self.severity] * self.rng.uniform(0.9, 1.1))

    def frames(self, seconds: float, least: int = 1) -> int:
        return max(least, round(seconds * self.fps))

    def things(self) -> list[int]:
        return [int(index) for index in self.rng.permutation(len(self.scene.things))]

    def pick(self, good: np.ndarray) -> int | None:
        """One of the frames marked as good, with some clip before it and after it."""
        margin = max(3, self.frames(0.25))
        good = np.flatnonzero(good)
        good = good[(good >= margin) & (good < self.total - margin)]
        return int(self.rng.choice(good)) if len(good) else None

    def open_for(self, index: int, before: int, after: int) -> np.ndarray:
        """bool `[T]`: in the open from `before` frames earlier until `after` frames later."""
        return np.array([
            t >= before and t + after < self.total and bool(self.open[t - before : t + after + 1, index].all())
            for t in range(self.total)
        ])  # fmt: skip

    def alone(self, index: int, first: int = 0) -> bool:
        """Whether the thing touches no other one from a frame on."""
        return not self.take.thing_touch[first:, index].any()

    def changed(self, **changes: tuple[int, slice | np.ndarray, np.ndarray | float]) -> Take:
        """The take with values of one thing replaced over some frames: `opacity=(thing, frames, values)`."""
        new = {}
        for name, (index, frames, values) in changes.items():
            new[name] = getattr(self.take, name).copy()
            new[name][frames, index] = values
        return self.take.with_(**new)

    def ramp(self, start: int, length: int) -> np.ndarray:
        """float [T]: 0 before `start`, 1 from `start + length` on; a step for length 0."""
        return np.clip((np.arange(self.total) - start + 1) / (length + 1), 0, 1)

    def gaps(self, index: int) -> list[tuple[int, int]]:
        """Where the thing is hidden between two sights of it, for two frames at least: first and last such frame."""
        seen = self.seen[:, index] > 0.02
        edges = np.flatnonzero(np.diff(seen.astype(int)))
        pairs = pairwise(edges)
        return [
            (int(a) + 1, int(b))
            for a, b in pairs
            if not seen[a + 1] and b - a >= 2 and self.inside[a + 1 : b + 1, index].all()
        ]

    def flights(self, index: int, seconds: float) -> list[tuple[int, int]]:
        """Stretches of free flight in the open, at least so long: first and last frame."""
        if not self.scene.upright:
            return []
        free = self.open[:, index] & ~self.touch[:, index]
        bounds = np.flatnonzero(np.diff(np.concatenate([[0], free.astype(int), [0]])))
        return [
            (int(a), int(b) - 1)
            for a, b in zip(bounds[::2], bounds[1::2], strict=True)
            if b - 1 - a >= max(4, seconds * self.fps)
        ]

    @property
    def camera_moves(self) -> bool:
        return bool((np.ptp(self.take.camera[:, :2], axis=0) > 0.04).any() or np.ptp(self.take.camera[:, 2]) > 0.06)

    def moving(self) -> np.ndarray:
        """bool [T]: something can be seen to move, or the camera does."""
        path = np.linalg.norm(np.diff(self.take.camera, axis=0, prepend=self.take.camera[:1]), axis=1) * self.fps
        return np.asarray(((self.speed > 0.12) & (self.seen > 0.5)).any(1) | (path > 0.04))


Way = Callable[[Shot], Fault | None]


def due(scene: Scene, take: Take, seen: np.ndarray, inside: np.ndarray) -> frozenset[str]:
    """The types of failure that an eye can judge in the faultless take, and so in any other."""
    shot = Shot(scene, take, seen, inside, np.random.default_rng(0))
    things = range(len(scene.things))
    types = {"freeze", "flicker", "incoherence"}
    long_seen = [index for index in things if (seen[:, index] > 0.5).sum() >= max(5, 0.5 * scene.fps)]
    if long_seen:
        types |= {"appearance", "disappearance", "identity_drift", "teleport", "state_change"}
    if any(shot.speed[seen[:, index] > 0.5, index].max() > 0.12 for index in long_seen):
        types |= {"momentum"}
    if any(shot.gaps(index) for index in things):
        types |= {"permanence"}
    if any(shot.flights(index, 0.4) for index in things):
        types |= {"gravity"}
    if (shot.touch & (seen > 0.5) & (shot.speed > 0.05)).any():
        types |= {"interpenetration"}
    if shot.camera_moves:
        types |= {"view_inconsistency"}
    return frozenset(types)
