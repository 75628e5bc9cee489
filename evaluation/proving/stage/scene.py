"""Scenes before anything moves, and takes: what happened in one, frame by frame.

Lengths are in heights of the picture at zoom 1, times in seconds. The plane of motion has x to the right and y up; the
picture shows x in [0, aspect] and y in [0, 1] while the camera is at rest. `upright` planes are seen from the side,
with gravity; a table's plane is seen from above, and what moves there is slowed by friction.
"""

from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True, eq=False)
class Thing:
    """A rigid body: a disc, or the convex hull of an outline `[K, 2]` within the unit circle."""

    outline: np.ndarray
    round: bool
    radius: float
    density: float
    at: tuple[float, float]
    velocity: tuple[float, float] = (0.0, 0.0)
    angle: float = 0.0
    spin: float = 0.0  # radians a second
    plane: int = 0  # things of different planes do not touch; a higher one is farther away
    growth: float = 0.0  # comes nearer (or goes away): growth of its apparent size a second
    look: int = 0  # seed of its looks
    fragile: bool = False


@dataclass(frozen=True)
class Occluder:
    """Something upright before the things of plane `before` and farther ones: a pillar, a wall."""

    x0: float
    x1: float
    y0: float
    y1: float
    before: int
    look: int


@dataclass(frozen=True, eq=False)
class Scene:
    """Everything that a take follows from; all drawn at random, nothing said of looks but their seeds."""

    kind: str
    upright: bool
    aspect: float
    fps: float
    frames: int
    things: tuple[Thing, ...]
    gravity: tuple[float, float]
    friction: float  # of a table: deceleration, heights/s^2
    bounce: float  # restitution between any two
    grip: float  # coefficient of friction between any two
    walls: tuple[tuple[float, float, float, float], ...]  # segments x0, y0, x1, y1 that stop things of every plane
    occluders: tuple[Occluder, ...]
    wet: tuple[float, float, float, float] | None  # a patch x0, y0, x1, y1 whose paint sticks to what crosses it
    camera: np.ndarray  # float [T, 4]: x and y from the rest position, zoom, roll in radians
    light: np.ndarray  # float [T]: slowly drifting light, about 1
    look: int


@dataclass(frozen=True, eq=False)
class Take:
    """What happens: T frames, N things.

    A thing has a second look and a second outline: it has them wholly where `turned` and `morphed` are 1.
    """

    position: np.ndarray  # float [T, N, 2]
    velocity: np.ndarray  # float [T, N, 2]
    angle: np.ndarray  # float [T, N]
    size: np.ndarray  # float [T, N], 1 is its own
    opacity: np.ndarray  # float [T, N]
    turned: np.ndarray  # float [T, N]
    morphed: np.ndarray  # float [T, N]
    mark: np.ndarray  # float [T, N], 0..1: how much of it is painted, or broken where it is fragile
    gain: np.ndarray  # float [T, N], of its brightness
    light: np.ndarray  # float [T]
    camera: np.ndarray  # float [T, 4]
    bend: np.ndarray  # float [T]: how far the still parts of the scene are out of shape, in heights
    floor_touch: np.ndarray  # bool [T, N]: touched a wall or floor between the frame before and this one
    thing_touch: np.ndarray  # bool [T, N, N]

    def at(self, moments: np.ndarray) -> "Take":
        """The same take with other moments shown: int `[T]`."""
        return Take(**{name: value[moments] for name, value in vars(self).items()})

    def with_(self, **changes: np.ndarray) -> "Take":
        return replace(self, **changes)
