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
FAST = 3.0  # pixels a frame, from which shapes are blurred
LEAST_NOISE = 0.5  # levels: what rounding to whole levels leaves, and a little more
FEWEST = 16  # pixels
PAIRS = 40  # of frames of a shot, at least, that tell its noise
ALIKE = 12  # levels between two views of one thing


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
            consistent[t] = _length(returned) < RETURNS + 0.1 * _length(backward[t])
        for t in range(shot.start, shot.end):
            a, b = rgb_THWC[t], rgb_THWC[t + 1]
            still = _camera_flow(np.linalg.inv(camera.to_next[t]), grid)
            left = beyond(a, b, grid + still, grid)
            if left.max() > ALIKE:
                left = cv2.min(left, beyond(a, b, grid + backward[t], grid))
                if t + 1 < shot.end:  # what comes in fast goes on like that
                    left = cv2.min(left, beyond(a, b, grid - forward[t + 1], grid))
                left[uncovered(a, b, forward[t], backward[t], grid + still, grid)] = 0
            residual[t] = left
    return Flow(forward, backward, consistent, residual)


def pixel_grid(height: int, width: int) -> np.ndarray:
    """Return the place (x, y) of every pixel, float32 `[height, width, 2]`."""
    return np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1).astype(np.float32)


def sample(frame: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return what a frame shows at places `float32 [h, w, 2]` (x, y); beyond its border, what is at the border."""
    x, y = cv2.split(places)
    return np.asarray(cv2.remap(frame, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))


def carried(flows: Sequence[np.ndarray], a: int, b: int, grid: np.ndarray) -> np.ndarray:
    """Return where the places of `grid` in frame `a` are in frame `b` along the flows forward, one a frame."""
    there = grid
    for t in range(a, b):
        there = there + sample(flows[t], there)
    return there


def _camera_flow(matrix: np.ndarray, grid: np.ndarray) -> np.ndarray:
    return np.asarray(cv2.perspectiveTransform(grid, matrix) - grid)


def beyond(a: np.ndarray, b: np.ndarray, origin: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """Return by how many levels b lies beyond what a shows around the places that its pixels come from, `[H, W]`.

    What comes from outside the frame is not beyond anything.
    """
    H, W = b.shape[:2]
    seen = sample(a, origin)
    levels = outside(b, seen, 3)
    fast = _length(origin - grid) > FAST
    if fast.any():
        levels[fast] = outside(b, seen, 5)[fast]
    x, y = cv2.split(origin)
    levels[(x < 0) | (y < 0) | (x > W - 1) | (y > H - 1)] = 0
    return levels


def outside(frame: np.ndarray, seen: np.ndarray, side: int) -> np.ndarray:
    """Return by how many levels a frame lies beyond all that another shows in a square around each pixel, `[H, W]`."""
    kernel = np.ones((side, side), np.uint8)
    levels = cv2.max(cv2.subtract(frame, cv2.dilate(seen, kernel)), cv2.subtract(cv2.erode(seen, kernel), frame))
    return largest(levels)


def largest(channels: np.ndarray) -> np.ndarray:
    """Return the largest channel of every pixel of `[h, w, 3]`."""
    red, green, blue = cv2.split(channels)
    return np.asarray(cv2.max(cv2.max(red, green), blue))


def _length(vectors: np.ndarray) -> np.ndarray:
    x, y = cv2.split(vectors)
    return np.asarray(cv2.magnitude(x, y))


def uncovered(
    a: np.ndarray, b: np.ndarray, forward: np.ndarray, backward: np.ndarray, origin: np.ndarray, grid: np.ndarray
) -> np.ndarray:
    """Say which pixels of b show what something covered in a that has moved off, and is seen where it went."""
    leaves = sample(forward, origin)
    landed = origin + leaves
    moves = _length(landed - grid) > 1
    if not moves.any():
        return moves
    returns = _length(leaves + sample(backward, landed)) < RETURNS
    alike = largest(cv2.absdiff(sample(a, origin), sample(b, landed))) < ALIKE
    covered = moves & returns & alike
    return np.asarray(cv2.dilate(covered.astype(np.uint8), np.ones((3, 3), np.uint8)), bool)


def measure_noise(luma_THW: np.ndarray, flow: Flow, shots: Sequence[Shot]) -> float:
    """Return the standard deviation, in levels, of what changes by itself in luma `float32 [T, H, W]`."""
    grid = pixel_grid(*luma_THW.shape[1:])
    found = []
    for shot in shots:
        for t in range(shot.start, shot.end, 1 + len(shot) // PAIRS):
            change = luma_THW[t + 1] - sample(luma_THW[t], grid + flow.backward[t])
            change = change[flow.consistent[t]]
            if len(change) > FEWEST:
                found.append(1.4826 * float(np.median(np.abs(change - np.median(change)))) / np.sqrt(2))
    return max(LEAST_NOISE, float(np.median(found))) if found else LEAST_NOISE
