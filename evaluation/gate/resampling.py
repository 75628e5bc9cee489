"""Whether a mean of paired differences, one a cluster, is chance: by the means of random subsets of the clusters.

Where two models are equal, swapping them in one cluster changes nothing but the sign of its difference. The paired
permutation test by cluster compares the mean with what all such swaps give (Fisher, The Design of Experiments, 1935,
section 21). A swap of some clusters lowers the mean to 0 or below exactly where the mean over those clusters is 0 or
less, so the test needs the means of random subsets alone, and their quantiles are the interval of all differences that
it does not refute (Hartigan, "Using Subsample Values as Typical Values", 1969).

`python -m benchmarks.gate_aa` compares it with the percentile bootstrap, BCa and t: it alone holds its level for equal
models at 10 to 100 clusters, at the small levels that many releases leave, and where scores are 0 or 1.
"""

import math
from bisect import bisect_left
from functools import lru_cache
from statistics import NormalDist

import numpy as np

DRAWS = 20_000
DRAWS_PER_CHANCE = 50  # a chance of `level` is known from this many draws below it
MOST_DRAWS = 1_000_000
ENOUGH = 400  # draws that are this low: the chance is known to a tenth (Besag and Clifford, Biometrika 78, 1991)
AT_ONCE = 10_000  # draws held in memory
FEWEST = 10  # clusters: fewer may all be lucky, whatever the test says
MOST_CLUSTERS = 1_000_000  # that anybody is told to give
TIES = 1e-9  # means closer than this are equal


def chance_of(differences: np.ndarray, level: float) -> float:
    """Return how often chance alone gives equal models a mean as high as that of `differences [n]`, exact to `level`.

    It is at most `level` in at most that share of all comparisons of equal models.
    """
    differences = np.asarray(differences, np.float64)
    needed, drawn, low = min(MOST_DRAWS, max(DRAWS, DRAWS_PER_CHANCE / level)), 0, 0
    while drawn < needed and low < ENOUGH:
        subsets = _subsets(len(differences), drawn // AT_ONCE)
        low += int((subsets @ differences <= TIES).sum())  # the empty subset too: no swap is one of the swaps
        drawn += AT_ONCE
    return (1 + low) / (1 + drawn)


def interval(differences: np.ndarray, confidence: float) -> tuple[float, float]:
    """Return the mean differences that the test does not refute, of `differences [n]`."""
    low, high = np.quantile(_subset_means(differences), [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def bounds(differences: np.ndarray, error: float) -> tuple[float, float]:
    """Return what a mean of rates, each -1..1, is not below and not above, each wrong in a share `error` of all cases.

    Failures that are rare are maybe not seen at all, and what was not seen has no spread. So each bound takes one more
    cluster for granted, as bad or as good as can be (the idea of Learned-Miller and Thomas, "A New Confidence Interval
    for the Mean of a Bounded Random Variable", arXiv:1905.06208). It is weighted so that of n clusters without any
    failure the bound is ln(1 / error) / n, the rule of three, and not 0.
    """
    low = np.quantile(_subset_means(np.append(differences, -_unseen(error))), error)
    high = np.quantile(_subset_means(np.append(differences, _unseen(error))), 1 - error)
    return max(-1.0, float(low)), min(1.0, float(high))


def clusters_for_gain(differences: np.ndarray, level: float, gain: float, power: float) -> int:
    """Return how many clusters show a mean of `gain` with the probability `power`, if they spread as these do.

    The usual approximation by the normal distribution, and at least as many as the test can reject with.
    """
    spread = float(np.std(differences, ddof=1)) if len(differences) > 1 else 1.0
    least = math.ceil(math.log2(1 / level)) + 1
    return max(least, math.ceil(((_z(level) + _z(1 - power)) * spread / gain) ** 2))


def clusters_for_guard(differences: np.ndarray, error: float, margin: float, power: float) -> int:
    """Return how many clusters show with the probability `power` that equal models are no worse than by `margin`."""
    spread = float(np.std(differences, ddof=1)) if len(differences) > 1 else 1.0
    return 1 + bisect_left(range(1, MOST_CLUSTERS), -margin, key=lambda n: -_guard_width(n, spread, error, power))


def _guard_width(n: int, spread: float, error: float, power: float) -> float:
    """Return how far below 0 the lower bound of `bounds` lies, in most of the comparisons of equal models."""
    unseen = _unseen(error) / n
    return unseen + _z(error) * math.sqrt(spread**2 / n + unseen**2) + _z(1 - power) * spread / math.sqrt(n)


def _unseen(error: float) -> float:
    """Return the difference of the cluster that nobody saw: half of the subsets have it, beside half of the others."""
    return math.log(1 / error) / 2


def _subset_means(differences: np.ndarray) -> np.ndarray:
    """Return the means of random subsets of `differences [n]` that are not empty."""
    subsets = _subsets(len(differences), 0)
    sizes = subsets.sum(axis=1)
    return np.asarray((subsets @ np.asarray(differences, np.float64))[sizes > 0] / sizes[sizes > 0])


@lru_cache(maxsize=4)
def _subsets(n: int, part: int) -> np.ndarray:
    """Return `AT_ONCE` random subsets of n clusters, 1 where a cluster is in, `float64 [AT_ONCE, n]`."""
    return np.random.default_rng([n, part]).integers(0, 2, size=(AT_ONCE, n)).astype(np.float64)


def _z(share: float) -> float:
    """Return what a standard normal variable exceeds in this share of cases."""
    return -NormalDist().inv_cdf(share)
