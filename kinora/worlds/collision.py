"""Two things that run into each other and bounce off, computed by the rigid body engine Chipmunk through pymunk."""

from typing import TYPE_CHECKING

import numpy as np

from kinora.worlds.drawing import Planar
from kinora.worlds.figures import outline
from kinora.worlds.motion import reach
from kinora.worlds.scene import ANGLE, VX, VY, Body, Brief, Scene, X, Y, blank_states

if TYPE_CHECKING:
    import pymunk

SIZE = 0.13
SPEED = (0.18, 0.22)  # of each, world units per second
ELASTICITY = 0.9
MEETING = (0.38, 0.45)  # when they touch, as a share of the clip
MISS = 0.05  # how far their centres pass beside each other at most
STEPS_PER_SECOND = 960
CHIPMUNK_UNITS = 100.0  # in a world unit: Chipmunk's collision slop of 0.1 becomes a thousandth of the frame


class Collision(Planar):
    """A thing from the left and a thing from the right, without gravity or friction."""

    motions: tuple[str, ...] = ("collide",)
    leaving: tuple[str, ...] = ("collide",)
    speeds: tuple[str | None, ...] = (None,)
    things: int | None = 2
    shortest_s = 1.5

    def sample(self, rng: np.random.Generator, brief: Brief) -> Scene:
        """Draw a scene in which the first thing comes from a random side."""
        side = rng.choice((-1, 1))
        speeds = rng.uniform(*SPEED, size=2)
        meeting = rng.uniform(*MEETING) * min(brief.seconds, 2.0)
        contact_x = brief.width / 2 + rng.uniform(-0.05, 0.05)
        level = brief.height / 2 + rng.uniform(-1, 1) * (brief.height / 2 - 0.35)
        bodies = []
        for (colour, shape), direction, speed in zip(brief.things, (side, -side), speeds, strict=True):
            body = Body(colour, shape, SIZE, 0.0, level + rng.uniform(-MISS, MISS), vx=float(direction * speed))
            front = reach(body, 0)[1]
            x = contact_x - direction * (front + speed * meeting)
            bodies.append(Body(colour, shape, SIZE, float(x), body.y, vx=body.vx))
        return Scene(
            "collision", brief.motion, None, brief.background, brief.width, brief.height, tuple(bodies), 0.0, meeting
        )

    def simulate(self, scene: Scene, frames: int, fps: float) -> np.ndarray:
        """Return the states, integrated in steps that divide the time between frames evenly."""
        import pymunk  # only here: processes that read videos know of the worlds, and start sooner without

        space = pymunk.Space()
        movers = [_mover(space, body) for body in scene.bodies]
        substeps = int(np.ceil(STEPS_PER_SECOND / fps))
        states = blank_states(frames, len(movers), fps)
        for frame in range(frames):
            for index, mover in enumerate(movers):
                states[frame, index, [X, Y]] = np.array(mover.position) / CHIPMUNK_UNITS
                states[frame, index, [VX, VY]] = np.array(mover.velocity) / CHIPMUNK_UNITS
                states[frame, index, ANGLE] = mover.angle
            for _ in range(substeps):
                space.step(1 / fps / substeps)
        return states


def _mover(space: "pymunk.Space", body: Body) -> "pymunk.Body":
    import pymunk

    corners = [tuple(corner) for corner in (outline(body) * CHIPMUNK_UNITS).tolist()]
    round_ = body.shape == "circle"
    radius = body.size * CHIPMUNK_UNITS
    mass = np.pi * radius**2 if round_ else pymunk.Poly(None, corners).area  # of unit density
    moment = pymunk.moment_for_circle(mass, 0, radius) if round_ else pymunk.moment_for_poly(mass, corners)
    mover = pymunk.Body(mass, moment)
    mover.position = (body.x * CHIPMUNK_UNITS, body.y * CHIPMUNK_UNITS)
    mover.velocity = (body.vx * CHIPMUNK_UNITS, body.vy * CHIPMUNK_UNITS)
    mover.angle = body.angle
    figure = pymunk.Circle(mover, radius) if round_ else pymunk.Poly(mover, corners)
    figure.elasticity, figure.friction = ELASTICITY**0.5, 0.0  # Chipmunk multiplies the two
    space.add(mover, figure)
    return mover
