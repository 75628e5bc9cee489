"""The camera's motion: the homography that carries the scene, not what moves in it, from each frame to the next.

Corners are followed by pyramidal Lucas-Kanade, forwards and back (Bouguet 2001), and the homography that most of them
agree on is found by MAGSAC++ (Barath et al. 2020). A scene without corners says nothing: its camera stands still.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from evaluation.evidence.shots import Shot

CORNERS, APART, WINDOW = 200, 5, 9  # of a frame, and pixels: between corners, and the side of what is compared
LEVELS = 3  # of the pyramid
RETURNS = 0.5  # pixels from its place to which a corner that is followed and followed back returns
AGREES = 1.0  # pixels from where the homography carries it
FEWEST, FEWEST_FOR_HOMOGRAPHY = 8, 24  # corners
SHARE = 0.4  # of the corners must agree
STILL = 0.25  # pixels


@dataclass(frozen=True, eq=False)
class Camera:
    """Homographies between frames, which carry pixels (x, y, 1).

    `to_next` float64 [T - 1, 3, 3] carries frame t to t + 1, and `to_first` [T, 3, 3] to the first frame of its shot;
    both are the identity where nothing is known. `reliable` bool [T - 1]: the motion from t to t + 1 is known.
    `moves`: the camera does not stand still all the time.
    """

    to_next: np.ndarray
    reliable: np.ndarray
    to_first: np.ndarray
    moves: bool

    def steady(self, frames: np.ndarray, points: np.ndarray) -> np.ndarray:
        """Return where points `[n, 2]` of frames `[n]` are in the first frame of their shot, `[n, 2]`."""
        return carry(self.to_first[frames], points)


def carry(matrices: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Carry points `[n, 2]` by homographies `[3, 3]` or `[n, 3, 3]`, each by its own."""
    xyz = np.einsum("...ij,...j->...i", matrices, np.concatenate([points, np.ones((len(points), 1))], axis=1))
    return np.asarray(xyz[:, :2] / xyz[:, 2:])


def follow_camera(luma_THW: np.ndarray, shots: Sequence[Shot]) -> Camera:
    """Return the camera's motion in luma `float32 [T, H, W]`."""
    T, H, W = luma_THW.shape
    to_next, reliable = np.tile(np.eye(3), (max(0, T - 1), 1, 1)), np.zeros(max(0, T - 1), bool)
    to_first = np.tile(np.eye(3), (T, 1, 1))
    grey = luma_THW.round().astype(np.uint8)
    for shot in shots:
        for t in range(shot.start, shot.end):
            to_next[t], reliable[t] = _motion(grey[t], grey[t + 1])
            to_first[t + 1] = to_first[t] @ np.linalg.inv(to_next[t])
            to_first[t + 1] /= to_first[t + 1, 2, 2]
    corners = np.array([[0, 0], [W - 1, 0], [0, H - 1], [W - 1, H - 1]], dtype=float)
    strayed = [np.abs(carry(matrix, corners) - corners).max() for matrix in to_first]
    return Camera(to_next, reliable, to_first, bool(max(strayed) > 1.0))


def _motion(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, bool]:
    """Return the homography from one frame, `uint8 [H, W]`, to the next, and whether it is known."""
    start = cv2.goodFeaturesToTrack(a, CORNERS, 0.01, APART)
    if start is None or len(start) < FEWEST:
        return np.eye(3), False
    end, found = _followed(a, b, start)
    back, returned = _followed(b, a, end)
    good = found & returned & (np.abs(back - start).max(axis=(1, 2)) < RETURNS)
    start, end = start[good, 0], end[good, 0]
    if len(start) < FEWEST:
        return np.eye(3), False
    if (np.abs(end - start).max(axis=1) < STILL).mean() > SHARE:
        return np.eye(3), True
    if len(start) >= FEWEST_FOR_HOMOGRAPHY:
        matrix, inside = cv2.findHomography(start, end, cv2.USAC_MAGSAC, AGREES)
    else:
        affine, inside = cv2.estimateAffinePartial2D(start, end, method=cv2.RANSAC, ransacReprojThreshold=AGREES)
        matrix = None if affine is None else np.concatenate([affine, [[0, 0, 1]]])
    if matrix is None or inside.mean() < SHARE or not np.isfinite(matrix).all() or abs(np.linalg.det(matrix)) < 0.1:
        return np.eye(3), False
    return matrix, True


def _followed(a: np.ndarray, b: np.ndarray, start: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where points `[n, 1, 2]` of a are in b, and which of them are found `[n]`."""
    end, found, _ = cv2.calcOpticalFlowPyrLK(a, b, start, start.copy(), winSize=(WINDOW, WINDOW), maxLevel=LEVELS)
    return np.asarray(end), np.asarray(found, bool).ravel()
