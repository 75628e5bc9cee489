"""Dense motion from frame to frame, and what it does not explain.

Motion is found by dense inverse search (Kroeger et al., arXiv:1603.03590), forwards and backwards, starting from the
camera's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from evaluation.evidence.camera import Camera
from evaluation.evidence.medians import median
from evaluation.evidence.shots import Shot

SMALLEST = 32  # pixels of a side for the search; smaller frames are padded
RETURNS = 1.0  # pixels, and a tenth of the motion's length, to which a pixel followed and followed back returns
FAST = 3.0  # pixels a frame, from which shapes are blurred
LEAST_NOISE = 0.5  # levels: what rounding to whole levels leaves, and a little more
FEWEST = 16  # pixels
PAIRS = 40  # of frames of a shot, at least, that tell its noise
ALIKE = 12  # levels between two views of one thing
REACH = 2  # pixels around where something fast comes from
KERNEL = np.ones((3, 3), np.uint8)


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
        if down or right:
            a, b, start = (cv2.copyMakeBorder(x, 0, down, 0, right, cv2.BORDER_REPLICATE) for x in (a, b, start))
        return np.asarray(search.calc(a, b, start))[:H, :W]

    steps = max(0, T - 1)
    forward, backward = np.zeros((2, steps, H, W, 2), np.float32)
    consistent, residual = np.zeros((steps, H, W), bool), np.zeros((steps, H, W), np.float32)
    to_last = np.linalg.inv(camera.to_next)
    for shot in shots:
        for t in range(shot.start, shot.end):
            there, back = carried_along(camera.to_next[t], grid) - grid, carried_along(to_last[t], grid) - grid
            forward[t], backward[t] = moved(grey[t], grey[t + 1], there), moved(grey[t + 1], grey[t], back)
            returned = backward[t] + sample(forward[t], grid + backward[t])
            consistent[t] = _length(returned) < RETURNS + 0.1 * _length(backward[t])
        after = in_four(rgb_THWC[shot.start])
        for t in range(shot.start, shot.end):
            now, after = after, in_four(rgb_THWC[t + 1])
            still = carried_along(to_last[t], grid)
            on = forward[t + 1] if t + 1 < shot.end else None
            residual[t] = unexplained(now, after, still, forward[t], backward[t], on, grid)
    return Flow(forward, backward, consistent, residual)


@lru_cache(8)
def pixel_grid(height: int, width: int) -> np.ndarray:
    """Return the place (x, y) of every pixel, float32 `[height, width, 2]`, which must not be written to."""
    grid = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1).astype(np.float32)
    grid.flags.writeable = False
    return grid


def sample(frame: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return what a frame shows at places `float32 [h, w, 2]` (x, y); beyond its border, what is at the border."""
    how, border = cv2.INTER_LINEAR, cv2.BORDER_REPLICATE
    return np.asarray(cv2.remap(frame, places, None, how, borderMode=border))  # type: ignore[call-overload]


def in_four(rgb_HWC: np.ndarray) -> np.ndarray:
    """Return a picture with a fourth channel that is the same everywhere: it is sampled in half the time."""
    return np.asarray(cv2.cvtColor(rgb_HWC, cv2.COLOR_RGB2RGBA))


def carried(flows: Sequence[np.ndarray], a: int, b: int, grid: np.ndarray, place: tuple[slice, slice]) -> np.ndarray:
    """Return where pixels of frame `a` are in a later one, `b`, along the flows forward, one a frame.

    `grid` float32 [h, w, 2] is where they are in frame `a`, all pixels of `place` in it.
    """
    there: np.ndarray = grid + flows[a][place]
    for t in range(a + 1, b):
        there = there + sample(flows[t], there)
    return there


def carried_along(matrix: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """Return where a homography carries the places of a grid: the grid itself where it carries nothing anywhere."""
    return grid if np.array_equal(matrix, np.eye(3)) else np.asarray(cv2.perspectiveTransform(grid, matrix))


def unexplained(
    a: np.ndarray, b: np.ndarray, still: np.ndarray, forward: np.ndarray, backward: np.ndarray,
    on: np.ndarray | None, grid: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """Return by how many levels b lies beyond what a shows wherever it may come from, `[H, W]`.

    Both are `uint8 [H, W, 3 or 4]`. b may come from where the camera or the flow `backward` says, or go on as the flow
    `on` goes from it; or what covered it in a may have moved off, as the flow `forward` says.
    """
    left = beyond(a, b, still, grid)
    if left.max() <= ALIKE:
        return left
    x, y, wide, high = cv2.boundingRect(left)
    # With what is around it, where it has an influence.
    place = slice(max(0, y - REACH), y + high + REACH), slice(max(0, x - REACH), x + wide + REACH)
    for flow in [backward] if on is None else [backward, -on]:
        left[place] = cv2.min(left[place], beyond(a, b[place], (grid + flow)[place], grid[place]))
    left[_uncovered(a, b, left, still, forward, backward, grid)] = 0
    return left


def beyond(a: np.ndarray, b: np.ndarray, origin: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """Return by how many levels b lies beyond what a shows around the places that its pixels come from, `[H, W]`.

    `b`, `origin` and `grid` may be of a part of the frame. What comes from outside the frame is not beyond anything.
    """
    if origin is grid:
        return outside(b, a, 3)
    seen = sample(a, origin)
    levels = outside(b, seen, 3)
    fast = _length(origin - grid) > FAST
    if fast.any():
        np.copyto(levels, outside(b, seen, 1 + 2 * REACH), where=fast)
    within = cv2.inRange(origin, (0, 0), (a.shape[1] - 1, a.shape[0] - 1))
    return np.asarray(cv2.bitwise_and(levels, within))


def outside(frame: np.ndarray, seen: np.ndarray, side: int) -> np.ndarray:
    """Return by how many levels a frame lies beyond all that another shows in a square around each pixel, `[H, W]`."""
    kernel = np.ones((side, side), np.uint8)
    levels = cv2.max(cv2.subtract(frame, cv2.dilate(seen, kernel)), cv2.subtract(cv2.erode(seen, kernel), frame))
    return largest(levels)


def largest(channels: np.ndarray) -> np.ndarray:
    """Return the largest of the first three channels of every pixel of `[h, w, 3 or more]`."""
    red, green, blue, *_ = cv2.split(channels)
    return np.asarray(cv2.max(cv2.max(red, green), blue))


def _length(vectors: np.ndarray) -> np.ndarray:
    return np.asarray(np.abs(vectors.view(np.complex64))[..., 0])


def _uncovered(
    a: np.ndarray, b: np.ndarray, left: np.ndarray, origin: np.ndarray, forward: np.ndarray, backward: np.ndarray,
    grid: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """Return where b shows something covered in a that has moved off, and is seen where it went, near what is left."""
    leaves = forward if origin is grid else sample(forward, origin)
    moves = _length(leaves if origin is grid else origin + leaves - grid) > 1
    covered = (moves & (cv2.dilate(left, KERNEL) > 0)).astype(np.uint8)
    at = np.flatnonzero(covered)
    if len(at):
        from_, step = (np.take(x.reshape(-1, 2), at, axis=0)[None] for x in (origin, leaves))
        landed = from_ + step
        returns = _length(step + sample(backward, landed)) < RETURNS
        alike = largest(cv2.absdiff(sample(a, from_), sample(b, landed))) < ALIKE
        covered.ravel()[at] = returns & alike
    return np.asarray(cv2.dilate(covered, KERNEL), bool)


def measure_noise(luma_THW: np.ndarray, flow: Flow, shots: Sequence[Shot]) -> float:
    """Return the standard deviation, in levels, of what changes by itself in luma `float32 [T, H, W]`."""
    grid = pixel_grid(*luma_THW.shape[1:])
    found = []
    for shot in shots:
        for t in range(shot.start, shot.end, 1 + len(shot) // PAIRS):
            change = luma_THW[t + 1] - sample(luma_THW[t], grid + flow.backward[t])
            change = change.ravel().take(np.flatnonzero(flow.consistent[t]))
            if len(change) > FEWEST:
                found.append(1.4826 * float(median(np.abs(change - median(change)))) / np.sqrt(2))
    return max(LEAST_NOISE, float(np.median(found))) if found else LEAST_NOISE
