"""Whether all of a scene bends: the pattern that most of it follows; things that move on their own count little.

It is looked for in how cells of the picture swerve and, as slow waves hardly swerve, in how their even motion changes.
Motion is in % of the picture's longer side.
"""

from collections.abc import Mapping

import numpy as np

OTHERWISE, ROUGHLY = 0.3, 4.0  # % by which a cell follows another pattern, and times as much at first
TURNS, STIFFNESS, FAINT, MOST_CHANGE = 12, 1e-3, 0.05, 4.0  # of the fit of a pattern; % of the longer side
# Of the log odds that all of a scene bends; fitted by `benchmarks.fit_weights` to clips of paper, clay and footage.
WEIGHTS = {
    "swerves": 1.4,
    "swerves all over": 1.1,
    "changes": 0.9,
    "changes all over": 1.6,
    "one pattern": 8.5,
    "lasts": 0.6,
    "begins": 1.7,
}
BIAS = 2.1


def measure(
    of_swerve: Mapping[str, float], swerve: np.ndarray, even: np.ndarray, known: np.ndarray, followed: float
) -> dict[str, float]:
    """Return what is weighed, by name.

    Args:
        of_swerve: what is measured of the swerve itself.
        swerve: of the cells that are followed, `[n, cells, 2]`.
        even: their even motion, as large.
        known: where both are known, `bool [n, cells]`.
        followed: the share of the picture's cells that they are.
    """
    swerves, all_over = strength_and_spread(swerve, known)
    changes, changes_all_over = strength_and_spread(_changes(even, known), known)
    return {
        "swerves": swerves,
        "swerves all over": all_over + float(np.log(followed)),
        "changes": changes,
        "changes all over": changes_all_over + float(np.log(followed)),
    } | {name: of_swerve[name] for name in ("one pattern", "lasts", "begins")}


def strength_and_spread(motion: np.ndarray, known: np.ndarray) -> tuple[float, float]:
    """Return how strongly most cells move in one pattern, in log of %, and over how many: 0 if all alike, else less.

    `motion` `[n, cells, 2]`; the pattern is found by weighted least squares in turns, under Cauchy's weights: what
    moves by more and otherwise weighs little.
    """
    n, cells, _ = motion.shape
    weight = known / (1 + np.sum(motion**2, axis=2) / (ROUGHLY * OTHERWISE) ** 2)
    pattern = np.linalg.svd((motion * weight[..., None]).reshape(n, -1), full_matrices=False)[2][0].reshape(cells, 2)
    course = np.zeros(n)
    for _ in range(TURNS):
        stiff = STIFFNESS * np.sum(pattern**2) + 1e-12
        course = np.einsum("tc,tck,ck->t", weight, motion, pattern) / (weight @ np.sum(pattern**2, axis=1) + stiff)
        stiff = STIFFNESS * np.sum(course**2) + 1e-9
        pattern = np.einsum("tc,t,tck->ck", weight, course, motion) / (course**2 @ weight + stiff)[:, None]
        weight = known / (1 + np.sum((motion - course[:, None, None] * pattern) ** 2, axis=2) / OTHERWISE**2)
    length = np.linalg.norm(pattern, axis=1)
    strong = np.quantile(np.abs(course), 0.85) * np.quantile(length, 0.4)
    share = length**2 / (np.sum(length**2) + 1e-12)
    return float(np.log(FAINT + strong)), -float(np.log(cells * np.sum(share**2) + 1e-9))


def _changes(even: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return how far each cell's even motion `[n, cells, 2]` is other than it mostly is, 0 where it is not known."""
    usual = np.nanmedian(np.where(known[..., None], even, np.nan), axis=0)
    change = np.where(known[..., None], even - usual, 0)
    return np.asarray(change * (MOST_CHANGE / np.fmax(np.linalg.norm(change, axis=2, keepdims=True), MOST_CHANGE)))
