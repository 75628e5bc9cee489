"""Where the planes of a stage lie in the picture, of families that draw them on sheets one behind the other."""

import numpy as np

from evaluation.proving.stage.scene import Scene, Take

OVER = 2  # drawn at twice the size, then averaged
MARGIN = 0.7  # of the sheets beyond the picture at rest, in heights


class Planes:
    """The planes of one scene in pictures of a width and height; the things' lie `plane_depth` behind one another."""

    plane_depth: float

    def __init__(self, scene: Scene, size: tuple[int, int]) -> None:
        self.scene, self.size = scene, size
        self.unit = size[1] * OVER  # drawn pixels in a height
        self.sheet_size = round((scene.aspect + 2 * MARGIN) * self.unit), round((1 + 2 * MARGIN) * self.unit)

    def zoomed(self, zoom: float, depth: float) -> float:
        """Return how many times as large a plane at a depth is seen: here by the lens, so alike at all depths."""
        return zoom

    def sheet_points(self, points: np.ndarray) -> np.ndarray:
        """Return the pixels of a sheet, int `[n, 2]`, at points of the plane (x, y up)."""
        return np.asarray(np.round((np.array([MARGIN, 1 + MARGIN]) + points * [1, -1]) * self.unit), np.int32)

    def view(self, camera: np.ndarray, depth: float) -> np.ndarray:
        """Return `[2, 3]`: from points of the plane (x, y up) at a depth to drawn pixels."""
        x, y, zoom, roll = camera
        scale = self.zoomed(zoom, depth)
        cos, sin = np.cos(roll) * scale * self.unit, np.sin(roll) * scale * self.unit
        turn = np.array([[cos, sin], [sin, -cos]])
        middle = np.array([self.scene.aspect / 2 + x / depth, 0.5 + y / depth])
        return np.hstack([turn, (np.array([self.scene.aspect, 1.0]) * self.unit / 2 - turn @ middle)[:, None]])

    def sheet_view(self, camera: np.ndarray, depth: float, pixels: float | None = None) -> np.ndarray:
        """Return `[2, 3]`: from pixels of a sheet, so many in a height if not as many as are drawn, to drawn pixels."""
        per = pixels or self.unit
        to_plane = np.array([[1 / per, 0, -MARGIN], [0, -1 / per, 1 + MARGIN], [0, 0, 1]])
        return np.asarray(self.view(camera, depth) @ to_plane)

    def whereabouts(self, take: Take) -> np.ndarray:
        """Return where each thing is, hidden or not, and how large: float `[T, N, 3]`, x, y and pixels a height."""
        places = np.empty((*take.angle.shape, 3))
        for index, thing in enumerate(self.scene.things):
            for frame, camera in enumerate(take.camera):
                view = self.view(camera, 1 + self.plane_depth * thing.plane) / OVER
                places[frame, index, :2] = view[:, :2] @ take.position[frame, index] + view[:, 2]
                places[frame, index, 2] = np.hypot(*view[:, 0])
        return places
