"""Drawing of flat figures, antialiased at any size.

Coverage of a pixel by a convex figure is taken from the signed distance d of a sample point to its outline, in samples,
as clip(1/2 - d, 0, 1), averaged over `SUPERSAMPLING` x `SUPERSAMPLING` samples a pixel.
"""

import numpy as np

from kinora.worlds.scene import ANGLE, BACKGROUNDS, PALETTE, VISIBLE, Body, Scene, X, Y

SUPERSAMPLING = 2
SQUARE_HALF_SIDE = np.sqrt(np.pi) / 2  # of the circle's radius: the same area
TRIANGLE_CORNER = 1.45
CIRCLE_CORNERS = 20  # where a circle has to be a polygon


def draw_flat(scene: Scene, states: np.ndarray, width: int, height: int) -> np.ndarray:
    """Draw a flat scene, states `[T, bodies, columns]`, as frames `uint8 [T, height, width, 3]`."""
    unit = min(width, height) * SUPERSAMPLING  # samples in a world unit
    across = (np.arange(width * SUPERSAMPLING, dtype=np.float32) + 0.5) / unit
    up = scene.height - (np.arange(height * SUPERSAMPLING, dtype=np.float32) + 0.5) / unit
    frames = np.empty((len(states), height, width, 3), dtype=np.float32)
    frames[:] = BACKGROUNDS[scene.background]
    for index, body in enumerate(scene.bodies):
        shown = np.flatnonzero(states[:, index, VISIBLE] > 0)
        if not len(shown):
            continue
        state = states[shown, index].astype(np.float32)
        dx = across[None, None, :] - state[:, X, None, None]  # [T, 1, W]
        dy = up[None, :, None] - state[:, Y, None, None]  # [T, H, 1]
        distance = signed_distance(body, dx, dy, state[:, ANGLE, None, None])
        covered = np.clip(0.5 - distance * unit, 0, 1)
        s = SUPERSAMPLING
        alpha = covered.reshape(len(shown), height, s, width, s).mean(axis=(2, 4))[..., None]
        colour = np.array(PALETTE[body.colour], dtype=np.float32)
        frames[shown] += alpha * (colour - frames[shown])
    return frames.round().astype(np.uint8)


def signed_distance(body: Body, dx: np.ndarray, dy: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Return how far points (dx, dy) from a body's centre lie outside its outline, negative inside."""
    if body.shape == "circle" and not body.points:
        radius: np.ndarray = np.sqrt(dx**2 + dy**2)
        return radius - body.size
    corners = outline(body)
    sides = np.roll(corners, -1, axis=0) - corners
    normals = np.stack([sides[:, 1], -sides[:, 0]], axis=1) / np.linalg.norm(sides, axis=1, keepdims=True)
    offsets = (normals * corners).sum(axis=1)
    cosine, sine = np.cos(angle), np.sin(angle)
    distance: np.ndarray | None = None
    for (nx, ny), offset in zip(normals.astype(np.float32), offsets.astype(np.float32), strict=True):
        side = (nx * cosine - ny * sine) * dx + ((nx * sine + ny * cosine) * dy - offset)
        distance = side if distance is None else np.maximum(distance, side, out=distance)
    assert distance is not None
    return distance


def outline(body: Body) -> np.ndarray:
    """Return the corners `[n, 2]` of a body about its centre, anticlockwise, unturned; a circle's are a polygon's."""
    if body.points:
        return np.array(body.points)
    if body.shape == "circle":
        return regular(CIRCLE_CORNERS, body.size, 0.0)
    if body.shape == "square":
        return regular(4, body.size * SQUARE_HALF_SIDE * np.sqrt(2), np.pi / 4)
    return regular(3, body.size * TRIANGLE_CORNER, np.pi / 2)


def regular(corners: int, radius: float, turn: float) -> np.ndarray:
    """Return the corners `[corners, 2]` of a regular polygon about its centroid."""
    angles = turn + 2 * np.pi * np.arange(corners) / corners
    return radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
