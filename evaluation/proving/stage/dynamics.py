"""Rigid bodies in a plane, by the engine Chipmunk: flight, bounces, rolling, sliding and collisions."""

from collections.abc import Callable

import numpy as np
import pymunk

from evaluation.proving.stage.scene import Scene, Take

STEPS_PER_SECOND = 480
WALL = 0.5  # half the thickness of walls and floors, so that nothing tunnels

Meddling = Callable[["World", int], None]  # called before every frame with its number; changes what must not change


class World:
    """The bodies of a scene. Each has two hulls: one for the other things, one for walls and floors."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.space = pymunk.Space()
        self.space.gravity = scene.gravity
        self.space.collision_slop = 0.0005
        self.space.iterations = 20
        self.pull = np.zeros((len(scene.things), 2))  # gravity of each thing besides the world's
        self.bodies: list[pymunk.Body] = []
        self.hulls: list[dict[str, pymunk.Shape]] = []
        self.floor_touch = np.zeros(len(scene.things), bool)
        self.thing_touch = np.zeros((len(scene.things), len(scene.things)), bool)
        for index in range(len(scene.things)):
            self._add(index)
        for x0, y0, x1, y1 in scene.walls:
            self._wall(np.array([x0, y0]), np.array([x1, y1]))
        self.space.on_collision(None, None, post_solve=self._touched)

    def _add(self, index: int) -> None:
        thing = self.scene.things[index]
        corners = [tuple(corner) for corner in thing.outline * thing.radius]
        mass = thing.density * (np.pi * thing.radius**2 if thing.round else pymunk.Poly(None, corners).area)
        moment = (
            pymunk.moment_for_circle(mass, 0, thing.radius) if thing.round else pymunk.moment_for_poly(mass, corners)
        )
        body = pymunk.Body(mass, moment)
        body.position, body.velocity, body.angle, body.angular_velocity = (
            thing.at,
            thing.velocity,
            thing.angle,
            thing.spin,
        )
        plane = 2 << thing.plane
        hulls: dict[str, pymunk.Shape] = {}
        for against, mask in (("things", plane), ("walls", 1)):
            hull = pymunk.Circle(body, thing.radius) if thing.round else pymunk.Poly(body, corners)
            hull.filter = pymunk.ShapeFilter(categories=plane if against == "things" else 1 << 20, mask=mask)
            hull.elasticity, hull.friction = np.sqrt(self.scene.bounce), np.sqrt(self.scene.grip)
            hull.collision_type = index + 1
            hulls[against] = hull
        self.space.add(body, *hulls.values())
        self.bodies.append(body)
        self.hulls.append(hulls)

    def _wall(self, start: np.ndarray, end: np.ndarray) -> None:
        along = (end - start) / np.linalg.norm(end - start)
        behind = np.array([along[1], -along[0]]) * WALL  # to the right of its direction lies the solid side
        wall = pymunk.Segment(self.space.static_body, tuple(start + behind), tuple(end + behind), WALL)
        wall.filter = pymunk.ShapeFilter(categories=1, mask=1 << 20)
        wall.elasticity, wall.friction = np.sqrt(self.scene.bounce), np.sqrt(self.scene.grip)
        self.space.add(wall)

    def _touched(self, arbiter: pymunk.Arbiter, space: pymunk.Space, data: object) -> None:
        one, other = (shape.collision_type - 1 for shape in arbiter.shapes)
        if min(one, other) < 0:
            self.floor_touch[max(one, other)] = True
        else:
            self.thing_touch[one, other] = self.thing_touch[other, one] = True

    def shrink(self, index: int, against: str, factor: float) -> None:
        """Lets other "things" or "walls" come nearer to a thing's centre than its outline; 0: they pass through it."""
        thing, hull = self.scene.things[index], self.hulls[index][against]
        if factor == 0:
            hull.filter = pymunk.ShapeFilter(categories=0, mask=0)
        elif isinstance(hull, pymunk.Circle):
            hull.unsafe_set_radius(thing.radius * factor)
        else:
            hull.unsafe_set_vertices([tuple(corner) for corner in thing.outline * thing.radius * factor])

    def step(self, seconds: float) -> None:
        steps = max(1, int(np.ceil(seconds * STEPS_PER_SECOND)))
        lapse = seconds / steps
        self.floor_touch[:] = self.thing_touch[:] = False
        for _ in range(steps):
            for body, pull in zip(self.bodies, self.pull, strict=True):
                if pull.any():
                    body.apply_force_at_world_point(tuple(pull * body.mass), body.position)
                if self.scene.friction:
                    self._rub(body, lapse)
            self.space.step(lapse)

    def _rub(self, body: pymunk.Body, lapse: float) -> None:
        """Coulomb friction of a table: slows at a constant rate, never turns back."""
        speed = body.velocity.length
        body.velocity *= max(0.0, 1 - self.scene.friction * lapse / speed) if speed else 0.0
        body.angular_velocity *= max(0.0, 1 - self.scene.friction * lapse)


def simulate(scene: Scene, meddle: Meddling | None = None) -> Take:
    """What happens in the scene; with `meddle`, what happens when nature does not keep to its laws."""
    world = World(scene)
    total, count = scene.frames, len(scene.things)
    position, velocity = np.zeros((total, count, 2)), np.zeros((total, count, 2))
    angle = np.zeros((total, count))
    floor_touch, thing_touch = np.zeros((total, count), bool), np.zeros((total, count, count), bool)
    for frame in range(total):
        if meddle:
            meddle(world, frame)
        if frame:
            world.step(1 / scene.fps)
        for index, body in enumerate(world.bodies):
            position[frame, index], velocity[frame, index], angle[frame, index] = (
                body.position,
                body.velocity,
                body.angle,
            )
        floor_touch[frame], thing_touch[frame] = world.floor_touch, world.thing_touch
    times = np.arange(total)[:, None] / scene.fps
    growth = np.array([thing.growth for thing in scene.things])
    ones = np.ones((total, count))
    take = Take(
        position, velocity, angle,
        size=1 / np.maximum(1 - growth * times, 0.2),
        opacity=ones, turned=0 * ones, morphed=0 * ones, mark=0 * ones, gain=ones,
        light=scene.light, camera=scene.camera, bend=np.zeros(total), floor_touch=floor_touch, thing_touch=thing_touch,
    )  # fmt: skip
    return take.with_(mark=marks(scene, take))


def marks(scene: Scene, take: Take) -> np.ndarray:
    """How far each thing is painted by the wet patch, or broken by its first blow, in every frame: float `[T, N]`."""
    mark = np.zeros(take.angle.shape)
    for index, thing in enumerate(scene.things):
        start = None
        if thing.fragile:
            blow = np.linalg.norm(np.diff(take.velocity[:, index], axis=0, prepend=take.velocity[:1, index]), axis=1)
            touch = take.floor_touch[:, index] | take.thing_touch[:, index].any(1)
            hard = np.flatnonzero(touch & (blow > 0.5))
            start = hard[0] if len(hard) else None
        elif scene.wet:
            x0, y0, x1, y1 = scene.wet
            x, y = take.position[:, index].T
            inside = np.flatnonzero((x > x0) & (x < x1) & (y - thing.radius < y1) & (y + thing.radius > y0))
            start = inside[0] if len(inside) else None
        if start is not None:
            mark[start:, index] = (
                1 if start == 0 else np.clip((np.arange(scene.frames - start) + 1) / (0.1 * scene.fps), 0, 1)
            )
    return mark
