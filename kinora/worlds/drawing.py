"""Drawing of worlds in the plane, antialiased at any size, flat here and lit in `kinora.worlds.shading`.

Coverage of a pixel by a figure is taken from the signed distance d of a sample point to its outline, in samples, as
clip(1/2 - d, 0, 1); the flat look averages `SUPERSAMPLING` x `SUPERSAMPLING` samples a pixel.
"""

import numpy as np

from kinora.worlds import shading
from kinora.worlds.camera import COLUMNS, camera_path
from kinora.worlds.figures import signed_distance
from kinora.worlds.scene import ANGLE, BACKGROUNDS, PALETTE, TIME, VISIBLE, Body, Scene, X, Y

SUPERSAMPLING = 2


class Planar:
    """What worlds in the plane share: a camera that moves along the plane, and drawing."""

    shapes: tuple[str, ...] | None = None
    fixed: tuple[str, ...] = ()
    leaving: tuple[str, ...] = ()
    camera_columns: tuple[str, ...] = COLUMNS

    def camera(self, scene: Scene, times: np.ndarray) -> np.ndarray:
        """Return the world's point in the middle of the picture and the magnification, `[T, 3]`."""
        return camera_path(scene, times)

    def draw(self, scene: Scene, states: np.ndarray, width: int, height: int) -> np.ndarray:
        """Draw the states `[T, bodies, columns]` as frames `uint8 [T, height, width, 3]`."""
        shaded = scene.look == "shaded"
        path = self.camera(scene, states[:, 0, TIME])
        canvas = shading.backdrop(scene, path, width, height) if shaded else _plain(scene, len(states), width, height)
        self.furnish(scene, states, canvas)
        for index, body in enumerate(scene.bodies):
            shown = np.flatnonzero(states[:, index, VISIBLE] > 0)
            if not len(shown):
                continue
            if shaded:
                shading.paint(canvas, scene, body, index, states, shown, path)
            else:
                _paint(canvas, scene, body, states[shown, index], shown)
        return canvas.round().clip(0, 255).astype(np.uint8)

    def furnish(self, scene: Scene, states: np.ndarray, canvas: np.ndarray) -> None:
        """Draw what is behind the bodies into the background `float32 [T, height, width, 3]`: nothing."""


def _plain(scene: Scene, frames: int, width: int, height: int) -> np.ndarray:
    canvas = np.empty((frames, height, width, 3), dtype=np.float32)
    canvas[:] = BACKGROUNDS[scene.background]
    return canvas


def _paint(canvas: np.ndarray, scene: Scene, body: Body, states: np.ndarray, shown: np.ndarray) -> None:
    """Draw one body, states `[t, columns]`, in one colour into the frames `shown [t]`."""
    height, width = canvas.shape[1:3]
    s = SUPERSAMPLING
    unit = min(width, height) * s  # samples in a world unit
    across = (np.arange(width * s, dtype=np.float32) + 0.5) / unit
    up = scene.height - (np.arange(height * s, dtype=np.float32) + 0.5) / unit
    state = states.astype(np.float32)
    dx = across[None, None, :] - state[:, X, None, None]  # [T, 1, W]
    dy = up[None, :, None] - state[:, Y, None, None]  # [T, H, 1]
    distance = signed_distance(body, dx, dy, state[:, ANGLE, None, None])
    covered = np.clip(0.5 - distance * unit, 0, 1)
    alpha = covered.reshape(len(shown), height, s, width, s).mean(axis=(2, 4))[..., None]
    colour = np.array(PALETTE[body.colour], dtype=np.float32)
    canvas[shown] += alpha * (colour - canvas[shown])
