"""Scenes drawn at random: what is thrown, dropped, rolled, hit, painted, broken or left to rest."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from evaluation.proving.stage.camera import path_of_camera
from evaluation.proving.stage.outlines import OUTLINES
from evaluation.proving.stage.scene import Occluder, Scene, Thing

SIZES = (  # width, height; mostly 96 to 192 pixels
    (48, 48), (64, 64), (96, 96), (96, 96), (128, 96), (128, 128), (128, 128), (144, 96), (160, 96), (160, 120),
    (176, 144), (192, 108), (192, 128), (96, 128), (96, 160), (108, 192),
)  # fmt: skip
LARGE = ((240, 160), (256, 144), (320, 180))
RATES = (8.0, 10.0, 12.0, 12.0, 15.0, 16.0, 24.0, 24.0, 25.0, 30.0, 30.0, 50.0, 60.0)
KINDS = (
    "toss", "toss", "toss", "drop", "drop", "roll", "hide", "hide", "hit", "hit", "hit", "billiard", "billiard",
    "slope", "slide", "drift", "drift", "still", "paint", "break",
)  # fmt: skip
BESIDE = ("roll", "hide", "hit", "slide", "paint")  # behind which something is thrown too, mostly
THROWN = 0.8  # of these scenes, in which it is
FLOOR = 0.14  # height of a floor


def draw_size(rng: np.random.Generator) -> tuple[int, int]:
    """A width and height."""
    among = LARGE if rng.random() < 0.05 else SIZES
    return among[rng.integers(len(among))]


def draw(rng: np.random.Generator, size: tuple[int, int], outlines: Sequence[str], like: Scene | None = None) -> Scene:
    """A scene for pictures of a width and height, with things of the named outlines; as long as `like`, if given."""
    fps = like.fps if like else float(rng.choice(RATES))
    frames = like.frames if like else int(np.clip(rng.uniform(1.5, 5.0) * fps, 14, 96 if fps < 40 else 150))
    aspect, kind = size[0] / size[1], str(rng.choice(KINDS))
    radius = (0.09, 0.15) if min(size) >= 80 else (0.12, 0.18)
    narrow = min(1, 0.6 + 0.4 * aspect)
    radius = (radius[0] * narrow, radius[1] * narrow)
    painter = _Draft(rng, kind, aspect, frames / fps, radius, outlines)
    getattr(painter, "break_" if kind == "break" else kind)()
    if kind in BESIDE and rng.random() < THROWN:
        painter.throw(plane=5)
    wet = painter.wet
    return Scene(
        kind=kind,
        upright=painter.upright,
        aspect=aspect,
        fps=fps,
        frames=frames,
        things=tuple(painter.things),
        gravity=(0.0, -painter.gravity) if painter.upright else (0.0, 0.0),
        friction=0.0 if painter.upright else painter.friction,
        bounce=painter.bounce,
        grip=float(rng.uniform(0.2, 0.7)),
        walls=tuple(painter.walls),
        occluders=tuple(painter.occluders),
        wet=wet,
        camera=path_of_camera(rng, frames, fps, moves=kind == "still"),
        light=1 + rng.choice([0.0, 0.03, 0.08]) * np.sin(np.linspace(0, rng.uniform(1, 3), frames) + rng.uniform(0, 6)),
        look=int(rng.integers(1 << 30)),
    )


class _Draft:
    """A scene in the making; the method of its kind fills it."""

    def __init__(
        self,
        rng: np.random.Generator,
        kind: str,
        aspect: float,
        seconds: float,
        radius: tuple[float, float],
        outlines: Sequence[str],
    ) -> None:
        self.rng, self.aspect, self.seconds, self.radius, self.outlines = rng, aspect, seconds, radius, outlines
        self.upright = True
        self.gravity, self.friction = float(rng.uniform(0.7, 3.0)), 0.0
        self.bounce = float(rng.uniform(0.45, 0.85))
        self.things: list[Thing] = []
        self.occluders: list[Occluder] = []
        self.walls: list[tuple[float, float, float, float]] = []
        self.wet: tuple[float, float, float, float] | None = None

    def between(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def side(self) -> int:
        return int(self.rng.choice([-1, 1]))

    def size(self) -> float:
        return self.between(*self.radius)

    def add(
        self,
        at: tuple[float, float],
        velocity: tuple[float, float] = (0.0, 0.0),
        *,
        radius: float,
        outline: str = "",
        spin: float | None = None,
        angle: float | None = None,
        plane: int = 0,
        growth: float = 0.0,
    ) -> Thing:
        """A thing of the named outline, or any; its angle and spin are drawn where they are not given."""
        name = outline or str(self.rng.choice(list(self.outlines)))
        thing = Thing(
            OUTLINES[name](self.rng), name == "disc", radius, self.between(0.8, 1.2), at, velocity,
            self.between(0, 6.28) if angle is None else angle,
            self.between(-3, 3) if spin is None else spin,
            plane=plane, growth=growth, look=int(self.rng.integers(1 << 30)),
        )  # fmt: skip
        self.things.append(thing)
        return thing

    def floor(self) -> None:
        self.walls.append((-9.0, FLOOR, 9.0 + self.aspect, FLOOR))

    def sides(self) -> None:
        self.walls += [(0.05, 9.0, 0.05, -9.0), (self.aspect - 0.05, -9.0, self.aspect - 0.05, 9.0)]

    def apart(self, at: tuple[float, float], radius: float, plane: int = 0) -> bool:
        return all(
            np.hypot(at[0] - thing.at[0], at[1] - thing.at[1]) > radius + thing.radius + 0.02
            for thing in self.things
            if thing.plane == plane
        )

    def pillar(self, x: float, width: float, before: int = 0, low: float = 0.0, high: float | None = None) -> None:
        height = self.between(0.55, 1.1) if high is None else high
        self.occluders.append(
            Occluder(x - width / 2, x + width / 2, low, height, before, int(self.rng.integers(1 << 30)))
        )

    def rest(self, count: int, plane: int = 1) -> None:
        """Things that only lie on the floor, in a plane of their own."""
        for _ in range(count):
            radius = self.size()
            at = (self.between(radius, self.aspect - radius), FLOOR + radius)
            if self.apart(at, radius, plane):
                self.add(at, radius=radius, outline="disc", spin=0.0, plane=plane)

    def toss(self) -> None:
        self.floor()
        if self.rng.random() < 0.5:
            self.sides()
        for index in range(int(self.rng.integers(1, 4))):
            self.throw(plane=index)
        self.rest(int(self.rng.integers(0, 2)), plane=4)

    def throw(self, plane: int) -> None:
        radius = self.size()
        top = self.between(0.55, 0.9 - radius)
        rise = np.sqrt(2 * self.gravity * max(0.05, top - 0.3))
        side = self.side()
        x = self.aspect / 2 - side * self.between(0.1, 0.45) * self.aspect
        at = (float(np.clip(x, 0.06 + radius, self.aspect - 0.06 - radius)), self.between(0.3, 0.4))
        self.add(at, (side * self.between(0.15, 0.5) * self.aspect, rise), radius=radius, plane=plane)

    def drop(self) -> None:
        self.floor()
        for index in range(int(self.rng.integers(1, 4))):
            radius = self.size()
            at = (self.between(radius, self.aspect - radius), self.between(0.65, 1.0 - radius))
            plane = 0 if self.apart(at, radius) else index
            across = (self.aspect * self.between(0.2, 0.8) - at[0]) / self.seconds
            self.add(at, (across, self.between(-0.2, 0.3)), radius=radius, plane=plane)
        self.rest(int(self.rng.integers(0, 2)), plane=4)

    def roll(self) -> None:
        self.floor()
        side = self.side()
        for index in range(int(self.rng.integers(1, 3))):
            radius = self.size()
            start = self.aspect / 2 - side * self.aspect * self.between(0.35, 0.75)
            speed = side * self.aspect * self.between(0.8, 1.3) / self.seconds
            self.add(
                (start, FLOOR + radius), (speed, 0), radius=radius, outline="disc", spin=-speed / radius, plane=index
            )
        for _ in range(int(self.rng.integers(0, 2))):
            self.pillar(self.aspect * self.between(0.3, 0.7), 2 * self.radius[1] * self.between(0.5, 1.3))
        self.rest(int(self.rng.integers(0, 2)), plane=4)

    def hide(self) -> None:
        """Behind a pillar, wholly, and out again."""
        self.roll()
        widest = max(2 * thing.radius for thing in self.things)
        self.occluders.clear()
        self.pillar(
            self.aspect * self.between(0.42, 0.58), widest * self.between(1.15, 1.7), high=self.between(0.5, 1.1)
        )

    def hit(self) -> None:
        self.floor()
        side = self.side()
        one, other = self.size(), self.size()
        speed = side * self.aspect * self.between(0.35, 0.8)
        target = self.aspect / 2 + side * self.between(0, 0.1)
        apart = max(self.aspect * self.between(0.3, 0.6), one + other + 0.1)
        self.add((target - side * apart, FLOOR + one), (speed, 0), radius=one, outline="disc", spin=-speed / one)
        self.add((target, FLOOR + other), radius=other, outline="disc", spin=0.0)
        self.rest(int(self.rng.integers(0, 2)), plane=4)

    def billiard(self) -> None:
        self.upright, self.friction, self.bounce = False, self.between(0.02, 0.1), self.between(0.7, 0.95)
        if self.rng.random() < 0.6:
            self.sides()
            self.walls += [(-9.0, 0.05, 9.0 + self.aspect, 0.05), (9.0 + self.aspect, 0.95, -9.0, 0.95)]
        target = (self.aspect * self.between(0.4, 0.6), self.between(0.4, 0.6))
        self.add(target, radius=self.size(), outline="disc", spin=0.0)
        for _ in range(int(self.rng.integers(1, 4))):
            radius, turn = self.size(), self.between(0, 6.28)
            away = np.array([np.cos(turn) * self.aspect, np.sin(turn)]) * self.between(0.3, 0.4)
            at = (float(target[0] + away[0]), float(target[1] + away[1]))
            inside = min(at[0], self.aspect - at[0], at[1], 1 - at[1]) > radius + 0.06
            if self.apart(at, radius) and (inside or not self.walls):
                velocity = -away * self.between(1.2, 2.5) / self.seconds**0.5
                self.add(at, (float(velocity[0]), float(velocity[1])), radius=radius, outline="disc", spin=0.0)

    def slope(self) -> None:
        side, tilt = self.side(), self.between(0.12, 0.35)
        middle = np.array([self.aspect / 2, self.between(0.25, 0.35)])
        along = np.array([np.cos(tilt), -np.sin(tilt) * side])  # falls towards `side`
        start, end = middle - along * 9, middle + along * 9
        self.walls.append((float(start[0]), float(start[1]), float(end[0]), float(end[1])))
        normal = np.array([-along[1], along[0]])
        for index in range(int(self.rng.integers(1, 3))):
            radius = self.size()
            at = middle + side * along * self.aspect * self.between(-0.45, -0.1) + normal * radius
            uphill = -side * along * self.between(0, 0.3)
            speed = float(uphill @ along)
            self.add((float(at[0]), float(at[1])), (float(uphill[0]), float(uphill[1])), radius=radius, outline="disc",
                     spin=-speed / radius, plane=index)  # fmt: skip

    def drift(self) -> None:
        """Without gravity, straight on: through the picture, before and behind one another, nearer or farther."""
        self.upright = False
        for index in range(int(self.rng.integers(1, 5))):
            radius, turn = self.size(), self.between(0, 6.28)
            speed = self.between(0.4, 1.0) * self.aspect / self.seconds
            velocity = np.array([np.cos(turn), np.sin(turn) * 0.6]) * speed
            at = np.array(
                [self.aspect * self.between(0.35, 0.65), self.between(0.35, 0.65)]
            ) - velocity * self.seconds * self.between(0.2, 0.7)
            growth = self.between(-0.15, 0.15) if self.rng.random() < 0.4 else 0.0
            self.add(
                (float(at[0]), float(at[1])),
                (float(velocity[0]), float(velocity[1])),
                radius=radius,
                plane=index,
                growth=growth,
            )
        if self.rng.random() < 0.6:
            self.pillar(
                self.aspect * self.between(0.3, 0.7), self.radius[1] * 2 * self.between(1.1, 1.8), high=1.6, low=-0.6
            )

    def still(self) -> None:
        self.floor()
        self.rest(int(self.rng.integers(2, 5)), plane=0)
        if self.rng.random() < 0.5:
            self.pillar(self.aspect * self.between(0.1, 0.9), self.radius[1] * self.between(0.5, 1.5))
        if not self.things:
            self.add((self.aspect / 2, FLOOR + self.radius[0]), radius=self.radius[0], outline="disc", spin=0.0)

    def paint(self) -> None:
        self.roll()
        self.occluders.clear()
        middle, wide = self.aspect * self.between(0.4, 0.6), self.between(0.1, 0.16)
        self.wet = (middle - wide, FLOOR - 0.05, middle + wide, FLOOR + 0.01)
        self.things = [
            thing
            for thing in self.things
            if any(thing.velocity) or abs(thing.at[0] - middle) > wide + 1.5 * thing.radius
        ]

    def slide(self) -> None:
        """Along the floor without rolling, slower and slower."""
        self.floor()
        side = self.side()
        for index in range(int(self.rng.integers(1, 3))):
            radius, speed = self.size(), side * self.aspect * self.between(0.5, 1.0)
            thing = self.add((0.0, 0.0), (speed, 0.0), radius=radius, outline="box", spin=0.0, angle=0.0, plane=index)
            start = self.aspect / 2 - side * self.aspect * self.between(0.3, 0.6)
            self.things[-1] = replace(thing, at=(start, FLOOR - radius * float(thing.outline[:, 1].min())))
        if self.rng.random() < 0.5:
            self.pillar(self.aspect * self.between(0.3, 0.7), 2 * self.radius[1] * self.between(0.5, 1.3))

    def break_(self) -> None:
        self.drop()
        self.things = [replace(thing, fragile=thing.plane < 4) for thing in self.things]
