"""The figures that things have: their outlines, and how far points lie outside them. World units."""

import numpy as np

from kinora.worlds.scene import Body

SQUARE_HALF_SIDE = np.sqrt(np.pi) / 2  # of the circle's radius: the same area
TRIANGLE_CORNER = 1.45
CIRCLE_CORNERS = 20  # where a circle has to be a polygon
HANDLE = (0.5, 0.7), (1.5, 3.1), 0.36  # of a brush: from, to and half its width, in radii of the tip


def signed_distance(body: Body, dx: np.ndarray, dy: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Return how far points (dx, dy) from a body's centre lie outside its outline, negative inside."""
    if body.shape == "brush":
        brush: np.ndarray = np.minimum(np.sqrt(dx**2 + dy**2) - body.size, handle_distance(body, dx, dy))
        return brush
    if body.shape == "circle" and not body.points:
        radius: np.ndarray = np.sqrt(dx**2 + dy**2)
        return radius - body.size
    normals, offsets = sides(body)
    cosine, sine = np.cos(angle), np.sin(angle)
    distance: np.ndarray | None = None
    for (nx, ny), offset in zip(normals, offsets, strict=True):
        side = (nx * cosine - ny * sine) * dx + ((nx * sine + ny * cosine) * dy - offset)
        distance = side if distance is None else np.maximum(distance, side, out=distance)
    assert distance is not None
    return distance


def sides(body: Body) -> tuple[np.ndarray, np.ndarray]:
    """Return the outward normals `float32 [n, 2]` of a polygon's sides and their distances `[n]` from its centre."""
    corners = outline(body)
    edges = np.roll(corners, -1, axis=0) - corners
    normals = np.stack([edges[:, 1], -edges[:, 0]], axis=1) / np.linalg.norm(edges, axis=1, keepdims=True)
    offsets = (normals * corners).sum(axis=1)
    return normals.astype(np.float32), offsets.astype(np.float32)


def handle_distance(body: Body, dx: np.ndarray, dy: np.ndarray) -> np.ndarray:
    """Return how far points lie outside a brush's handle, which points to the upper right."""
    start, end, half_width = HANDLE
    return capsule_distance(dx, dy, np.multiply(start, body.size), np.multiply(end, body.size)) - half_width * body.size


def capsule_distance(x: np.ndarray, y: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Return the distance of points from the straight line from `start [2]` to `end [2]`, each also `[2, T, 1, 1]`."""
    (x0, y0), (wx, wy) = start, end - start
    along = np.clip(((x - x0) * wx + (y - y0) * wy) / np.maximum(wx**2 + wy**2, 1e-12), 0, 1)
    distance: np.ndarray = np.sqrt((x - x0 - along * wx) ** 2 + (y - y0 - along * wy) ** 2)
    return distance


def outline(body: Body) -> np.ndarray:
    """Return the corners `[n, 2]` of a body about its centre, anticlockwise, unturned; a circle's are a polygon's."""
    if body.points:
        return np.array(body.points)
    if body.shape in ("circle", "brush"):
        return regular(CIRCLE_CORNERS, body.size, 0.0)
    if body.shape == "square":
        return regular(4, body.size * SQUARE_HALF_SIDE * np.sqrt(2), np.pi / 4)
    return regular(3, body.size * TRIANGLE_CORNER, np.pi / 2)


def regular(corners: int, radius: float, turn: float) -> np.ndarray:
    """Return the corners `[corners, 2]` of a regular polygon about its centroid."""
    angles = turn + 2 * np.pi * np.arange(corners) / corners
    return radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
