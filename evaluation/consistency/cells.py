"""The cells of a picture, and how what they show moves beside the camera, a while forwards and backwards.

Motion is in % of the picture's longer side.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from evaluation.evidence.clip import Evidence
from evaluation.evidence.flow import sample
from evaluation.evidence.shots import Shot

CELLS, EVERY = 10, 3  # cells along the longer side; pixels from point to point
REACH_SECONDS, LEAST_REACH = 0.25, 2  # how far points are followed each way, and in frames at least
RATE = 8.0  # moments a second that are looked at
CORNER, CORNER_NOISE = 8.0, 4.0  # levels, and times the noise: a point whose surroundings vary less cannot be followed
SHIFTS = 3  # of what `_basis` has, the ones that the camera's way does to a thing the more, the nearer it is
FOLLOWED, FEWEST_POINTS = 0.12, 4  # share, and number, of a cell's points that say how it moves
ROUNDS, GIVE = 4, 0.3  # of the robust fit of the camera, and % by which a cell may be off without counting less
FEWEST_CELLS = 12  # that must be followed
MOMENTS = 4  # that must be looked at


@dataclass(frozen=True, eq=False)
class Followed:
    """How cells of a shot are followed around n moments, in % of the picture's longer side.

    `swerve` and `even` float [n, cells, 2]: half the sum, and half the difference, of the ways to `reach` frames later
    and earlier, without the camera's; `known` bool [n, cells]. `camera` [n, 2]: the camera's swerve, x and y. `motion`
    [n, k]: its even motion, of what `_basis` has, and then, where it is told how `near` the pixels are (`[h, w]` a
    moment, else None), of what it does to the near. `travel`: how far the camera moves.
    """

    frames: np.ndarray
    reach: int
    swerve: np.ndarray
    even: np.ndarray
    known: np.ndarray
    camera: np.ndarray
    motion: np.ndarray
    near: Sequence[np.ndarray | None]
    travel: float

    def carried(self, frames: np.ndarray, places: np.ndarray, near: np.ndarray) -> np.ndarray:
        """Return how far the camera moves what is still and as near as `near` `[n]` since the first of some frames.

        `places` are `[n, 2]` from the middle, over the longer side; how far, `[n, 2]`, is in %.
        """
        motion = np.stack([np.interp(frames, self.frames, part) for part in self.motion.T], axis=1) / self.reach
        pace = np.einsum("nck,nk->nc", np.concatenate([_basis(places), _shifts(_basis(places), near)], axis=2), motion)
        steps = (pace[1:] + pace[:-1]) / 2 * np.diff(frames)[:, None]
        return np.concatenate([np.zeros((1, 2)), np.cumsum(steps, axis=0)])


class Cells:
    """The points of a grid over a clip's picture that are followed, cell by cell; motion is in % of its longer side."""

    def __init__(self, evidence: Evidence):
        height, width = evidence.luma.shape[1:]
        rows, columns = grid(height, width)
        y, x = (axis.ravel() for axis in np.mgrid[1 : height - 1 : EVERY, 1 : width - 1 : EVERY])
        self.evidence, self.side, self.number = evidence, max(height, width), rows * columns
        self._points = np.stack([x, y], axis=-1)
        self._members = _members(y * rows // height * columns + x * columns // width, self.number)
        self._there = self._members >= 0
        self._count = self._there.sum(axis=1)
        places = (self._points - [width / 2, height / 2]) / self.side
        self._of_points, self._of_cells = _basis(places), _basis(self._means(places))
        self._enough = np.maximum(FEWEST_POINTS, FOLLOWED * self._count)
        self._texture = (CORNER + CORNER_NOISE * evidence.noise) ** 2 / 144

    def _means(self, values: np.ndarray) -> np.ndarray:
        """Return the mean over each cell's points of `[points, ...]`, `[cells, ...]`."""
        axes = (..., *[None] * (values.ndim - 1))
        total = (values[self._members] * self._there[axes]).sum(axis=1)
        return np.asarray(total / self._count.clip(1)[axes])

    def textured(self, t: int) -> np.ndarray:
        """Say of each point whether it can be followed from frame t, `bool [points]`."""
        x, y = self._points.T
        return np.asarray(cv2.cornerMinEigenVal(self.evidence.luma[t], 7, ksize=3)[y, x] > self._texture)

    def follow(self, steps: range, *, forwards: bool) -> tuple[np.ndarray, np.ndarray]:
        """Return how points move over some steps of the flow, `[points, 2]`, and which are followed all the way."""
        flow, consistent = self.evidence.flow, self.evidence.flow.consistent
        height, width = self.evidence.luma.shape[1:]
        last = np.array([width - 1, height - 1], np.float32)
        start = self._points.astype(np.float32)
        at, found = start, np.ones(len(start), bool)
        for t in steps:
            x, y = np.rint(at).astype(int).T
            if not forwards:
                found &= consistent[t, y, x]
            moved = at + sample((flow.forward if forwards else flow.backward)[t], at[:, None])[:, 0]
            at = np.clip(moved, 0, last)
            found &= (at == moved).all(axis=1)
            if forwards:
                x, y = np.rint(at).astype(int).T
                found &= consistent[t, y, x]
        return (at - start) * (100 / self.side), found

    def beside(
        self, motion: np.ndarray, good: np.ndarray, near: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return in which cells motion is known, what most points do there beside the camera, and the camera's.

        Where it is told how `near` the pixels are, `[h, w]`, what a camera's way shifts by that is its motion as well.
        """
        chosen = good[self._members] & self._there
        known = chosen.sum(axis=1) >= self._enough
        of_points, of_cells = self._of_points, self._of_cells
        if near is not None:
            x, y = self._points.T
            shifts = _shifts(of_points, near[y, x])
            of_points = np.concatenate([of_points, shifts], axis=2)
            of_cells = np.concatenate([of_cells, self._means(shifts)], axis=2)
        if known.sum() < FEWEST_CELLS:
            return np.zeros_like(known), np.zeros((self.number, 2)), np.zeros(of_cells.shape[2])
        camera = fit(of_cells, _medians(motion[self._members], chosen), known)
        left = _medians((motion - of_points @ camera)[self._members], chosen)
        return known, np.where(known[:, None], left, 0), camera


def follow_cells(cells: Cells, shot: Shot) -> Followed:
    """Follow points of a shot from some moments both ways, and tell what most points of each cell do."""
    fps = cells.evidence.clip.fps
    reach = max(LEAST_REACH, min(round(REACH_SECONDS * fps), (len(shot) - MOMENTS) // 2))
    frames = np.arange(shot.start + reach, shot.end - reach + 1, max(1, round(fps / RATE)))
    n = len(frames)
    near = _nearness(cells.evidence, frames)
    swerve, even = np.zeros((n, cells.number, 2)), np.zeros((n, cells.number, 2))
    known, camera, pace = np.zeros((n, cells.number), bool), [], []
    for i, t in enumerate(frames.tolist()):
        there, found = cells.follow(range(t, t + reach), forwards=True)
        back, again = cells.follow(range(t - 1, t - reach - 1, -1), forwards=False)
        good = found & again & cells.textured(t)
        known[i], swerve[i], of_camera = cells.beside((there + back) / 2, good, near[i])
        known[i], even[i], of_pace = cells.beside((there - back) / 2, good, near[i])
        camera.append(of_camera[:2])
        pace.append(of_pace)
    motion = np.array(pace) if n else np.zeros((1, 8))
    went = np.ptp(np.cumsum(motion[:, :3], axis=0), axis=0) * max(1, round(fps / RATE)) / reach
    travel = float(max(went[:2]) + went[2])
    return Followed(frames, reach, swerve, even, known, np.array(camera), motion, near, travel)


def _nearness(evidence: Evidence, frames: np.ndarray) -> Sequence[np.ndarray | None]:
    """Return how near the pixels of some frames are, `[h, w]` each; None where no network tells it."""
    if not evidence.backends.depth or not len(frames):
        return [None] * len(frames)
    from evaluation.backends import depth  # brings in torch

    return list(depth.nearness(evidence, frames))


def fit(basis: np.ndarray, motion: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return the camera that most cells follow, of what `basis` `[cells, 2, k]` has: `[k]`."""
    k = basis.shape[2]
    found, weight = np.zeros(k), known.astype(float)
    motion = np.where(known[:, None], motion, 0).ravel()
    flat, stiff = basis.reshape(-1, k), np.diag([1e-9, 1e-9, *[1e-5] * (k - 2)])
    for _ in range(ROUNDS):
        weighted = flat * np.repeat(weight, 2)[:, None]
        found = np.linalg.solve(weighted.T @ flat + stiff * weight.sum(), weighted.T @ motion)
        off = (motion - flat @ found).reshape(-1, 2)
        weight = known / (GIVE**2 + off[:, 0] ** 2 + off[:, 1] ** 2)
    return found


def _medians(values: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Return the median over the chosen ones of `[cells, members, k]`, infinite where none is, `[cells, k]`."""
    ordered = np.sort(np.where(chosen[..., None], values, np.inf), axis=1)
    middle = np.maximum(chosen.sum(axis=1) - 1, 0) // 2
    return np.asarray(ordered[np.arange(len(values)), middle])


def _members(cell: np.ndarray, cells: int) -> np.ndarray:
    """Return which points each cell has, `[cells, most]`, -1 for none."""
    counts = np.bincount(cell, minlength=cells)
    order = np.argsort(cell, kind="stable")
    rank = np.arange(len(cell)) - np.repeat(np.cumsum(counts) - counts, counts)
    found = np.full((cells, counts.max()), -1)
    found[cell[order], rank] = order
    return found


def _basis(places: np.ndarray) -> np.ndarray:
    """Return what a camera does at places (x, y) from the middle: shift, zoom, turn, shear, tilt; `[n, 2, 8]`."""
    x, y = places.T
    one, none = np.ones_like(x), np.zeros_like(x)
    across, down = ([one, none, x, -y, x, y, x * x, x * y], [none, one, y, x, -y, x, x * y, y * y])
    return np.stack([np.stack(across, axis=1), np.stack(down, axis=1)], axis=1)


def _shifts(basis: np.ndarray, near: np.ndarray) -> np.ndarray:
    """Return what a camera's way does to what is near `[n]`, of what `basis` `[n, 2, 8]` has: `[n, 2, SHIFTS]`."""
    return np.asarray(basis[:, :, :SHIFTS] * near[:, None, None])


def grid(height: int, width: int) -> tuple[int, int]:
    """Return into how many rows and columns of cells a picture is parted."""
    longer = max(height, width)
    return max(2, round(CELLS * height / longer)), max(2, round(CELLS * width / longer))
