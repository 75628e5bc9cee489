"""Bodies that move freely, x(t) = x0 + v t - g t^2 / 2, and bounce. The worlds `uniform` and `ballistics`."""

from dataclasses import replace

import numpy as np

from kinora.worlds.bouncing import billiard, drop
from kinora.worlds.drawing import Planar
from kinora.worlds.figures import outline
from kinora.worlds.scene import ANGLE, GRAVITY, TIME, VX, VY, Body, Brief, Scene, X, Y, blank_states

SIZE = 0.21  # of a single object: 13 pixels wide in a frame of 32
SIZES_TOGETHER = 0.36  # of all objects, where there are several
SPEEDS = {"slow": (0.11, 0.15), "fast": (0.28, 0.33)}  # world units per second
DIRECTIONS = {"right": (1, 0), "left": (-1, 0), "up": (0, 1), "down": (0, -1)}
THROW = (0.24, 0.31)  # sideways, world units per second
APEX = (0.42, 0.58)  # when a throw is highest, as a share of the clip, which shows it rise and fall
LANDING = (0.4, 0.55)  # when what falls and bounces first lands, likewise
RESTITUTION = 0.9  # the share of its velocity that a bounce leaves
AROUND_SPEEDS = {"slow": (0.3, 0.36), "fast": (0.55, 0.65)}  # of what bounces around, world units per second
EDGE = (0.25, 0.7)  # when it first meets the upper or lower edge, as a share of the clip
ROUND = {"circle": 1.0, "square": 1.12, "triangle": 1.12}  # radius of the disc that another bounces off, in sizes


class Uniform(Planar):
    """Straight, even motion, without forces; what bounces around is reflected by the frame's edges and by others."""

    motions: tuple[str, ...] = ("right", "left", "up", "down", "around")
    fixed: tuple[str, ...] = ("around",)
    speeds: tuple[str | None, ...] = ("slow", "fast")
    things: int | None = None
    shortest_s = 0.5

    def sample(self, rng: np.random.Generator, brief: Brief) -> Scene:
        """Draw a scene in which everything moves the same way, or each its own way where they bounce around."""
        if brief.motion == "around":
            return _scatter(rng, brief)
        assert brief.speed is not None
        dx, dy = DIRECTIONS[brief.motion]
        speed = rng.uniform(*SPEEDS[brief.speed])
        return throw(rng, brief, "uniform", (dx * speed, dy * speed), gravity=0.0)

    def simulate(self, scene: Scene, frames: int, fps: float) -> np.ndarray:
        """Return the states."""
        states = fly(scene, frames, fps)
        if scene.motion == "around":
            radii = np.array([ROUND[body.shape] * body.size for body in scene.bodies])
            bounds = np.stack([_room(body, scene.width, scene.height) for body in scene.bodies])
            states[:, :, [X, Y]], states[:, :, [VX, VY]] = billiard(scene.bodies, bounds, radii, states[:, 0, TIME])
        return states


class Ballistics(Planar):
    """Free fall: every scene has the same gravity. To what falls and bounces the lower edge is a floor."""

    motions: tuple[str, ...] = ("fall", "thrown right", "thrown left", "thrown up", "bounce")
    leaving: tuple[str, ...] = ("fall", "thrown right", "thrown left", "thrown up")
    speeds: tuple[str | None, ...] = (None,)
    things: int | None = None
    shortest_s = 1.5

    def sample(self, rng: np.random.Generator, brief: Brief) -> Scene:
        """Draw a scene in which things are let go or thrown."""
        if brief.motion == "bounce":
            return _above_floor(rng, brief)
        velocity = (0.0, 0.0)
        if brief.motion != "fall":
            sideways = {"thrown right": 1, "thrown left": -1, "thrown up": 0}[brief.motion]
            # Thrown so that two seconds show a rise and a fall; a longer clip lets the object leave.
            apex = rng.uniform(*APEX) * min(brief.seconds, 2.0)
            velocity = (sideways * rng.uniform(*THROW), GRAVITY * apex)
        return throw(rng, brief, "ballistics", velocity, gravity=GRAVITY)

    def simulate(self, scene: Scene, frames: int, fps: float) -> np.ndarray:
        """Return the states."""
        states = fly(scene, frames, fps)
        if scene.motion == "bounce":
            for index, body in enumerate(scene.bodies):
                floor = reach(body, 1)[0]
                height, velocity = drop(states[:, 0, TIME], body.y - floor, -body.vy, scene.gravity, RESTITUTION)
                states[:, index, Y], states[:, index, VY] = floor + height, velocity
        return states


def throw(rng: np.random.Generator, brief: Brief, world: str, velocity: tuple[float, float], gravity: float) -> Scene:
    """Place the things of a brief, all of one velocity, so that they stay in the frame as far as they can."""
    count = len(brief.things)
    size = min(SIZE, SIZES_TOGETHER / count)
    # What falls stays for two seconds; a longer clip lets it leave.
    t = np.linspace(0, min(brief.seconds, 2.0) if gravity else brief.seconds, 33)
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


def _above_floor(rng: np.random.Generator, brief: Brief) -> Scene:
    """Place things over lanes of the floor, with a push downward that at most makes up for what a bounce takes."""
    landing = rng.uniform(*LANDING) * min(brief.seconds, 2.0)
    scene = throw(rng, brief, "ballistics", (0.0, 0.0), GRAVITY)
    lost = np.sqrt(1 / RESTITUTION**2 - 1)
    bodies = []
    for body in scene.bodies:
        below, above = reach(body, 1)
        # With h = s^2 / 2g and a push of s times `lost`, the first landing is after t = s / g (1 / e - lost).
        ideal = (GRAVITY * landing / (1 / RESTITUTION - lost)) ** 2 / (2 * GRAVITY)
        height = min(ideal * rng.uniform(0.8, 1.0), brief.height - below - above)
        bodies.append(replace(body, y=below + height, vy=-float(lost * np.sqrt(2 * GRAVITY * height))))
    return replace(scene, bodies=tuple(bodies))


def _scatter(rng: np.random.Generator, brief: Brief) -> Scene:
    """Place things apart from each other, each with a velocity of its own."""
    assert brief.speed is not None
    scene = throw(rng, brief, "uniform", (0.0, 0.0), gravity=0.0)  # over lanes across
    bodies = []
    for body in scene.bodies:
        low, high = _room(body, brief.width, brief.height)[1]
        speed, turn = rng.uniform(*AROUND_SPEEDS[brief.speed]), rng.uniform(np.pi / 7, np.pi / 2 - np.pi / 7)
        vx, vy = speed * np.array([np.cos(turn), np.sin(turn)]) * rng.choice((-1, 1), size=2)
        way = abs(vy) * rng.uniform(*EDGE) * min(brief.seconds, 2.0)
        y = max(low, high - way) if vy > 0 else min(high, low + way)
        bodies.append(replace(body, y=float(y), vx=float(vx), vy=float(vy)))
    return replace(scene, bodies=tuple(bodies))


def _room(body: Body, width: float, height: float) -> np.ndarray:
    """Return between which places `[2, 2]` (axis; low, high) a body's centre keeps it in the frame."""
    reaches = [reach(body, axis) for axis in (0, 1)]
    return np.array([[below, extent - above] for (below, above), extent in zip(reaches, (width, height), strict=True)])


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
    states = blank_states(frames, len(scene.bodies), fps)
    for index, body in enumerate(scene.bodies):
        states[:, index, X] = body.x + body.vx * t
        states[:, index, Y] = body.y + body.vy * t - scene.gravity * t**2 / 2
        states[:, index, ANGLE] = body.angle + body.spin * t
        states[:, index, VX] = body.vx
        states[:, index, VY] = body.vy - scene.gravity * t
    return states
