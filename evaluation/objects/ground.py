"""A ground seen by a camera that circles a point above it, as the world `orbit` has it: the turn, and what it explains.

The camera looks at a point above the ground from a known distance and height. Then a pixel u shows the ground at g(u),
and after a turn by d it shows what was at R(d) g(u), R being the rotation about the vertical: one number, the turn,
explains the whole picture of the ground, near and far, which no shift and no zoom of the picture does.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from kinora.worlds import orbit

GAP_S = 0.4  # seconds between the two pictures of a turn
FARTHEST_TURN = 0.5  # radians between them
TURNS = 41
FARTHEST = 4.0  # world units: ground beyond is haze
FEWEST = 80  # pixels of ground


@dataclass(frozen=True)
class Turn:
    """A turn in radians from one frame to a later one, and the change of the ground with and without it, in levels."""

    start: int
    end: int
    angle: float
    left: float
    change: float


class Geometry:
    """The ground as the camera sees it in a frame of `height` x `width` pixels, the camera at azimuth 0."""

    def __init__(self, height: int, width: int):
        """Find where every pixel's ray meets the ground."""
        self.height, self.width, self.unit = height, width, min(height, width)
        around, up = orbit.DISTANCE * np.cos(orbit.ELEVATION), orbit.DISTANCE * np.sin(orbit.ELEVATION)
        self.eye = np.array([around, 0.0, orbit.AIM + up])
        self.axes = orbit.axes(np.array([[*self.eye, 0.0, orbit.ELEVATION, orbit.FOCAL]]))[0]
        x = (np.arange(width) + 0.5 - width / 2) / self.unit
        y = (height / 2 - np.arange(height) - 0.5) / self.unit
        view = np.stack(np.broadcast_arrays(x[None], y[:, None], orbit.FOCAL), axis=-1)
        ray = view @ self.axes
        with np.errstate(divide="ignore", invalid="ignore"):
            reach = np.where(ray[..., 2] < -1e-3, self.eye[2] / -ray[..., 2], np.inf)
        self.seen = reach * np.linalg.norm(ray, axis=-1) < FARTHEST
        self.ground = np.where(
            self.seen[..., None], (self.eye + np.where(self.seen, reach, 0)[..., None] * ray)[..., :2], 0
        )

    def project(self, points: np.ndarray) -> np.ndarray:
        """Return the pixels `[..., 2]` (x, y) that show points `[..., 3]`."""
        seen = (points - self.eye) @ self.axes.T
        flat = orbit.FOCAL * seen[..., :2] / np.maximum(seen[..., 2:], 1e-3)
        return np.stack(
            [self.width / 2 + flat[..., 0] * self.unit, self.height / 2 - flat[..., 1] * self.unit], axis=-1
        )

    def turned(self, angle: float) -> np.ndarray:
        """Return where each pixel's ground is seen `[H, W, 2]` once the camera has turned by `angle`."""
        # The camera's turn by `angle` is the scene's by -angle.
        cosine, sine = np.cos(angle), np.sin(angle)
        x = cosine * self.ground[..., 0] + sine * self.ground[..., 1]
        y = cosine * self.ground[..., 1] - sine * self.ground[..., 0]
        return self.project(np.stack([x, y, np.zeros_like(x)], axis=-1))


def find_turns(luma_THW: np.ndarray, ground_THW: np.ndarray, fps: float) -> list[Turn]:
    """Return the turns of the camera from every frame to the one `GAP_S` later.

    Args:
        luma_THW: the clip's luma.
        ground_THW: `bool`, where the ground is seen, not the solid on it.
        fps: frames a second.
    """
    T, H, W = luma_THW.shape
    geometry = Geometry(H, W)
    gap = min(max(1, round(GAP_S * fps)), T - 1)
    smooth = [cv2.GaussianBlur(frame, (0, 0), 0.8) for frame in luma_THW.astype(np.float32)]
    clear = np.stack([cv2.erode(g.astype(np.uint8), np.ones((3, 3), np.uint8)) for g in ground_THW]).astype(np.float32)
    angles = np.linspace(-FARTHEST_TURN, FARTHEST_TURN, TURNS)
    maps = [geometry.turned(angle).astype(np.float32) - 0.5 for angle in angles]
    turns = []
    for start in range(T - gap):
        end = start + gap
        here = (clear[start] > 0) & geometry.seen
        errors = np.array([_error(smooth, clear, start, end, here, where) for where in maps])
        if np.isnan(errors).all():
            continue
        best = int(np.nanargmin(errors))
        angle = angles[best]
        if 0 < best < TURNS - 1 and not np.isnan(errors[best - 1 : best + 2]).any():
            before, at, after = errors[best - 1 : best + 2]
            angle += (angles[1] - angles[0]) * 0.5 * (before - after) / max(before - 2 * at + after, 1e-6)
        turns.append(Turn(start, end, float(angle), float(errors[best]), float(errors[TURNS // 2])))
    return turns


def _error(
    smooth: list[np.ndarray], clear: np.ndarray, start: int, end: int, here: np.ndarray, where: np.ndarray
) -> float:
    """Return the mean absolute difference of the ground after a turn, nan where too little of it is in both frames."""
    moved = cv2.remap(smooth[end], where[..., 0], where[..., 1], cv2.INTER_LINEAR)
    known = cv2.remap(clear[end], where[..., 0], where[..., 1], cv2.INTER_LINEAR) > 0.99
    both = here & known
    if both.sum() < FEWEST:
        return float("nan")
    error = moved[both] - smooth[start][both]
    return float(np.abs(error - np.median(error)).mean())
