"""View inconsistency: while the camera moves, what should be a rigid scene bends, sways or swims.

The motion of the picture in a coarse grid of cells is the median of what is followed well there, so that small things
that move do not count. What a moving camera does to a rigid scene is a similarity of the whole picture, and in each
cell something proportional to it, by how far off that part of the scene is (parallax). What is left in most cells is
motion that no camera explains. Water and other scenes that move by themselves have it as well.
"""

import itertools

import cv2
import numpy as np

from evaluation.evidence.clip import Evidence
from evaluation.evidence.shots import Shot
from evaluation.findings import Candidate, Finding, calibrated, unmeasurable

TYPE = "view_inconsistency"
CELLS = 6  # along the longer side
RATE = 15.0  # steps a second that are looked at
EVERY = 2  # pixels from point to point
CORNER, CORNER_NOISE = 8.0, 4.0  # levels, and times the noise: a point whose surroundings vary less cannot be followed
FOLLOWED, FEWEST_POINTS = 0.1, 6  # share, and number, of a cell's points that say how it moves
FEWEST_CELLS, MOSTLY = 6, 0.5  # cells that must be followed, and in which share of the steps
SHORTEST = 8  # frames
SMALLEST = 48  # pixels of the longer side: of a smaller picture, a thing that moves fills as many cells as the scene
TRAVEL = 0.05  # of the longer side: a camera that moves less shows the scene from one side only
ROUNDS, GIVE = 5, 0.2  # of the robust fit, and pixels by which a cell may be off without counting less
STIFF = (0.005, 0.01)  # of the fit of parallax: per step, and of what the camera moves
SMOOTH_SECONDS, WINDOW_SECONDS = 0.12, 0.3
PATTERN = (0.5, 4.0, 0.4)  # percent a second: what is added; what is usual; and how much swaying in one pattern counts
CELLS_OFF = 0.5  # the quantile of cells that stands for the scene
LEVEL = 0.85  # the quantile of the windows that stands for the clip
SURE = 7.0  # percent of the longer side a second that few rigid scenes are off by


def view_inconsistency(evidence: Evidence) -> Finding:
    """Find how far the scene moves against itself while the camera moves."""
    shot = max(evidence.shots, key=len)
    if len(shot) < SHORTEST:
        return unmeasurable(TYPE, f"fewer than {SHORTEST} frames show no scene from several sides", due=False)
    if max(evidence.luma.shape[1:]) < SMALLEST:
        return unmeasurable(TYPE, f"less than {SMALLEST} pixels tell no scene from what moves in it", due=False)
    stride = max(1, round(evidence.clip.fps / RATE))
    motion, known, places = cell_motion(evidence, shot, stride)
    followed = known.mean(axis=0) > MOSTLY
    if followed.sum() < FEWEST_CELLS:
        return unmeasurable(TYPE, "too little of the scene has texture that could be followed", due=False)
    motion, known, places = motion[:, followed], known[:, followed], places[followed]
    side = max(evidence.luma.shape[1:])
    camera = similarities(motion, known, places)
    path = np.cumsum(camera[:, :2] / side, axis=0)
    if stride * np.ptp(path, axis=0).max() + stride * np.ptp(np.cumsum(camera[:, 2] / side)) < TRAVEL:
        return unmeasurable(TYPE, "the camera hardly moves", due=False)
    against = (motion - np.einsum("cij,tj->tci", _basis(places), camera)) * known[..., None]
    rate = evidence.clip.fps / stride
    percent = evidence.clip.fps / side * 100
    pattern = percent * one_pattern(smooth(against, round(rate * SMOOTH_SECONDS)))
    off = smooth(unexplained(against, known, camera), round(rate * SMOOTH_SECONDS))
    speed = percent * np.linalg.norm(off, axis=2)  # of the longer side a second
    window = min(len(speed), max(3, round(rate * WINDOW_SECONDS)))
    most = np.quantile(speed, CELLS_OFF, axis=1)
    level = float(np.quantile(np.median(np.lib.stride_tricks.sliding_window_view(most, window), axis=1), LEVEL))
    strength = level / SURE * ((pattern + PATTERN[0]) / PATTERN[1]) ** PATTERN[2]
    begins = onset(most)
    start, end = min(shot.end, shot.start + begins * stride + 1), shot.end
    text = (
        f"From frame {start} on the scene moves against itself by {level:.1f} % of the picture's longer side a second, "
        f"which no motion of the camera explains."
    )
    box = _box(evidence, np.flatnonzero(followed), speed[begins:].mean(axis=0))
    return calibrated(TYPE, [Candidate(start, end, strength, text, box)])


def cell_motion(evidence: Evidence, shot: Shot, stride: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return how cells move every few frames, pixels a frame `[n, cells, 2]`, where that is known, and their places."""
    height, width = evidence.luma.shape[1:]
    rows, columns = _grid(height, width)
    y, x = (axis.ravel() for axis in np.mgrid[1 : height - 1 : EVERY, 1 : width - 1 : EVERY])
    cell = y * rows // height * columns + x * columns // width
    order = np.argsort(cell, kind="stable")
    y, x, members = y[order], x[order], np.bincount(cell, minlength=rows * columns)
    edges = np.concatenate([[0], np.cumsum(members)])
    steps = len(range(shot.start, shot.end, stride))
    motion, known = np.zeros((steps, len(members), 2)), np.zeros((steps, len(members)), bool)
    least = (CORNER + CORNER_NOISE * evidence.noise) ** 2 / 144
    for step in range(steps):
        t = shot.start + step * stride
        corner = cv2.cornerMinEigenVal(evidence.luma[t], 7, ksize=3)[y, x] > least
        good = corner & evidence.flow.consistent[t][y, x]
        flow = evidence.flow.forward[t][y, x]
        for number, (a, b) in enumerate(itertools.pairwise(edges)):
            chosen = flow[a:b][good[a:b]]
            if len(chosen) >= max(FEWEST_POINTS, FOLLOWED * (b - a)):
                motion[step, number], known[step, number] = np.median(chosen, axis=0), True
    places = np.stack(np.meshgrid((np.arange(columns) + 0.5) / columns, (np.arange(rows) + 0.5) / rows), axis=-1)
    return motion, known, (places.reshape(-1, 2) - 0.5) * [width, height] / max(width, height)


def similarities(motion: np.ndarray, known: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return the similarity that most cells follow in every step: shift x, y, zoom and turn, float `[n, 4]`."""
    basis = _basis(places)
    found = np.zeros((len(motion), 4))
    for step, (cells, there) in enumerate(zip(motion, known, strict=True)):
        if there.sum() < FEWEST_CELLS:
            continue
        weight = there.astype(float)
        for _ in range(ROUNDS):
            weighted = basis * weight[:, None, None]
            normal = np.einsum("cij,cik->jk", weighted, basis) + 1e-6 * np.eye(4)
            found[step] = np.linalg.solve(normal, np.einsum("cij,ci->j", weighted, cells))
            weight = there / (GIVE + np.linalg.norm(cells - basis @ found[step], axis=1))
    return found


def unexplained(against: np.ndarray, known: np.ndarray, camera: np.ndarray) -> np.ndarray:
    """Return what parallax does not explain of cells that move against the picture, pixels `[n, cells, 2]`."""
    off = against.copy()
    for number in range(off.shape[1]):
        there = known[:, number]
        moves = camera[there]
        stiff = (STIFF[0] * len(moves) + STIFF[1] * np.sum(moves**2)) * np.eye(4)
        off[there, number] -= moves @ np.linalg.solve(moves.T @ moves + stiff, moves.T @ off[there, number])
    return off


def one_pattern(against: np.ndarray) -> float:
    """Return how strongly all cells `[n, cells, 2]` move in one pattern that comes and goes, as what sways does."""
    flat = against.reshape(len(against), -1)
    values = np.linalg.svd(flat - flat.mean(axis=0), compute_uv=False)
    dominates = values[0] ** 2 / max(float(np.sum(values**2)), 1e-12)
    return float(values[0] * dominates / np.sqrt(against.shape[0] * against.shape[1]))


def smooth(motion: np.ndarray, width: int) -> np.ndarray:
    """Return motion `[n, cells, 2]` averaged over some steps."""
    kernel = np.ones(max(1, width)) / max(1, width)
    return np.apply_along_axis(lambda values: np.convolve(values, kernel, "same"), 0, motion)


def onset(values: np.ndarray) -> int:
    """Return where the mean of what follows exceeds that of what was before most clearly; 0 where it never does."""
    n = len(values)
    before = np.cumsum(values)[:-1] / np.arange(1, n)
    after = (values.sum() - np.cumsum(values)[:-1]) / np.arange(n - 1, 0, -1)
    clear = (after - before) * np.sqrt(np.arange(1, n) * np.arange(n - 1, 0, -1))
    return int(np.argmax(clear)) + 1 if clear.max(initial=0) > 0 else 0


def _basis(places: np.ndarray) -> np.ndarray:
    """Return what shift, zoom and turn do at places (x, y) from the middle, `[cells, 2, 4]`."""
    x, y = places.T
    one, none = np.ones_like(x), np.zeros_like(x)
    return np.stack([np.stack([one, none, x, -y], axis=1), np.stack([none, one, y, x], axis=1)], axis=1)


def _grid(height: int, width: int) -> tuple[int, int]:
    """Return into how many rows and columns of cells a picture is parted."""
    longer = max(height, width)
    return max(2, round(CELLS * height / longer)), max(2, round(CELLS * width / longer))


def _box(evidence: Evidence, cells: np.ndarray, speed: np.ndarray) -> tuple[int, int, int, int] | None:
    """Return the place of the cells that are off most, None where that is most of the picture."""
    height, width = evidence.luma.shape[1:]
    rows, columns = _grid(height, width)
    most = cells[speed >= 0.5 * speed.max()]
    y, x = np.divmod(most, columns)
    if np.ptp(x) + 1 > 0.7 * columns and np.ptp(y) + 1 > 0.7 * rows:
        return None
    across, down = width / columns, height / rows
    return evidence.box(x.min() * across, y.min() * down, (x.max() + 1) * across, (y.max() + 1) * down)
