"""View inconsistency: while the camera moves, what should be a rigid scene bends, sways or swims.

Points of the scene are followed a quarter of a second forwards and backwards. Half the sum of the two ways is how far a
point swerves: not at all where it rests or moves evenly, however near or far it is while the camera goes its way. The
camera's own swerve, and what that does to near and far things, is taken off. What is left is weighed: whether all of
the scene has it, in one pattern, from a moment on, and how much there is beside even motion. Water, leaves and crowds
swerve as well, but from the first frame on, and each part in its own way. What bends as a whole is weighed once more,
by what most of the scene does (`bending`).
"""

from dataclasses import dataclass

import cv2
import numpy as np

from evaluation.consistency import bending
from evaluation.evidence.clip import Evidence
from evaluation.evidence.flow import sample
from evaluation.evidence.shots import Shot
from evaluation.findings import Candidate, Finding, calibrated, unmeasurable

TYPE = "view_inconsistency"
CELLS, EVERY = 10, 3  # cells along the longer side; pixels from point to point
REACH_SECONDS, LEAST_REACH = 0.25, 2  # how far points are followed each way, and in frames at least
RATE = 8.0  # moments a second that are looked at
CORNER, CORNER_NOISE = 8.0, 4.0  # levels, and times the noise: a point whose surroundings vary less cannot be followed
FOLLOWED, FEWEST_POINTS = 0.12, 4  # share, and number, of a cell's points that say how it moves
FEWEST_CELLS, MOSTLY = 12, 0.4  # cells that must be followed, and in which share of the moments
SHORTEST, MOMENTS = 8, 4  # frames, and moments
SMALLEST = 48  # pixels of the longer side: of a smaller picture, a thing that moves fills as many cells as the scene
TRAVEL = 5.0  # % of the longer side: a camera that moves less shows the scene from one side only
ROUNDS, GIVE = 4, 0.3  # of the robust fit of the camera, and % by which a cell may be off without counting less
STIFF = (0.3, 0.1)  # of the fit of what the camera's swerve does to near and far cells
NOTHING, MOST_SWERVE = 0.15, 2.0  # % of the longer side: what following leaves; more are things that move
CLEAR, MOST = 0.5, 0.9  # share of its largest from which a swerve is clear; the quantile that stands for the largest
MOST_STEP, BEGUN = 1.0, 0.3  # % that a cell may be off by from frame to frame; share of the pace that is a beginning
# Of the log odds that a scene is not rigid; fitted to real clips of the half `dev` and to ones of the family `paper`.
WEIGHTS = {"everywhere": 1.4, "one pattern": 7.0, "lasts": 1.1, "begins": 1.6, "beside even motion": 1.2}
BIAS, SURE = 0.2, 2.5  # the last: log odds at which a strength is 1, which few faultless clips have


@dataclass(frozen=True, eq=False)
class Followed:
    """How cells of a shot are followed around n moments, in % of the picture's longer side.

    `swerve` and `even` float [n, cells, 2]: half the sum, and half the difference, of the ways to `reach` frames later
    and earlier, without the camera's; `known` bool [n, cells]. `camera` [n, 2]: the camera's swerve, x and y. `travel`:
    how far the camera moves.
    """

    frames: np.ndarray
    reach: int
    swerve: np.ndarray
    even: np.ndarray
    known: np.ndarray
    camera: np.ndarray
    travel: float


def view_inconsistency(evidence: Evidence) -> Finding:
    """Find how far the scene moves against itself while the camera moves."""
    shot = max(evidence.shots, key=len)
    if len(shot) < SHORTEST:
        return unmeasurable(TYPE, f"fewer than {SHORTEST} frames show no scene from several sides", due=False)
    if max(evidence.luma.shape[1:]) < SMALLEST:
        return unmeasurable(TYPE, f"less than {SMALLEST} pixels tell no scene from what moves in it", due=False)
    cells = Cells(evidence)
    seen = follow_cells(cells, shot)
    followed = seen.known.mean(axis=0) > MOSTLY
    moments = seen.known[:, followed].sum(axis=1) >= FEWEST_CELLS
    if moments.sum() < MOMENTS:
        return unmeasurable(TYPE, "too little of the scene has texture that could be followed", due=False)
    if seen.travel < TRAVEL:
        return unmeasurable(TYPE, "the camera hardly moves", due=False)
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
    box = _box(evidence, np.flatnonzero(followed), np.nan_to_num(late).mean(axis=0))
    return calibrated(TYPE, [Candidate(start, shot.end, float(np.logaddexp(0.0, odds)) / SURE, text, box)])


class Cells:
    """The points of a grid over a clip's picture that are followed, cell by cell; motion is in % of its longer side."""

    def __init__(self, evidence: Evidence):
        height, width = evidence.luma.shape[1:]
        rows, columns = _grid(height, width)
        y, x = (axis.ravel() for axis in np.mgrid[1 : height - 1 : EVERY, 1 : width - 1 : EVERY])
        self.evidence, self.side, self.number = evidence, max(height, width), rows * columns
        self._points = np.stack([x, y], axis=-1)
        self._members = _members(y * rows // height * columns + x * columns // width, self.number)
        self._there = self._members >= 0
        count = self._there.sum(axis=1)
        places = (self._points - [width / 2, height / 2]) / self.side
        middles = (places[self._members] * self._there[..., None]).sum(axis=1) / count[:, None].clip(1)
        self._of_points, self._of_cells = _basis(places), _basis(middles)
        self._enough = np.maximum(FEWEST_POINTS, FOLLOWED * count)
        self._texture = (CORNER + CORNER_NOISE * evidence.noise) ** 2 / 144

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

    def beside(self, motion: np.ndarray, good: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return in which cells motion is known, what most points do there beside the camera, and the camera's."""
        chosen = good[self._members] & self._there
        known = chosen.sum(axis=1) >= self._enough
        if known.sum() < FEWEST_CELLS:
            return np.zeros_like(known), np.zeros((self.number, 2)), np.zeros(8)
        camera = fit(self._of_cells, _medians(motion[self._members], chosen), known)
        left = _medians((motion - self._of_points @ camera)[self._members], chosen)
        return known, np.where(known[:, None], left, 0), camera


def follow_cells(cells: Cells, shot: Shot) -> Followed:
    """Follow points of a shot from some moments both ways, and tell what most points of each cell do."""
    fps = cells.evidence.clip.fps
    reach = max(LEAST_REACH, min(round(REACH_SECONDS * fps), (len(shot) - MOMENTS) // 2))
    frames = np.arange(shot.start + reach, shot.end - reach + 1, max(1, round(fps / RATE)))
    n = len(frames)
    swerve, even = np.zeros((n, cells.number, 2)), np.zeros((n, cells.number, 2))
    known, camera, pace = np.zeros((n, cells.number), bool), np.zeros((n, 8)), np.zeros((n, 8))
    for i, t in enumerate(frames.tolist()):
        there, found = cells.follow(range(t, t + reach), forwards=True)
        back, again = cells.follow(range(t - 1, t - reach - 1, -1), forwards=False)
        good = found & again & cells.textured(t)
        known[i], swerve[i], camera[i] = cells.beside((there + back) / 2, good)
        known[i], even[i], pace[i] = cells.beside((there - back) / 2, good)
    went = np.ptp(np.cumsum(pace, axis=0), axis=0) * max(1, round(fps / RATE)) / reach if n else np.zeros(8)
    return Followed(frames, reach, swerve, even, known, camera[:, :2], float(max(went[:2]) + went[2]))


def fit(basis: np.ndarray, motion: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return the camera that most cells follow, of what `_basis` has: `[8]`."""
    found, weight = np.zeros(8), known.astype(float)
    motion = np.where(known[:, None], motion, 0).ravel()
    flat, stiff = basis.reshape(-1, 8), np.diag([1e-9, 1e-9, *[1e-5] * 6])
    for _ in range(ROUNDS):
        weighted = flat * np.repeat(weight, 2)[:, None]
        found = np.linalg.solve(weighted.T @ flat + stiff * weight.sum(), weighted.T @ motion)
        off = (motion - flat @ found).reshape(-1, 2)
        weight = known / (GIVE**2 + off[:, 0] ** 2 + off[:, 1] ** 2)
    return found


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


def _grid(height: int, width: int) -> tuple[int, int]:
    """Return into how many rows and columns of cells a picture is parted."""
    longer = max(height, width)
    return max(2, round(CELLS * height / longer)), max(2, round(CELLS * width / longer))


def _box(evidence: Evidence, cells: np.ndarray, swerve: np.ndarray) -> tuple[int, int, int, int] | None:
    """Return the place of the cells that swerve most, None where that is most of the picture."""
    height, width = evidence.luma.shape[1:]
    rows, columns = _grid(height, width)
    most = cells[swerve >= 0.5 * swerve.max()]
    y, x = np.divmod(most, columns)
    if np.ptp(x) + 1 > 0.7 * columns and np.ptp(y) + 1 > 0.7 * rows:
        return None
    across, down = width / columns, height / rows
    return evidence.box(x.min() * across, y.min() * down, (x.max() + 1) * across, (y.max() + 1) * down)
