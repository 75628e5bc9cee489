"""How things move: the path of each as pieces of even acceleration, and the turns between them.

The velocity of a thing from one frame to the next is the median of the flow over its inside, with the camera's motion
taken out; where the flow is lost, it is the step of its centre, if all of it is seen. Unlike the centre, the flow does
not change with how much of the thing is seen. Where it has no outline of its own, its picture tells (`mending.py`). The
path is cut into pieces in `partition.py`.

Places are steady pixels (x right, y down), times are seconds, and velocities pixels a second.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import cv2
import numpy as np

from evaluation.evidence.camera import carry
from evaluation.evidence.clip import Evidence
from evaluation.evidence.looks import unlike
from evaluation.evidence.medians import median
from evaluation.evidence.tracks import Track
from evaluation.physics.mending import Followed, followed
from evaluation.physics.partition import FEWEST, partition

SURE = 0.2  # least quality of a track that is judged
SMALLEST = 16.0  # pixels: the area of a smaller thing is not known well enough
SMALL = 100.0  # pixels: what has half the area of it counts half
SELF_MOVED = 0.3  # times the credit, of what changes its shape
JITTER, OF_SPEED = 0.05, 0.04  # pixels a frame, and parts of the speed: the least error of a step
LOST = 0.4  # of the inside: with less consistent flow, its step is not known by it
GAIN = 0.9, 1.5  # limits of the speed of a centre over that of the flow
PARALLAX = 0.25  # of the camera's own path, by which things at other depths seem to move
GAP = 4  # steps without a known velocity that a turn may lie in
PLACED = 5  # sights nearest to a turn that its place is known by
SAME = 0.35, 0.6  # unlikeness of looks, and difference of the areas' logarithms, up to which a thing is still the same
SHARP = 2.0  # radii a second: a larger change of velocity tells when it happened


@dataclass(frozen=True, eq=False)
class Piece:
    """A stretch of even acceleration: steps `first` to `last` of a path, and the line fitted to their velocities."""

    first: int
    last: int
    start: float  # seconds of the middle of its first and last step
    end: float
    middle: float  # seconds that the coefficients are of
    coefficients: np.ndarray  # float [2, 2]: velocity, acceleration
    covariance: np.ndarray  # float [2, 2], of each axis
    view: np.ndarray  # float [2, 2]: the same of the camera, by which things at another depth seem to move

    @property
    def steps(self) -> int:
        """The number of steps."""
        return self.last - self.first + 1

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return (self.end - self.start) * self.steps / max(1, self.steps - 1)

    @property
    def acceleration(self) -> np.ndarray:
        """Pixels / s², `[2]`."""
        return np.asarray(self.coefficients[1])

    @property
    def acceleration_error(self) -> float:
        """Standard error of each component of the acceleration."""
        return float(np.hypot(np.sqrt(self.covariance[1, 1]), PARALLAX * np.hypot(*self.view[1])))

    def velocity(self, time: float) -> np.ndarray:
        """Return the velocity, `[2]`."""
        return np.asarray(self.coefficients[0] + (time - self.middle) * self.coefficients[1])

    def velocity_error(self, time: float) -> float:
        """Return the standard error of each component of the velocity."""
        powers = np.array([1.0, time - self.middle])
        return float(np.sqrt(powers @ self.covariance @ powers))

    def seen_velocity(self, time: float) -> np.ndarray:
        """Return the velocity of the camera's view, `[2]`."""
        return np.asarray(self.view[0] + (time - self.middle) * self.view[1])

    def way(self, start: float, end: float) -> np.ndarray:
        """Return how far it goes from one time to another, `[2]`."""
        return np.asarray(self.velocity((start + end) / 2) * (end - start))


@dataclass(frozen=True, eq=False)
class Path:
    """The path of one track, by its steps from sight to sight. Step i is from frame `frames[i]` to the next."""

    track: Track
    index: np.ndarray  # int [n]: the sights of the track that the steps begin with
    frames: np.ndarray  # int [n]
    times: np.ndarray  # float [n]: seconds of the middle of the steps
    velocities: np.ndarray  # float [n, 2]
    error: float  # standard error of one component of a velocity
    pieces: tuple[Piece, ...]
    fps: float

    @property
    def radius(self) -> float:
        """Radius in pixels of the disc of its area."""
        return float(np.sqrt(self.track.area / np.pi))

    @property
    def credit(self) -> float:
        """How far its motion is to be believed, 0..1: what is small, badly followed or changes its shape less."""
        sure = self.track.quality**0.5 * min(1.0, self.track.area / SMALL)
        return float(sure * (1.0 if self.track.rigid else SELF_MOVED))

    @cached_property
    def turns(self) -> tuple["Turn", ...]:
        """What happens between its pieces, in order."""
        return tuple(Turn(self, a, b) for a, b in pairwise(self.pieces))

    def place(self, piece: Piece, time: float) -> np.ndarray:
        """Return where it is at a time, `[2]`, as known by the sights of a piece that are nearest to it."""
        track, fps = self.track, self.fps
        first, last = self.index[piece.first], self.index[piece.last] + 1
        sights = np.arange(first, last + 1)
        whole = sights[track.whole[sights]]
        chosen = whole if len(whole) else sights
        chosen = chosen[np.argsort(np.abs(track.frames[chosen] / fps - time))[:PLACED]]
        return np.asarray(np.median([track.steady[i] + piece.way(track.frames[i] / fps, time) for i in chosen], axis=0))


@dataclass(frozen=True, eq=False)
class Turn:
    """The change of a path's motion from one piece to the next."""

    path: Path
    before: Piece
    after: Piece

    @cached_property
    def time(self) -> float:
        """Seconds at which both pieces are at one place, as near as can be told, or in the middle between the two."""
        middle, path = (self.before.end + self.after.start) / 2, self.path
        change = self.after.velocity(middle) - self.before.velocity(middle)
        if np.hypot(*change) < SHARP * path.radius:
            return middle
        apart = path.place(self.after, middle) - path.place(self.before, middle)
        half = (self.after.start - self.before.end) / 2
        return middle + float(np.clip(-(apart @ change) / (change @ change), -half, half))

    @property
    def frame(self) -> int:
        """The first frame that shows the new motion."""
        return int(self.path.frames[self.after.first])

    @property
    def span(self) -> tuple[int, int]:
        """The frames between which it happens, both inclusive."""
        return int(self.path.frames[self.before.last]), int(self.path.frames[self.after.first]) + 1

    @property
    def gap(self) -> int:
        """Steps between the pieces that are of none, or not known."""
        return int(self.path.frames[self.after.first] - self.path.frames[self.before.last] - 1)

    @cached_property
    def change(self) -> np.ndarray:
        """The change of velocity, `[2]`."""
        return np.asarray(self.after.velocity(self.time) - self.before.velocity(self.time))

    @cached_property
    def error(self) -> float:
        """Standard error of a component of the change of velocity."""
        shake = PARALLAX * np.hypot(*(self.after.seen_velocity(self.time) - self.before.seen_velocity(self.time)))
        return float(np.sqrt(sum(p.velocity_error(self.time) ** 2 for p in (self.before, self.after)) + shake**2))

    @cached_property
    def same(self) -> bool:
        """Whether the thing looks the same before and after, and about as large: a track may go over to another."""
        track, index = self.path.track, self.path.index
        last, first = index[self.before.last], index[self.after.first]
        sights = [slice(max(index[self.before.first], last + 1 - PLACED), last + 1), slice(first, first + PLACED)]
        looks = [np.median(track.look[some], axis=0) for some in sights]
        areas = [float(np.median(track.areas[some])) for some in sights]
        return float(unlike(*looks)) < SAME[0] and abs(float(np.log(areas[0] / areas[1]))) < SAME[1]

    @property
    def bend(self) -> np.ndarray:
        """The change of acceleration, `[2]`."""
        return np.asarray(self.after.acceleration - self.before.acceleration)

    @property
    def bend_error(self) -> float:
        """Standard error of a component of the change of acceleration."""
        return float(np.hypot(self.before.acceleration_error, self.after.acceleration_error))


def paths(evidence: Evidence) -> tuple[Path, ...]:
    """Return the paths of all things that are followed well enough, the longest first."""
    known: tuple[Path, ...] | None = evidence.__dict__.get("_paths")
    if known is None:
        found = [path for one in followed(evidence) if (path := path_of(evidence, one)) is not None]
        known = evidence.__dict__["_paths"] = tuple(sorted(found, key=lambda path: -len(path.times)))
    return known


def path_of(evidence: Evidence, one: Followed) -> Path | None:
    """Return the path of one track, None if it is not followed well enough."""
    track = one.track
    if track.quality < SURE or track.area < SMALLEST or len(track.frames) < 2 * FEWEST:
        return None
    fps, camera = evidence.clip.fps, evidence.camera
    steps = np.array([_step(evidence, track, i) for i in range(len(track.frames) - 1)])
    steps *= _gain(track, steps)
    steps = np.where(np.isfinite(one.steps), one.steps, steps)
    known = np.isfinite(steps[:, 0])
    if camera.moves:
        known &= camera.reliable[track.frames[:-1]]
    index = np.flatnonzero(known)
    if len(index) < 2 * FEWEST:
        return None
    frames, velocities = track.frames[index], steps[index] * fps
    times = (frames + 0.5) / fps
    h, w = evidence.luma.shape[1:]
    middle = np.tile([w / 2, h / 2], (len(frames), 1))
    view = (camera.steady(frames + 1, middle) - camera.steady(frames, middle)) * fps
    speed = float(np.percentile(np.hypot(*velocities.T), 75))
    error = max(JITTER * fps + OF_SPEED * speed, _scatter(frames, velocities))
    pieces = tuple(_piece(times, velocities, view, a, b, error) for a, b in partition(times, velocities, error))
    return Path(track, index, frames, times, velocities, error, pieces, fps)


def _step(evidence: Evidence, track: Track, i: int) -> np.ndarray:
    """Return how far a thing goes from its sight `i` to the next, in steady pixels `[2]`; nan where it is not known."""
    t, (x0, y0, x1, y1) = int(track.frames[i]), track.boxes[i]
    mask = track.masks[i].astype(np.uint8)
    inside = cv2.erode(mask, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0) > 0
    if np.count_nonzero(inside) < 8:
        inside = track.masks[i]
    flow = median(evidence.flow.forward[t, y0:y1, x0:x1][inside])
    x0, y0, x1, y1 = track.boxes[i + 1]
    both = evidence.flow.consistent[t, y0:y1, x0:x1] & track.masks[i + 1]
    clear = np.count_nonzero(both) / np.count_nonzero(track.masks[i + 1])
    both = track.whole[i] and track.whole[i + 1]
    if clear < LOST:
        return np.asarray(track.steady[i + 1] - track.steady[i]) if both else np.full(2, np.nan)
    to_first = evidence.camera.to_first
    start = track.centres[i][None]
    return np.asarray(carry(to_first[t + 1], start + flow)[0] - carry(to_first[t], start)[0])


def _gain(track: Track, steps: np.ndarray) -> float:
    """Return by how much the centre goes farther than the flow says, which lags where a thing has little texture."""
    both = track.whole[1:] & track.whole[:-1] & np.isfinite(steps[:, 0])
    flow, centre = steps[both], np.diff(track.steady, axis=0)[both]
    alike = np.hypot(*(centre - flow).T) < 1 + 0.5 * np.hypot(*flow.T)
    squares = float((flow[alike] ** 2).sum())
    if alike.sum() < 2 * FEWEST or squares < 0.1 * alike.sum():
        return 1.0
    return float(np.clip((flow[alike] * centre[alike]).sum() / squares, *GAIN))


def _scatter(frames: np.ndarray, velocities: np.ndarray) -> float:
    """Return the standard deviation of velocities about a smooth course, by their second differences."""
    if len(frames) < 6:
        return 0.0
    second = np.diff(velocities, 2, axis=0)[frames[2:] - frames[:-2] == 2]
    return float(1.4826 * np.median(np.abs(second)) / np.sqrt(6)) if len(second) > 3 else 0.0


def _piece(times: np.ndarray, velocities: np.ndarray, view: np.ndarray, first: int, last: int, error: float) -> Piece:
    some = times[first : last + 1]
    middle = float((some[0] + some[-1]) / 2)
    powers = np.stack([np.ones(len(some)), some - middle], axis=1)
    inverse = np.linalg.pinv(powers)
    coefficients = inverse @ velocities[first : last + 1]
    left = velocities[first : last + 1] - powers @ coefficients
    spread = max(error, float(np.sqrt((left**2).sum() / max(1, 2 * len(some) - 4))))
    covariance = inverse @ inverse.T * spread**2
    seen = inverse @ view[first : last + 1]
    return Piece(first, last, float(some[0]), float(some[-1]), middle, coefficients, covariance, seen)
