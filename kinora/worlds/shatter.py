"""A thing that breaks into pieces, for good: the pieces fly apart, and their momenta cancel."""

import numpy as np

from kinora.worlds.drawing import Planar
from kinora.worlds.figures import outline
from kinora.worlds.motion import fly, place, reach
from kinora.worlds.scene import VISIBLE, VX, VY, Body, Brief, Scene

SIZE = 0.2
PIECES = 5
SPEED = 0.2  # of the pieces, outward, world units per second
SPIN = 2.5  # of the pieces at most, radians per second
BREAKING = (0.3, 0.45)  # when it breaks, as a share of the clip
ROOM = 0.12  # kept to the frame's edge where there is room, for the pieces


class Shatter(Planar):
    """A thing at rest, without gravity, which breaks by itself."""

    motions: tuple[str, ...] = ("shatter",)
    leaving: tuple[str, ...] = ("shatter",)
    speeds: tuple[str | None, ...] = (None,)
    things: int | None = 1
    shortest_s = 1.0

    def sample(self, rng: np.random.Generator, brief: Brief) -> Scene:
        """Draw a thing, the moment at which it breaks, and its pieces."""
        ((colour, shape),) = brief.things
        body = Body(colour, shape, SIZE, 0.0, 0.0)
        extents = (brief.width, brief.height)
        x, y = (place(rng, np.array([-ROOM, ROOM]), extents[axis], *reach(body, axis)) for axis in (0, 1))
        whole = Body(colour, shape, SIZE, x, y)
        breaking = rng.uniform(*BREAKING) * min(brief.seconds, 2.0)
        return Scene(
            "shatter", brief.motion, None, brief.background, brief.width, brief.height,
            (whole, *pieces(rng, whole)), 0.0, breaking,
        )  # fmt: skip

    def simulate(self, scene: Scene, frames: int, fps: float) -> np.ndarray:
        """Return the states: first the whole is visible, then its pieces."""
        assert scene.event_s is not None
        states = fly(scene, frames, fps)
        t = np.arange(frames) / fps
        broken = t >= scene.event_s
        # Pieces lie in their places until the whole breaks.
        held = np.minimum(t, scene.event_s)
        for index, body in enumerate(scene.bodies):
            states[:, index, :3] -= np.outer(held, (body.vx, body.vy, body.spin))
            states[:, index, [VX, VY]] *= broken[:, None]
            states[:, index, VISIBLE] = broken if index else ~broken
        return states


def pieces(rng: np.random.Generator, whole: Body) -> list[Body]:
    """Cut a body from its centre into convex pieces that fly outward without momentum in total."""
    cuts = (np.arange(PIECES) + rng.uniform(-0.25, 0.25, PIECES) + rng.uniform()) * 2 * np.pi / PIECES
    wedges = [_wedge(outline(whole), cuts[i], cuts[(i + 1) % PIECES]) for i in range(PIECES)]
    areas, centres = zip(*map(_area_and_centroid, wedges), strict=True)
    outward = np.array([SPEED * centre / np.linalg.norm(centre) for centre in centres])
    outward -= np.average(outward, axis=0, weights=areas)
    return [
        Body(
            whole.colour, "piece", float(np.sqrt(area / np.pi)),
            float(whole.x + centre[0]), float(whole.y + centre[1]), float(velocity[0]), float(velocity[1]),
            spin=float(rng.uniform(-SPIN, SPIN)),
            points=tuple((float(px), float(py)) for px, py in wedge - centre),
            named=False,
        )
        for wedge, area, centre, velocity in zip(wedges, areas, centres, outward, strict=True)
    ]  # fmt: skip


def _wedge(corners: np.ndarray, start: float, end: float) -> np.ndarray:
    """Return the corners of the part of a convex figure about the origin that lies between two directions."""
    width = (end - start) % (2 * np.pi)
    turns = (np.arctan2(corners[:, 1], corners[:, 0]) - start) % (2 * np.pi)
    between = [corners[i] for i in np.argsort(turns) if 1e-6 < turns[i] < width - 1e-6]
    return np.array([np.zeros(2), _edge(corners, start), *between, _edge(corners, end)])


def _edge(corners: np.ndarray, direction: float) -> np.ndarray:
    """Return the point of a convex figure's outline in a direction from the origin."""
    sides = np.roll(corners, -1, axis=0) - corners
    normals = np.stack([sides[:, 1], -sides[:, 0]], axis=1)
    ray = np.array([np.cos(direction), np.sin(direction)])
    facing = normals @ ray
    reached = (normals * corners).sum(axis=1)[facing > 1e-9] / facing[facing > 1e-9]
    edge: np.ndarray = ray * reached.min()
    return edge


def _area_and_centroid(corners: np.ndarray) -> tuple[float, np.ndarray]:
    following = np.roll(corners, -1, axis=0)
    cross = corners[:, 0] * following[:, 1] - following[:, 0] * corners[:, 1]
    area = cross.sum() / 2
    return float(area), ((corners + following) * cross[:, None]).sum(axis=0) / (6 * area)
