"""The camera's motion: the homography that carries the scene, not what moves in it, from each frame to the next.

Corners of a key frame are followed from frame to frame and aligned with the key frame again, so that nothing drifts
(pyramidal Lucas-Kanade, Bouguet 2001). The motion that most of them agree on is found by MAGSAC++ (Barath et al. 2020),
those that agreed before first, so that what moves in the scene does not carry the camera along. A new key frame is
taken where too few are left. The simplest motion wins: none, then a similarity, then a homography. A scene without
corners all over it says nothing: its camera stands still as far as is known.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from evaluation.evidence.shots import Shot

CORNERS, CELLS, OF_A_CELL, APART = 300, 6, 5, 4  # of a key frame; cells a side; in one; pixels between corners
WINDOW, LEVELS = 9, 3  # pixels of what is compared, and levels of the pyramid
SMALL = 64  # pixels of the longer side below which frames are enlarged twice
BLUR, CONTRAST, MOST_GAIN = 17, 32.0, 4.0  # pixels, and levels, of the even light that frames are brought to
ALIGNED = 1.5  # pixels that aligning a corner with its key frame may move it
AGREES = 1.0  # pixels between a corner that agrees and where the motion carries it
SURELY = 0.6  # of the corners that stand still are enough for a still camera
MEMORY = 0.8  # of a corner's trust that is left after a frame
SIMPLER = 0.9  # of the agreeing corners of a richer motion that a simpler one needs
BETTER, FAR = 1.05, 32  # times less unlike the frame must be for the camera to move; levels that are all alike
FEWEST, FEWEST_FOR_HOMOGRAPHY = 8, 24  # corners that agree
SHARE = 0.35  # of the corners that are found again must agree
SPREAD = 0.15  # of the frame: the hull of the corners that agree
LEFT = 0.5  # of a key frame's corners: with fewer left a new one is taken
LARGEST_SCALE = 8.0  # of areas, against the first frame


@dataclass(frozen=True, eq=False)
class Camera:
    """Homographies between frames, which carry pixels (x, y, 1).

    `to_next` float64 [T - 1, 3, 3] carries frame t to t + 1, and `to_first` [T, 3, 3] to the first frame of its shot;
    both go on without motion where nothing is known. `reliable` bool [T - 1]: the motion from t to t + 1 is known.
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
    """Carry points `[n, 2]` by a homography `[3, 3]`, or by one each, `[n, 3, 3]`."""
    if matrices.ndim == 2:
        xyz = points @ matrices[:, :2].T + matrices[:, 2]
    else:
        xyz = (matrices[..., :2] @ points[..., None])[..., 0] + matrices[..., 2]
    return np.asarray(xyz[:, :2] / xyz[:, 2:])


def follow_camera(luma_THW: np.ndarray, shots: Sequence[Shot]) -> Camera:
    """Return the camera's motion in luma `float32 [T, H, W]`."""
    T, H, W = luma_THW.shape
    to_next, reliable = np.tile(np.eye(3), (max(0, T - 1), 1, 1)), np.zeros(max(0, T - 1), bool)
    to_first = np.tile(np.eye(3), (T, 1, 1))
    times = 2 if max(H, W) < SMALL else 1
    enlarge = np.array([[times, 0, (times - 1) / 2], [0, times, (times - 1) / 2], [0, 0, 1]])
    shrink = np.linalg.inv(enlarge)
    for shot in shots:
        follower = _Follower(_even(luma_THW[shot.start], times))
        for t in range(shot.start, shot.end):
            matrix, reliable[t] = follower.step(_even(luma_THW[t + 1], times))
            to_first[t + 1] = _unit(shrink @ matrix @ enlarge)
            to_next[t] = _unit(np.linalg.inv(to_first[t + 1]) @ to_first[t])
    corners = _corners(W, H)
    strayed = [np.abs(carry(matrix, corners) - corners).max() for matrix in to_first]
    return Camera(to_next, reliable, to_first, bool(max(strayed) > AGREES))


def _even(luma: np.ndarray, times: int) -> np.ndarray:
    """Return a frame in even light, `uint8`, enlarged: Lucas-Kanade takes changes of light for motion."""
    if times > 1:
        luma = cv2.resize(luma, None, fx=times, fy=times, interpolation=cv2.INTER_CUBIC)
    detail = luma - cv2.blur(luma, (BLUR, BLUR))
    gain = min(MOST_GAIN, CONTRAST / max(1e-3, float(detail.std())))
    return (detail * gain + 128).clip(0, 255).astype(np.uint8)


def _corners(width: int, height: int) -> np.ndarray:
    return np.array([[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]], dtype=float)


def _unit(matrix: np.ndarray) -> np.ndarray:
    return np.asarray(matrix / matrix[2, 2])


class _Follower:
    """Follows the corners of a key frame through a shot. Frames are as `_even` gives them."""

    def __init__(self, frame: np.ndarray):
        self._last, self._key_to_first = frame, np.eye(3)
        self._take_key()

    def _take_key(self) -> None:
        """Make the last frame the key frame."""
        self._key, self._matrix = self._last, np.eye(3)  # the key frame; from it to the last frame
        self._start = spread_corners(self._key)  # [n, 2] in the key frame
        self._now = self._start.copy()  # where they are, or should be, in the last frame
        self._trust = np.ones(len(self._start))  # 0..1, in each of them as a part of the scene
        self._found = np.ones(len(self._start), bool)

    def step(self, frame: np.ndarray) -> tuple[np.ndarray, bool]:
        """Return the homography from the next frame to the shot's first, and whether its motion is known."""
        known = self._follow(frame)
        if not known and self._key is not self._last:  # once more, from the frame just before
            self._key_to_first = self._to_first()
            self._take_key()
            known = self._follow(frame)
        self._last = frame
        to_first = self._to_first()
        if not known or (self._found & (self._trust > 0.5)).sum() < LEFT * len(self._start):
            self._key_to_first = to_first
            self._take_key()
        return to_first, known

    def _to_first(self) -> np.ndarray:
        return _unit(self._key_to_first @ np.linalg.inv(self._matrix))

    def _follow(self, frame: np.ndarray) -> bool:
        """Find the corners in the next frame, and the motion there, if it can be known."""
        if len(self._start) < FEWEST:
            return False
        moved, seen = _follow_points(self._last, frame, self._now, self._now, LEVELS)
        aligned, fits = _follow_points(self._key, frame, self._start, moved, 0)
        found = seen & fits & (np.abs(aligned - moved).max(axis=1) < ALIGNED)
        trusted = found & (self._trust > 0.5)
        if trusted.sum() < FEWEST:
            return False
        matrix = _agreed(self._start[trusted], aligned[trusted])
        still = np.eye(3)
        if not np.array_equal(matrix, still) and self._unlike(frame, still) < BETTER * self._unlike(frame, matrix):
            matrix = still
        expected = carry(matrix, self._start)
        agrees = found & (np.linalg.norm(expected - aligned, axis=1) < AGREES)
        if not (_says_enough(aligned[agrees], int(trusted.sum()), frame) and self._is_possible(matrix, frame)):
            return False
        self._matrix, self._found = matrix, found
        self._trust = np.where(found, MEMORY * self._trust + (1 - MEMORY) * agrees, self._trust)
        self._now = np.where(agrees[:, None], aligned, expected)
        return True

    def _unlike(self, frame: np.ndarray, matrix: np.ndarray) -> float:
        """Return how much a frame differs from the key frame carried there, in levels; large differences are alike."""
        seen = cv2.warpPerspective(self._key, matrix, frame.shape[::-1], borderMode=cv2.BORDER_REPLICATE)
        return float(np.minimum(cv2.absdiff(seen, frame), FAR).mean())

    def _is_possible(self, matrix: np.ndarray, frame: np.ndarray) -> bool:
        """Say whether a homography from the key frame keeps the frame's shape and size within limits."""
        height, width = frame.shape
        to_first = _unit(self._key_to_first @ np.linalg.inv(matrix))
        quad = carry(to_first, _corners(width, height)).astype(np.float32)
        scale = cv2.contourArea(quad, oriented=True) / (width * height)
        return bool(cv2.isContourConvex(quad) and 1 / LARGEST_SCALE < scale < LARGEST_SCALE)


def _says_enough(places: np.ndarray, of: int, frame: np.ndarray) -> bool:
    """Say whether corners that agree, `[n, 2]`, are enough of all of them and spread enough to stand for the scene."""
    if len(places) < max(FEWEST, SHARE * of):
        return False
    return bool(cv2.contourArea(cv2.convexHull(places.astype(np.float32))) > SPREAD * frame.size)


def spread_corners(frame: np.ndarray) -> np.ndarray:
    """Return corners `float32 [n, 2]` of a frame `uint8 [H, W]`, the best of every cell of it."""
    found = cv2.goodFeaturesToTrack(frame, CORNERS, 0.005, APART)
    points = np.zeros((0, 2), np.float32) if found is None else np.asarray(found, np.float32)[:, 0]
    cells = (points * CELLS / frame.shape[::-1]).astype(int) @ [1, CELLS]
    order = np.argsort(cells, kind="stable")
    rank = np.empty(len(points), int)
    rank[order] = np.arange(len(points)) - np.searchsorted(cells[order], cells[order])
    return points[rank < OF_A_CELL]


def _follow_points(
    a: np.ndarray, b: np.ndarray, start: np.ndarray, guess: np.ndarray, levels: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return where points `[n, 2]` of a are in b, and which of them are found `[n]`, looking from a guess on."""
    end, found, _ = cv2.calcOpticalFlowPyrLK(
        a,
        b,
        start.astype(np.float32, order="C").reshape(-1, 1, 2),
        guess.astype(np.float32, order="C").reshape(-1, 1, 2),
        winSize=(WINDOW, WINDOW),
        maxLevel=levels,
        flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
    )
    return np.asarray(end, np.float64)[:, 0], np.asarray(found, bool).ravel()


def _agreed(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Return the simplest homography on which nearly as many points `[n, 2]` agree as on any."""
    candidates = [_counted(np.eye(3), start, end)]
    if candidates[0][1] > SURELY * len(start):
        return np.eye(3)
    affine, _ = cv2.estimateAffinePartial2D(start, end, method=cv2.RANSAC, ransacReprojThreshold=AGREES)
    if affine is not None:
        candidates.append(_counted(np.concatenate([affine, [[0, 0, 1]]]), start, end))
    if len(start) >= FEWEST_FOR_HOMOGRAPHY:
        matrix, _ = cv2.findHomography(start, end, cv2.USAC_MAGSAC, AGREES)
        if matrix is not None and abs(np.linalg.det(matrix)) > 1e-3:
            candidates.append(_counted(_unit(matrix), start, end))
    most = max(count for _, count in candidates)
    return next(matrix for matrix, count in candidates if count >= SIMPLER * most)


def _counted(matrix: np.ndarray, start: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, int]:
    return matrix, int((np.linalg.norm(carry(matrix, start) - end, axis=1) < AGREES / 2).sum())
