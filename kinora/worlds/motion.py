"""Bodies that move freely: x(t) = x0 + v t - g t^2 / 2. The worlds `uniform` and `ballistics`."""

from dataclasses import replace

import numpy as np

from kinora.worlds.drawing import draw_flat, outline
from kinora.worlds.scene import ANGLE, GRAVITY, VISIBLE, VX, VY, Body, Brief, Scene, X, Y

SIZE = 0.21  # of a single object: 13 pixels wide in a frame of 32
SIZES_TOGETHER = 0.36  # of all objects, where there are several
SPEEDS = {"slow": (0.11, 0.15), "fast": (0.28, 0.33)}  # world units per second
DIRECTIONS = {"right": (1, 0), "left": (-1, 0), "up": (0, 1), "down": (0, -1)}
THROW = (0.24, 0.31)  # sideways, world units per second
APEX = (0.42, 0.58)  # when a throw is highest, as a share of the clip, which shows it rise and fall


class Uniform:
    """Straight, even motion, without forces."""

    motions: tuple[str, ...] = ("right", "left", "up", "down")
    speeds: tuple[str | None, ...] = ("slow", "fast")
    things: int | None = None
    shortest_s = 0.5

    def sample(self, rng: np.random.Generator, brief: Brief) -> Scene:
        """Draw a scene in which everything moves the same way."""
        assert brief.speed is not None
        dx, dy = DIRECTIONS[brief.motion]
        speed = rng.uniform(*SPEEDS[brief.speed])
        return throw(rng, brief, "uniform", (dx * speed, dy * speed), gravity=0.0)

    def simulate(self, scene: Scene, frames: int, fps: float) -> np.ndarray:
        """Return the states."""
        return fly(scene, frames, fps)

    draw = staticmethod(draw_flat)


class Ballistics:
    """Free fall: every scene has the same gravity."""

    motions: tuple[str, ...] = ("fall", "thrown right", "thrown left", "thrown up")
    speeds: tuple[str | None, ...] = (None,)
    things: int | None = None
    shortest_s = 1.5

    def sample(self, rng: np.random.Generator, brief: Brief) -> Scene:
        """Draw a scene in which things are let go or thrown."""
        velocity = (0.0, 0.0)
        if brief.motion != "fall":
            sideways = {"thrown right": 1, "thrown left": -1, "thrown up": 0}[brief.motion]
            # Thrown so that two seconds show a rise and a fall; a longer clip lets the object leave.
            apex = rng.uniform(*APEX) * min(brief.seconds, 2.0)
            velocity = (sideways * rng.uniform(*THROW), GRAVITY * apex)
        return throw(rng, brief, "ballistics", velocity, gravity=GRAVITY)

    def simulate(self, scene: Scene, frames: int, fps: float) -> np.ndarray:
        """Return the states."""
        return fly(scene, frames, fps)

    draw = staticmethod(draw_flat)


def throw(rng: np.random.Generator, brief: Brief, world: str, velocity: tuple[float, float], gravity: float) -> Scene:
    """Place the things of a brief, all of one velocity, so that they stay in the frame as far as they can."""
    count = len(brief.things)
    size = min(SIZE, SIZES_TOGETHER / count)
    t = np.linspace(0, brief.seconds, 33)
    path = np.stack([velocity[0] * t, velocity[1] * t - gravity * t**2 / 2], axis=1)  # [33, 2]
    across = int(abs(velocity[0]) > 0)  # things are spread over lanes across their motion: 1 is y, 0 is x
    extent = (brief.width, brief.height)
    lanes = lane_centres(extent[across], count)
    bodies = []
    for (colour, shape), lane in zip(brief.things, rng.permutation(lanes), strict=True):
        turn, spin = (rng.uniform(-np.pi, np.pi), rng.uniform(-1, 1) * brief.spin) if brief.spin else (0.0, 0.0)
        body = Body(colour, shape, size, 0.0, 0.0, velocity[0], velocity[1], angle=turn, spin=spin)
        start = [place(rng, path[:, axis], extent[axis], *reach(body, axis)) for axis in (0, 1)]
        if count > 1:
            start[across] = float(lane - (path[:, across].max() + path[:, across].min()) / 2)
        bodies.append(replace(body, x=start[0], y=start[1]))
    return Scene(world, brief.motion, brief.speed, brief.background, brief.width, brief.height, tuple(bodies), gravity)


def lane_centres(extent: float, count: int) -> np.ndarray:
    """Return the middles of `count` equal lanes over a length."""
    return (np.arange(count) + 0.5) * extent / count


def reach(body: Body, axis: int) -> tuple[float, float]:
    """Return how far a body extends from its centre to the left and right (axis 0) or down and up (axis 1)."""
    corners = outline(body)
    if body.spin:
        radius = float(np.linalg.norm(corners, axis=1).max())
        return radius, radius
    return float(-corners[:, axis].min()), float(corners[:, axis].max())


def place(rng: np.random.Generator, path: np.ndarray, extent: float, below: float, above: float) -> float:
    """Draw a start for a path that keeps a body within `extent`, in the middle if it cannot; see `reach`."""
    low, high = below - path.min(), extent - above - path.max()
    return float(rng.uniform(low, high)) if low < high else float(low + high) / 2


def fly(scene: Scene, frames: int, fps: float) -> np.ndarray:
    """Return the states of bodies that nothing but gravity acts on."""
    t = np.arange(frames) / fps
    states = np.zeros((frames, len(scene.bodies), 6))
    for index, body in enumerate(scene.bodies):
        states[:, index, X] = body.x + body.vx * t
        states[:, index, Y] = body.y + body.vy * t - scene.gravity * t**2 / 2
        states[:, index, ANGLE] = body.angle + body.spin * t
        states[:, index, VISIBLE] = 1
        states[:, index, VX] = body.vx
        states[:, index, VY] = body.vy - scene.gravity * t
    return states
