"""Outlines of things: corners `[K, 2]` within the unit circle, counter-clockwise."""

from collections.abc import Callable

import numpy as np


def _around(count: int, radii: np.ndarray | float = 1.0) -> np.ndarray:
    turn = np.linspace(0, 2 * np.pi, count, endpoint=False)
    return np.asarray(np.stack([np.cos(turn), np.sin(turn)], 1) * np.broadcast_to(radii, count)[:, None])


def disc(rng: np.random.Generator) -> np.ndarray:
    return _around(48)


def box(rng: np.random.Generator) -> np.ndarray:
    turn = rng.uniform(0.45, 0.8)
    corner = np.array([np.cos(turn), np.sin(turn)])
    return np.asarray(np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]]) * corner)


def polygon(rng: np.random.Generator) -> np.ndarray:
    return _around(int(rng.integers(3, 8)))


def pebble(rng: np.random.Generator) -> np.ndarray:
    """Round and uneven; still convex enough that its hull is its outline to the eye."""
    turn = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    radii = 1 + sum(rng.uniform(0, 0.35 / wave**2) * np.cos(wave * turn + rng.uniform(0, 6)) for wave in (2, 3))
    outline = _around(48, radii)
    outline -= outline.mean(0)
    return np.asarray(outline / np.linalg.norm(outline, axis=1).max())


def star(rng: np.random.Generator) -> np.ndarray:
    points = int(rng.integers(5, 9))
    return _around(2 * points, np.tile([1.0, rng.uniform(0.6, 0.8)], points))


OUTLINES: dict[str, Callable[[np.random.Generator], np.ndarray]] = {
    "disc": disc, "box": box, "polygon": polygon, "pebble": pebble, "star": star,
}  # fmt: skip
