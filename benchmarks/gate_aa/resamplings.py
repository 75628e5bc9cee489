"""Which test of a mean difference holds its level with few clusters, skewed scores, and scores of 0 and 1."""

from collections.abc import Callable, Iterator

import numpy as np
from scipy import stats
from scipy.special import ndtr, ndtri

from evaluation.gate.resampling import bounds, chance_of

DRAWS = 4000
Test = Callable[[np.ndarray, float], np.ndarray]


def equal(rng: np.random.Generator, runs: int, n: int) -> Iterator[tuple[str, np.ndarray]]:
    """Yield differences between equal models, `[runs, n]`, of several kinds."""
    yield "bell-shaped scores", rng.normal(0, 0.2, (runs, n))
    yield "skewed scores", rng.beta(0.5, 2, (runs, n)) - rng.beta(0.5, 2, (runs, n))
    yield "0 or 1, half right", (rng.random((runs, n)) < 0.5) * 1.0 - (rng.random((runs, n)) < 0.5)
    yield "0 or 1, one in ten wrong", (rng.random((runs, n)) < 0.1) * 1.0 - (rng.random((runs, n)) < 0.1)
    hard = rng.beta(0.7, 0.7, (runs, n, 1))
    both = [rng.random((runs, n, 2)) < hard for _ in range(2)]
    yield "0 or 1, hard prompts, two seeds", (both[0] * 1.0 - both[1]).mean(axis=2)


def random_subsets(differences: np.ndarray, level: float) -> np.ndarray:
    """Say where the gate's own test finds the mean above 0."""
    return np.array([chance_of(row, level) <= level for row in differences])


def t_test(differences: np.ndarray, level: float) -> np.ndarray:
    """Say where Student's t does."""
    n, spread = differences.shape[1], differences.std(axis=1, ddof=1)
    known = spread > 0
    statistic = np.divide(differences.mean(axis=1), spread / np.sqrt(n), out=np.zeros(len(spread)), where=known)
    return np.asarray(np.where(known, stats.t.sf(statistic, n - 1) <= level, differences.mean(axis=1) > 0))


def percentile(differences: np.ndarray, level: float, at: float = 0.0) -> np.ndarray:
    """Say where the percentile bootstrap does."""
    return np.asarray(np.quantile(_means(differences), level, axis=1) > at + 1e-9)


def bca(differences: np.ndarray, level: float, at: float = 0.0) -> np.ndarray:
    """Say where the bias-corrected and accelerated bootstrap does (Efron, JASA 82, 1987)."""
    means, mean = np.sort(_means(differences), axis=1), differences.mean(axis=1, keepdims=True)
    below = ((means < mean - 1e-9).mean(axis=1) + (means <= mean + 1e-9).mean(axis=1)) / 2
    bias = ndtri(np.clip(below, 1 / DRAWS, 1 - 1 / DRAWS))
    centred = differences - mean
    squares = (centred**2).sum(axis=1) ** 1.5
    skew = np.divide((centred**3).sum(axis=1), 6 * squares, out=np.zeros(len(squares)), where=squares > 0)
    z = bias + ndtri(level)
    place = np.clip((ndtr(bias + z / (1 - skew * z)) * DRAWS).astype(int), 0, DRAWS - 1)
    return np.asarray(means[np.arange(len(means)), place] > at + 1e-9)


TESTS: dict[str, Test] = {
    "random subsets": random_subsets,
    "Student's t": t_test,
    "percentile bootstrap": percentile,
    "BCa bootstrap": bca,
}


def levels(level: float, sizes: tuple[int, ...], runs: int) -> list[dict[str, str]]:
    """Return how often each test says that one of two equal models is better, by kind of score and clusters."""
    rows, rng = [], np.random.default_rng(0)
    for n in sizes:
        for name, differences in equal(rng, runs, n):
            found = {test: f"{100 * function(differences, level).mean():.1f}" for test, function in TESTS.items()}
            rows.append({"clusters": str(n), "scores": name} | found)
    return rows


def guard_levels(error: float, margin: float, sizes: tuple[int, ...], runs: int) -> list[dict[str, str]]:
    """Return how often a failure that is more frequent by `margin` passes for one that is not."""
    rows, rng = [], np.random.default_rng(1)
    for n in sizes:
        for rate in (0.0, 0.1, 0.4):
            worse = (rng.random((runs, n)) < rate) * 1.0 - (rng.random((runs, n)) < rate + margin)
            rows.append(
                {
                    "clusters": str(n),
                    "failures": f"{rate:.0%} against {rate + margin:.0%}",
                    "gate": f"{100 * np.mean([bounds(row, error)[0] > -margin for row in worse]):.1f}",
                    "percentile bootstrap": f"{100 * percentile(worse, error, -margin).mean():.1f}",
                    "BCa bootstrap": f"{100 * bca(worse, error, -margin).mean():.1f}",
                }
            )
    return rows


def _means(differences: np.ndarray) -> np.ndarray:
    """Return bootstrap means `[runs, DRAWS]` of `[runs, n]`."""
    n = differences.shape[1]
    weights = np.random.default_rng(n).multinomial(n, np.full(n, 1 / n), size=DRAWS) / n
    return np.asarray(differences @ weights.T)
