"""Cameras before a flat world: x, y are the world's point in the middle of the picture, zoom its magnification.

A camera that moves sees somewhat more than the frame of the world, so that what stays in the frame stays in the picture
from the first frame to the last; the lower edges of both are the same.
"""

import numpy as np

from kinora.worlds.scene import Scene

COLUMNS = ("x", "y", "zoom")
PAN = 0.12  # world units per second ...
LONGEST_PAN = 0.3  # ... and in a clip at most
ZOOM_FROM = 0.68  # to 1
DIRECTIONS = {"still": 0, "pans right": 1, "pans left": -1, "zooms in": 0}


def camera_path(scene: Scene, times: np.ndarray) -> np.ndarray:
    """Return the path `[T, 3]`, the columns `COLUMNS`, at `times` seconds `[T]`; the camera rests after the clip."""
    share = np.clip(times / max(scene.seconds, 1e-9), 0.0, 1.0)
    way = DIRECTIONS[scene.camera] * min(PAN * scene.seconds, LONGEST_PAN)
    zoom = np.full(len(times), scene.width / (scene.width + abs(way)))
    if scene.camera == "zooms in":
        zoom = ZOOM_FROM ** (1 - share)
    return np.stack([scene.width / 2 + way * (share - 0.5), scene.height / 2 / zoom, zoom], axis=1)
