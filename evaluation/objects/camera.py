"""The camera's own motion: the pan and zoom that carry a background from each frame to the next.

A point w of the first frame is seen in frame t at

    u = c + exp(z_t) (w - c) + d_t,

c being the frame's centre. From frame to frame, (d, z) is the least squares solution that carries the texture of one
background to the next (Gauss-Newton with inverse composition: Baker and Matthews 2004), an even change of light
allowed for and what moves by itself weighted down (Tukey's weights). A background without texture says nothing: its
camera is still.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

SMOOTHING = 0.7  # pixels: standard deviation of the blur before slopes are taken
MARGIN = 5  # pixels about the objects, and half of them at the frame's edge, that are left out
FEWEST = 60  # pixels of background that determine a motion
TEXTURE = 0.8  # levels a pixel: root mean square slope, beside an even one, below which a background is plain
ITERATIONS = 10
TUKEY = 4.7  # robust standard deviations from which a pixel counts for nothing
LARGEST_ZOOM = 0.2  # from frame to frame, natural logarithm
LARGEST_PAN = 0.15  # of the longer side, from frame to frame
MUST_EXPLAIN = 0.25  # of what changes in the background; a camera that explains less stands still


@dataclass(frozen=True, eq=False)
class Camera:
    """Pans `[T, 2]` (x, y in pixels) and logarithms of zooms `[T]`, both against the first frame."""

    centre: np.ndarray  # [2]
    pans: np.ndarray
    zooms: np.ndarray

    def shared(self, width: int, height: int) -> float:
        """Return the share of the frame's sides, of the smaller, that is in view all the time, in first frame's pixels.

        The worlds' cameras see more than the frame of the world, which stays in view: it has this share of the sides.
        """
        corners = np.array([[0.0, 0.0], [width, height]])
        views = np.stack([self.steady(np.arange(len(self.pans)), np.tile(c, (len(self.pans), 1))) for c in corners])
        sides = (views[1].min(axis=0) - views[0].max(axis=0)) / (width, height)
        return float(np.clip(sides.min(), 0.2, 1.0))

    def steady(self, frames: np.ndarray, points: np.ndarray) -> np.ndarray:
        """Return where points `[n, 2]` of frames `[n]` are in the first frame's pixels."""
        zoom = np.exp(self.zooms[frames])[:, None]
        return np.asarray(self.centre + (points - self.centre - self.pans[frames]) / zoom)


def still_camera(frames: int, width: int, height: int) -> Camera:
    """Return a camera that does not move."""
    return Camera(np.array([width / 2, height / 2]), np.zeros((frames, 2)), np.zeros(frames))


def find_camera(luma_THW: np.ndarray, background_THW: np.ndarray) -> Camera:
    """Return the camera's motion from the luma of a clip and `bool`, which pixels of it are background."""
    T, H, W = luma_THW.shape
    smooth = [cv2.GaussianBlur(frame, (0, 0), SMOOTHING) for frame in luma_THW.astype(np.float32)]
    kernel = np.ones((MARGIN, MARGIN), np.uint8)
    clear = np.stack([cv2.erode(frame.astype(np.uint8), kernel) for frame in background_THW]).astype(bool)
    edge = MARGIN // 2
    clear[:, :edge] = clear[:, H - edge :] = clear[:, :, :edge] = clear[:, :, W - edge :] = False
    camera = still_camera(T, W, H)
    for t in range(1, T):
        pan, zoom = _motion(smooth[t - 1], smooth[t], clear[t - 1], clear[t])
        camera.pans[t] = np.exp(zoom) * camera.pans[t - 1] + pan
        camera.zooms[t] = camera.zooms[t - 1] + zoom
    moves = explained(camera, smooth, clear) > MUST_EXPLAIN
    return camera if moves else still_camera(T, W, H)


def explained(camera: Camera, smooth: Sequence[np.ndarray], clear_THW: np.ndarray) -> float:
    """Return how much of the background's change over a quarter of the clip the camera explains, 1 all of it."""
    T, H, W = clear_THW.shape
    gap = max(1, T // 4)
    before = after = 1e-6
    for t in range(gap, T, gap):
        zoom = camera.zooms[t] - camera.zooms[t - gap]
        pan = camera.pans[t] - np.exp(zoom) * camera.pans[t - gap]
        matrix = _matrix(pan, zoom, H, W)
        inside = clear_THW[t - gap] & clear_THW[t] & (_warped(clear_THW[t].astype(np.float32), matrix) > 0.99)
        if inside.sum() < FEWEST:
            continue
        template = smooth[t - gap][inside]
        before += _spread(smooth[t][inside] - template)
        after += _spread(_warped(smooth[t], matrix)[inside] - template)
    return 1 - after / before


def _motion(
    before: np.ndarray, after: np.ndarray, clear: np.ndarray, clear_after: np.ndarray
) -> tuple[np.ndarray, float]:
    """Return the pan `[2]` and the zoom's logarithm between two frames; only what is `clear` in both counts."""
    H, W = before.shape
    still = np.zeros(2), 0.0
    y, x = np.nonzero(clear)
    if len(x) < FEWEST:
        return still
    x, y = x - (W - 1) / 2, y - (H - 1) / 2
    gy, gx = (slope[clear] for slope in np.gradient(before))
    if np.sqrt(gx.var() + gy.var()) < TEXTURE:
        return still
    # Columns: pan, zoom, and light that changes evenly over the frame.
    slopes = np.stack([gx, gy, gx * x + gy * y, np.ones_like(x), x / W, y / H], axis=1)
    template, seen_after = before[clear], clear_after.astype(np.float32)
    pan, zoom, light = np.zeros(2), 0.0, np.zeros(3)
    for _ in range(ITERATIONS):
        matrix = _matrix(pan, zoom, H, W)
        inside = _warped(seen_after, matrix)[clear] > 0.99
        if inside.sum() < FEWEST:
            return still
        error = _warped(after, matrix)[clear] - template - slopes[:, 3:] @ light
        spread = 1.4826 * float(np.median(np.abs(error[inside]))) + 1e-3
        weighted = slopes * (np.clip(1 - (error / (TUKEY * spread)) ** 2, 0, 1) ** 2 * inside)[:, None]
        step = np.linalg.solve(weighted.T @ slopes + 1e-6 * np.eye(6), weighted.T @ error)
        # Inverse composition: the template moves by the step, so the frame moves by its inverse.
        zoom -= float(step[2])
        pan = pan - np.exp(zoom) * step[:2]
        light += step[3:]
        if np.abs(step[:2]).max() < 0.01 and abs(step[2]) * max(H, W) < 0.02:
            break
    astray = abs(zoom) > LARGEST_ZOOM or np.abs(pan).max() > LARGEST_PAN * max(H, W)
    return still if astray else (pan, zoom)


def _matrix(pan: np.ndarray, zoom: float, height: int, width: int) -> np.ndarray:
    """Return what leads from a frame's pixels to those of the frame that a pan and a zoom make of it, `[2, 3]`."""
    scale = np.exp(zoom)
    across, down = (1 - scale) * (width - 1) / 2 + pan[0], (1 - scale) * (height - 1) / 2 + pan[1]
    return np.array([[scale, 0, across], [0, scale, down]])


def _spread(error: np.ndarray) -> float:
    return float(np.median(np.abs(error - np.median(error))))


def _warped(frame: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Return a frame as seen through `matrix` `[2, 3]`, which leads from the result's pixels to the frame's."""
    size = frame.shape[::-1]
    return np.asarray(cv2.warpAffine(frame, matrix, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP))
