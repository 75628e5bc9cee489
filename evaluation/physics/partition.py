"""Where a series of velocities is cut into pieces of even acceleration.

It is cut where straight lines fitted to the velocities on both sides of the cut explain them better than one does, by
more than the parameters cost (optimal partitioning, Jackson et al., "An algorithm for optimal partitioning of data on
an interval", 2005, with the penalty of Schwarz's criterion). The step in which something happens is of both pieces, and
may be of none.
"""

import numpy as np

FEWEST = 3  # steps of a piece
PENALTY = 4.0  # of a piece, times the logarithm of the number of steps, for each axis
SKIPPED, MOST = 5.0, 3  # the cost of a step between two pieces that is of none, and how many there are at most


def partition(times: np.ndarray, velocities: np.ndarray, error: float) -> list[tuple[int, int]]:
    """Return the first and last step of the best pieces, in order.

    `times [n]` are of the middles of the steps, `velocities [n, 2]` have the standard error `error` in each component.
    """
    n = len(times)
    costs = _costs(times, velocities) / error**2
    penalty = PENALTY * 2 * np.log(max(n, 8))
    # `until[k]`: the least cost of all steps before k, of which the last `skipped[k]` are of no piece.
    best, since = np.full(n + 1, np.inf), np.zeros(n + 1, int)
    until, skipped = np.full(n + 1, np.inf), np.zeros(n + 1, int)
    until[0] = -penalty
    for end in range(1, n + 1):
        if end >= FEWEST:
            options = until[: end - FEWEST + 1] + costs[: end - FEWEST + 1, end] + penalty
            since[end] = int(np.argmin(options))
            best[end] = options[since[end]]
        ways = [best[end - k] + k * SKIPPED for k in range(min(MOST, end - 1) + 1)]
        skipped[end] = int(np.argmin(ways))
        until[end] = ways[skipped[end]]
    end = n
    found: list[tuple[int, int]] = []
    while end > 0:
        end -= int(skipped[end])
        found.append((int(since[end]), end - 1))
        end = int(since[end])
    return found[::-1]


def _costs(times: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the sums of squares about the lines fitted to steps i to j - 1, `[n + 1, n + 1]`."""
    n = len(times)
    tau = times - times.mean()
    centred = values - values.mean(axis=0)

    def sums(of: np.ndarray) -> np.ndarray:
        return np.concatenate([np.zeros((1, *of.shape[1:])), np.cumsum(of, axis=0)])

    i, j = np.triu_indices(n + 1, FEWEST)
    count = (j - i).astype(float)
    t, tt, v, tv, vv = (
        s[j] - s[i] for s in map(sums, (tau, tau**2, centred, tau[:, None] * centred, (centred**2).sum(axis=1)))
    )
    spread = np.maximum(tt - t**2 / count, 1e-12)
    slope = (tv - t[:, None] * v / count[:, None]) ** 2 / spread[:, None]
    costs = np.full((n + 1, n + 1), np.inf)
    costs[i, j] = np.maximum(vv - (v**2).sum(axis=1) / count - slope.sum(axis=1), 0)
    return costs
