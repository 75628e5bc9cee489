"""View inconsistency: while the camera moves, what should be a rigid scene bends, sways or swims.

Points of the scene are followed a quarter of a second forwards and backwards. Half the sum of the two ways is how far a
point swerves: not at all where it rests or moves evenly, however near or far it is while the camera goes its way. The
camera's own swerve, and what that does to near and far things, is taken off. What is left is weighed: whether all of
the scene has it, in one pattern, from a moment on, and how much there is beside even motion. Water, leaves and crowds
swerve as well, but from the first frame on, and each part in its own way. What bends as a whole is weighed once more,
by what most of the scene does (`bending`). Of straight edges, which need no texture, it is asked whether they bend
(`edges`), and of things that rest whether they shift with the camera (`shifting`).
"""

import numpy as np

from evaluation.consistency import bending
from evaluation.consistency.cells import FEWEST_CELLS, MOMENTS, Cells, Followed, follow_cells, grid
from evaluation.consistency.edges import Bent, find_bent_edges
from evaluation.consistency.shifting import Shift, find_shifts
from evaluation.evidence.clip import Evidence
from evaluation.evidence.shots import Shot
from evaluation.findings import Candidate, Finding, calibrated, unmeasurable

TYPE = "view_inconsistency"
MOSTLY = 0.4  # of the moments, in which a cell must be followed
SHORTEST = 8  # frames
SMALLEST = 48  # pixels of the longer side: of a smaller picture, a thing that moves fills as many cells as the scene
TRAVEL = 5.0  # % of the longer side: a camera that moves less shows the scene from one side only
STIFF = (0.3, 0.1)  # of the fit of what the camera's swerve does to near and far cells
NOTHING, MOST_SWERVE = 0.15, 2.0  # % of the longer side: what following leaves; more are things that move
CLEAR, MOST = 0.5, 0.9  # share of its largest from which a swerve is clear; the quantile that stands for the largest
MOST_STEP, BEGUN = 1.0, 0.3  # % that a cell may be off by from frame to frame; share of the pace that is a beginning
# Of the log odds that a scene is not rigid; fitted to real clips of the half `dev` and to ones of the family `paper`.
WEIGHTS = {"everywhere": 1.4, "one pattern": 7.0, "lasts": 1.1, "begins": 1.6, "beside even motion": 1.2}
BIAS, SURE = 0.2, 2.5  # the last: log odds at which a strength is 1, which few faultless clips have
SHARP, RARE = 2.5, 1.1  # log odds of a thing that shifts, for one more of how clearly it does; where they are even
EDGE_SHARP, EDGE_RARE = 2.2, -0.9  # the same of an edge that bends, for one more of the log of how far


def view_inconsistency(evidence: Evidence) -> Finding:
    """Find how far the scene moves against itself while the camera moves, and still things that shift with the view."""
    shot = max(evidence.shots, key=len)
    if len(shot) < SHORTEST:
        return unmeasurable(TYPE, f"fewer than {SHORTEST} frames show no scene from several sides", due=False)
    if max(evidence.luma.shape[1:]) < SMALLEST:
        return unmeasurable(TYPE, f"less than {SMALLEST} pixels tell no scene from what moves in it", due=False)
    cells = Cells(evidence)
    seen = follow_cells(cells, shot)
    scene = _of_scene(cells, shot, seen)
    parts = [_of_shift(evidence, shift) for shift in find_shifts(evidence, seen)]
    parts += [_of_edge(edge, shot) for edge in find_bent_edges(evidence, shot)]
    if isinstance(scene, str):
        return calibrated(TYPE, parts) if parts else unmeasurable(TYPE, scene, due=False)
    return calibrated(TYPE, [scene, *parts])


def _of_shift(evidence: Evidence, shift: Shift) -> Candidate:
    text = (
        f"From frame {shift.start} on a thing that rested moves by {shift.far:.0f} % of the picture's longer side, as "
        "the camera does, and not as what is nearer or farther seems to."
    )
    boxes = shift.track.boxes[shift.start - shift.track.start :]
    place = evidence.box(*boxes[:, :2].min(axis=0), *boxes[:, 2:].max(axis=0))
    return Candidate(shift.start, shift.track.end, strength(SHARP * (shift.clearly - RARE)), text, place)


def _of_edge(edge: Bent, shot: Shot) -> Candidate:
    text = (
        f"From frame {edge.start} on an edge of the scene that was straight bends by up to {edge.far:.1f} % of the "
        "picture's longer side, which no motion of the camera does."
    )
    return Candidate(edge.start, shot.end, strength(EDGE_SHARP * (edge.strength - EDGE_RARE)), text)


def strength(odds: float) -> float:
    """Return the strength of log odds: 0 and more, 1 at `SURE`."""
    return float(np.logaddexp(0.0, odds)) / SURE


def _of_scene(cells: Cells, shot: Shot, seen: Followed) -> Candidate | str:
    """Return how far a shot's scene moves against itself, or why that cannot be told."""
    followed = seen.known.mean(axis=0) > MOSTLY
    moments = seen.known[:, followed].sum(axis=1) >= FEWEST_CELLS
    if moments.sum() < MOMENTS:
        return "too little of the scene has texture that could be followed"
    if seen.travel < TRAVEL:
        return "the camera hardly moves"
    swerve = beside_camera(seen.swerve, seen.known, seen.camera)
    length = np.where(seen.known, np.linalg.norm(swerve, axis=2), np.nan)
    swerve *= ((MOST_SWERVE / np.fmax(length, MOST_SWERVE)) * followed * moments[:, None])[..., None]
    chosen = np.ix_(moments, followed)
    measured = measure(swerve[chosen], np.minimum(length[chosen], MOST_SWERVE), seen.even[chosen])
    bent = bending.measure(measured, swerve[chosen], seen.even[chosen], seen.known[chosen], float(followed.mean()))
    odds = np.logaddexp(
        BIAS + sum(weight * measured[name] for name, weight in WEIGHTS.items()),
        bending.BIAS + sum(weight * bent[name] for name, weight in bending.WEIGHTS.items()),
    )
    start = begun(cells, shot, seen, swerve)
    late = length[seen.frames >= min(start, seen.frames[moments][-1])][:, followed]
    text = (
        f"From frame {start} on the scene swerves against itself by up to {np.nanquantile(late, MOST):.1f} % of the "
        f"picture's longer side within {2 * seen.reach + 1} frames, which no motion of the camera explains."
    )
    box = _box(cells.evidence, np.flatnonzero(followed), np.nan_to_num(late).mean(axis=0))
    return Candidate(start, shot.end, strength(float(odds)), text, box)


def beside_camera(swerve: np.ndarray, known: np.ndarray, camera: np.ndarray) -> np.ndarray:
    """Return the swerve of cells without what the camera's, `[n, 2]`, does to near and far ones, `[n, cells, 2]`.

    Nothing is so near that it swerves by more than twice what most of the scene does.
    """
    left = swerve.copy()
    for cell in range(swerve.shape[1]):
        there = known[:, cell]
        moves = camera[there]
        stiff = (STIFF[0] * len(moves) + STIFF[1] * np.sum(moves**2) + 1e-9) * np.eye(2)
        by_depth = np.linalg.solve(moves.T @ moves + stiff, moves.T @ swerve[there, cell])
        left[there, cell] -= moves @ (by_depth / max(1.0, np.abs(by_depth).max()))
    return left


def measure(swerve: np.ndarray, length: np.ndarray, even: np.ndarray) -> dict[str, float]:
    """Return what is weighed, by name; `length` `[n, cells]` is that of the swerve, nan where it is not known."""
    n, cells = length.shape
    flat = swerve.reshape(n, -1)
    moments, values, patterns = np.linalg.svd(flat, full_matrices=False)
    share = np.sum(patterns[0].reshape(cells, 2) ** 2, axis=1)  # of the strongest pattern that is each cell's
    usual = np.nanmedian(length, axis=1)
    begins = onset(usual)
    before = usual[:begins].mean() if begins else usual.mean()
    moves = share @ np.sum(even**2, axis=2).sum(axis=0) / n
    return {
        "everywhere": float(np.log(NOTHING + np.quantile(np.nanquantile(length, 0.25, axis=1), 0.85))),
        "one pattern": float(values[0] ** 2 / (np.sum(values**2) + NOTHING**2 * length.size)),
        "lasts": -float(np.log(n * np.sum(moments[:, 0] ** 4))),  # of the pattern: 0 if all the time, else less
        "begins": float(np.log((usual[begins:].mean() + NOTHING) / (before + NOTHING))),
        "beside even motion": float(np.log((share @ np.nansum(length**2, axis=0) / n + 0.02) / (moves + 0.02)) / 2),
    }


def begun(cells: Cells, shot: Shot, seen: Followed, swerve: np.ndarray) -> int:
    """Return the first frame that is off in the strongest pattern of a swerve `[n, cells, 2]` of a shot.

    About the moment in which the pattern is clear, it is looked for from each frame to the next.
    """
    strength, _, patterns = np.linalg.svd(swerve.reshape(len(swerve), -1), full_matrices=False)
    size = np.abs(strength[:, 0])
    clear = int(seen.frames[np.argmax(size >= CLEAR * np.quantile(size, MOST))])
    first, last = max(shot.start, clear - seen.reach - 2), min(shot.end, clear + 2 * seen.reach)
    pace = []
    for t in range(first, last):
        motion, found = cells.follow(range(t, t + 1), forwards=True)
        moved = cells.beside(motion, found & cells.textured(t))[1]
        moved /= np.maximum(np.linalg.norm(moved, axis=1), MOST_STEP)[:, None]
        pace.append(abs(float(np.sum(moved * patterns[0].reshape(-1, 2)))))
    return first + 1 + int(np.argmax(pace >= BEGUN * np.quantile(pace, MOST)))


def onset(values: np.ndarray) -> int:
    """Return where the mean of what follows exceeds that of what was before most clearly; 0 where it never does."""
    n = len(values)
    before = np.cumsum(values)[:-1] / np.arange(1, n)
    after = (values.sum() - np.cumsum(values)[:-1]) / np.arange(n - 1, 0, -1)
    clear = (after - before) * np.sqrt(np.arange(1, n) * np.arange(n - 1, 0, -1))
    return int(np.argmax(clear)) + 1 if clear.max(initial=0) > 0 else 0


def _box(evidence: Evidence, cells: np.ndarray, swerve: np.ndarray) -> tuple[int, int, int, int] | None:
    """Return the place of the cells that swerve most, None where that is most of the picture."""
    height, width = evidence.luma.shape[1:]
    rows, columns = grid(height, width)
    most = cells[swerve >= 0.5 * swerve.max()]
    y, x = np.divmod(most, columns)
    if np.ptp(x) + 1 > 0.7 * columns and np.ptp(y) + 1 > 0.7 * rows:
        return None
    across, down = width / columns, height / rows
    return evidence.box(x.min() * across, y.min() * down, (x.max() + 1) * across, (y.max() + 1) * down)
