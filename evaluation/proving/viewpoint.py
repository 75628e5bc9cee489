"""A camera in space, for the family `studio`."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class View:
    """A camera: its place, its axes (right, up, forward as rows) and the picture heights at unit distance."""

    place: np.ndarray
    axes: np.ndarray
    focal: float

    def rays(self, size: tuple[int, int]) -> np.ndarray:
        """Unit directions, float32 `[H, W, 3]`."""
        x = (np.arange(size[0]) + 0.5 - size[0] / 2) / size[1]
        y = -(np.arange(size[1]) + 0.5 - size[1] / 2) / size[1]
        x, y = np.meshgrid(x, y)
        rays = np.stack([x, y, np.full(x.shape, self.focal)], -1) @ self.axes
        return np.asarray(rays / np.linalg.norm(rays, axis=-1, keepdims=True), np.float32)

    def pixel(self, point: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, float]:
        """Where a point is in the picture, and how far ahead."""
        right, up, ahead = self.axes @ (point - self.place)
        ahead = max(ahead, 0.05)
        return np.array(
            [size[0] / 2 + right / ahead * self.focal * size[1], size[1] / 2 - up / ahead * self.focal * size[1]]
        ), ahead


@dataclass(frozen=True, eq=False)
class Canvas:
    """A picture in the making `[H, W]`: what is seen along each ray, how far, and whose it is."""

    view: View
    rays: np.ndarray
    picture: np.ndarray
    depth: np.ndarray
    owner: np.ndarray


def turned_about(axis: np.ndarray, angle: float) -> np.ndarray:
    """The rotation about an axis (Rodrigues)."""
    x, y, z = axis / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.asarray(np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross)
