"""Ray casting for the family `studio`: where rays meet spheres, cylinders, prisms and planes.

Rays start at one point and have unit directions, float32 `[..., 3]`. Every function gives the distance along each ray
(infinity where it misses) and the outward unit normal where it hits, both in the solid's own frame.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from evaluation.proving.stage.scene import Thing

FAR = np.float32(np.inf)
Hit = tuple[np.ndarray, np.ndarray]  # distance [...], normal [..., 3]


def sphere(origin: np.ndarray, rays: np.ndarray, radius: float) -> Hit:
    along = rays @ origin
    inside = along**2 - (origin @ origin - radius**2)
    distance = np.where(inside > 0, -along - np.sqrt(np.maximum(inside, 0)), FAR)
    distance = np.where(distance > 0, distance, FAR).astype(np.float32)
    return distance, (origin + np.where(np.isfinite(distance), distance, 0)[..., None] * rays) / np.float32(radius)


def prism(origin: np.ndarray, rays: np.ndarray, outline: np.ndarray, half: float) -> Hit:
    """A convex outline `[K, 2]`, counter-clockwise, drawn out along z from -half to half."""
    edges = np.roll(outline, -1, 0) - outline
    sides = np.stack([edges[:, 1], -edges[:, 0]], 1) / np.linalg.norm(edges, axis=1, keepdims=True)
    normals = np.vstack([np.hstack([sides, np.zeros((len(sides), 1))]), [[0, 0, 1], [0, 0, -1]]]).astype(np.float32)
    reaches = np.concatenate([(sides * outline).sum(1), [half, half]]).astype(np.float32)
    enter = np.full(rays.shape[:-1], -FAR, np.float32)
    leave = np.full(rays.shape[:-1], FAR, np.float32)
    normal = np.zeros(rays.shape, np.float32)
    for face, reach in zip(normals, reaches, strict=True):
        slope = rays @ face
        slope = np.where(np.abs(slope) < 1e-6, np.float32(1e-6), slope)
        at = (reach - origin @ face) / slope
        inwards = slope < 0
        first = inwards & (at > enter)
        enter = np.where(first, at, enter)
        normal[first] = face
        leave = np.where(inwards, leave, np.minimum(leave, at))
    return np.where((enter < leave) & (enter > 0), enter, FAR), normal


def cylinder(origin: np.ndarray, rays: np.ndarray, radius: float, half: float) -> Hit:
    """Round about the z axis, from -half to half."""
    a = np.maximum(rays[..., 0] ** 2 + rays[..., 1] ** 2, 1e-8)
    b = rays[..., 0] * origin[0] + rays[..., 1] * origin[1]
    root = b**2 - a * (origin[0] ** 2 + origin[1] ** 2 - radius**2)
    meets = root > 0
    root = np.sqrt(np.maximum(root, 0))
    z = np.where(np.abs(rays[..., 2]) < 1e-6, np.float32(1e-6), rays[..., 2])
    cap = (np.where(z < 0, half, -half) - origin[2]) / z
    side = (-b - root) / a
    enter, leave = np.maximum(side, cap), np.minimum((-b + root) / a, (np.where(z < 0, -half, half) - origin[2]) / z)
    distance = np.where(meets & (enter < leave) & (enter > 0), enter, FAR).astype(np.float32)
    point = origin + np.where(np.isfinite(distance), distance, 0)[..., None] * rays
    normal = np.where(
        (cap > side)[..., None],
        np.stack([0 * z, 0 * z, -np.sign(z)], -1),
        np.concatenate([point[..., :2] / np.float32(radius), 0 * point[..., :1]], -1),
    )
    return distance, normal.astype(np.float32)


def plane(origin: np.ndarray, rays: np.ndarray, point: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """Distance to a plane seen from the side that its normal points to."""
    slope = rays @ normal
    height = float((origin - point) @ normal)
    return np.where((slope < -1e-4) & (height > 0), height / np.maximum(-slope, 1e-4), FAR).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Solid:
    """A sphere (no outline), a cylinder (an empty one) or a prism, in heights, turned and put to its place."""

    centre: np.ndarray
    turn: np.ndarray
    outline: np.ndarray | None
    half: float  # of its thickness
    reach: float  # no point is farther from the centre in its outline's plane
    colour: Callable[[np.ndarray], np.ndarray]  # of points of its own frame
    gloss: float
    opacity: float = 1.0
    whose: int = -2

    def met_by(self, place: np.ndarray, rays: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Rays from a place in space: the place and the rays in the solid's frame, distances, normals in its frame."""
        origin = ((place - self.centre) @ self.turn).astype(np.float32)
        local = rays @ self.turn.astype(np.float32)
        if self.outline is None:
            return origin, local, *sphere(origin, local, self.reach)
        if not len(self.outline):
            return origin, local, *cylinder(origin, local, self.reach, self.half)
        return origin, local, *prism(origin, local, self.outline, self.half)


Shape = tuple[np.ndarray | None, float]  # outline and half thickness, for radius 1


def shape_of(thing: Thing) -> Shape:
    """What a thing of the stage is in space: a ball or a wheel, or a prism."""
    if not thing.round:
        return thing.outline, 0.55
    return (None, 1.0) if thing.look % 4 else (np.zeros((0, 2)), 0.5)


def morphed_shape_of(thing: Thing) -> Shape:
    """What it morphs into: a box, or a ball."""
    return (np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]]) * 0.7, 0.7) if thing.round else (None, 1.0)
