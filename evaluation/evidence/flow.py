"""Dense motion from frame to frame, and what it does not explain.

Motion is found by dense inverse search (Kroeger et al., arXiv:1603.03590), forwards and backwards, starting from the
camera's.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from evaluation.evidence.camera import Camera
from evaluation.evidence.shots import Shot

SMALLEST = 32  # pixels of a side for the search; smaller frames are padded
RETURNS = 1.0  # pixels, and a tenth of the motion's length, to which a pixel followed and followed back returns


@dataclass(frozen=True, eq=False)
class Flow:
    """Where pixels go, in pixels (x, y), and how far from that they are found.

    `forward` float32 [T - 1, h, w, 2]: from t to t + 1 on t's grid. `backward`: from t + 1 to t on t + 1's grid.
    `consistent` bool [T - 1, h, w], on t + 1's grid: backward and forward agree. `residual` float32 [T - 1, h, w], on
    t + 1's grid: levels of frame t + 1 that motion from t does not explain. Across a cut all are 0 and False.
    """

    forward: np.ndarray
    backward: np.ndarray
    consistent: np.ndarray
    residual: np.ndarray


def follow_flow(rgb_THWC: np.ndarray, luma_THW: np.ndarray, camera: Camera, shots: Sequence[Shot]) -> Flow:
    """Return the motion in `uint8 [T, H, W, 3]` and its luma."""
    T, H, W = luma_THW.shape
    grey = luma_THW.round().astype(np.uint8)
    grid = pixel_grid(H, W)
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
    search.setFinestScale(1 if min(H, W) >= 64 else 0)
    search.setVariationalRefinementIterations(2)
    down, right = max(0, SMALLEST - H), max(0, SMALLEST - W)

    def moved(a: np.ndarray, b: np.ndarray, start: np.ndarray) -> np.ndarray:
        a, b, start = (cv2.copyMakeBorder(x, 0, down, 0, right, cv2.BORDER_REPLICATE) for x in (a, b, start))
        return np.asarray(search.calc(a, b, start))[:H, :W]

    steps = max(0, T - 1)
    forward, backward = np.zeros((2, steps, H, W, 2), np.float32)
    consistent, residual = np.zeros((steps, H, W), bool), np.zeros((steps, H, W), np.float32)
    for shot in shots:
        for t in range(shot.start, shot.end):
            there, back = _camera_flow(camera.to_next[t], grid), _camera_flow(np.linalg.inv(camera.to_next[t]), grid)
            forward[t], backward[t] = moved(grey[t], grey[t + 1], there), moved(grey[t + 1], grey[t], back)
            returned = backward[t] + sample(forward[t], grid + backward[t])
            length = np.linalg.norm(backward[t], axis=-1)
            consistent[t] = np.linalg.norm(returned, axis=-1) < RETURNS + 0.1 * length
            residual[t] = _residual(rgb_THWC[t], rgb_THWC[t + 1], [grid + backward[t], grid + back])
    return Flow(forward, backward, consistent, residual)


def pixel_grid(height: int, width: int) -> np.ndarray:
    """Return the place (x, y) of every pixel, float32 `[height, width, 2]`."""
    return np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1).astype(np.float32)


def sample(frame: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return what a frame shows at places `float32 [h, w, 2]` (x, y); beyond its border, what is at the border."""
    x, y = np.ascontiguousarray(places[..., 0]), np.ascontiguousarray(places[..., 1])
    return np.asarray(cv2.remap(frame, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))


def _camera_flow(matrix: np.ndarray, grid: np.ndarray) -> np.ndarray:
    return np.asarray(cv2.perspectiveTransform(grid, matrix) - grid)


def _residual(a: np.ndarray, b: np.ndarray, places: list[np.ndarray]) -> np.ndarray:
    """Return by how many levels b lies beyond what a shows around any of the places of each pixel, `[H, W]`."""
    H, W = b.shape[:2]
    least = np.full((H, W), np.inf, np.float32)
    kernel = np.ones((3, 3), np.uint8)
    for place in places:
        seen = sample(a, place)
        beyond = cv2.max(cv2.subtract(b, cv2.dilate(seen, kernel)), cv2.subtract(cv2.erode(seen, kernel), b))
        least = np.minimum(least, beyond.max(axis=-1))
        outside = (place < 0).any(axis=-1) | (place[..., 0] > W - 1) | (place[..., 1] > H - 1)
        least[outside] = 0
    return least


def measure_noise(luma_THW: np.ndarray, flow: Flow, shots: Sequence[Shot]) -> float:
    """Return the standard deviation, in levels, of what changes by itself in luma `float32 [T, H, W]`."""
    grid = pixel_grid(*luma_THW.shape[1:])
    found = []
    for shot in shots:
        for t in range(shot.start, shot.end):
            change = luma_THW[t + 1] - sample(luma_THW[t], grid + flow.backward[t])
            change = change[flow.consistent[t]]
            if len(change) > 16:
                found.append(1.4826 * float(np.median(np.abs(change - np.median(change)))) / np.sqrt(2))
    return max(FLOOR, float(np.median(found))) if found else FLOOR


FLOOR = 0.5  # levels: what rounding to whole levels leaves, and a little more
