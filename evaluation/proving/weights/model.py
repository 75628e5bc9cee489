"""A logistic model with a ridge, of candidates of which only those at the right place and time may be true.

Of a failing clip, one candidate is taken as true: the surest by the model fitted so far, as in multiple-instance
learning (Andrews et al., "Support vector machines for multiple-instance learning", 2002). Of faultless ones none are.
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from evaluation.proving.figures import FALSE_ALARMS, auroc
from evaluation.proving.weights.weighed import FALSE, TRUE, Sample
from kinora.errors import UsageError

FOLDS = 5
ROUNDS = 4
NOTHING = -99.0  # log odds of a clip without candidates


@dataclass(frozen=True)
class Weights:
    """The bias and the weights, by name, of measures as they are."""

    bias: float
    of: Mapping[str, float]

    def odds(self, sample: Sample) -> np.ndarray:
        """Return the logarithm of the odds of every candidate in a clip, `[n]`."""
        return np.asarray(self.bias + _table(sample.measured, list(self.of)) @ np.array(list(self.of.values())))

    def surest(self, sample: Sample) -> float:
        """Return the highest log odds in a clip."""
        return float(self.odds(sample).max(initial=NOTHING))


def fit(samples: Sequence[Sample], names: Sequence[str], ridge: float, true_share: float) -> Weights:
    """Return the weights of some measures that tell true candidates best, where every family counts alike.

    Args:
        samples: failing and faultless clips.
        names: of the measures.
        ridge: of the weights, for measures of deviation 1; the bias has none.
        true_share: how much true candidates weigh together, for a weight of 1 of the false.
    """
    truth = np.concatenate([sample.truth for sample in samples])
    clip = np.repeat(np.arange(len(samples)), [len(sample.truth) for sample in samples])
    family = np.array([sample.family for sample in samples])[clip]
    values = np.concatenate([_table(sample.measured, names) for sample in samples])
    told = truth >= FALSE
    middle, deviation = values[told].mean(axis=0), values[told].std(axis=0) + 1e-6
    values = (values - middle) / deviation
    chosen = told
    for _ in range(ROUNDS):
        true = truth[chosen] == TRUE
        found = _logistic(values[chosen], true, _shares(true, family[chosen], true_share), ridge)
        odds = values @ found[:-1] + found[-1]
        chosen = truth == FALSE
        for number in np.unique(clip[truth == TRUE]):
            of_it = np.flatnonzero((clip == number) & (truth == TRUE))
            chosen[of_it[np.argmax(odds[of_it])]] = True
    weights = found[:-1] / deviation
    bias = float(found[-1] - middle @ weights)
    return Weights(bias, dict(zip(names, weights.tolist(), strict=True)))


def cross_validated(
    samples: Sequence[Sample], names: Sequence[str], ridge: float, true_share: float, *, looks: bool = False
) -> np.ndarray:
    """Return the highest log odds of every clip by weights fitted to clips of other bases, `[len(samples)]`.

    With `looks`, they are fitted to clips of other families: that is how well they do on looks that nobody saw.

    Raises:
        UsageError: a part of the clips leaves nothing to fit to.
    """
    fold = np.array([one.family if looks else str(zlib.crc32(one.base.encode()) % FOLDS) for one in samples])
    surest = np.zeros(len(samples))
    for part in np.unique(fold):
        others = [sample for sample, number in zip(samples, fold, strict=True) if number != part]
        if not all(any((sample.truth == truth).any() for sample in others) for truth in (TRUE, FALSE)):
            raise UsageError("There are too few clips to fit weights to and to judge them on others; make more cases.")
        weights = fit(others, names, ridge, true_share)
        for number in np.flatnonzero(fold == part).tolist():
            surest[number] = weights.surest(samples[number])
    return surest


def figures(samples: Sequence[Sample], surest: np.ndarray) -> tuple[float, float]:
    """Return the AUROC of failing clips against faultless ones, and the share found at 1 % false alarms."""
    failing = np.array([sample.failing for sample in samples])
    good, bad = surest[~failing], surest[failing]
    return auroc(good, bad), float((bad > np.quantile(good, 1 - FALSE_ALARMS, method="higher")).mean())


def _table(measured: Sequence[Mapping[str, float]], names: Sequence[str]) -> np.ndarray:
    return np.array([[found[name] for name in names] for found in measured]).reshape(-1, len(names))


def _shares(true: np.ndarray, family: np.ndarray, true_share: float) -> np.ndarray:
    """Return the weight of every candidate: those of each family that are true weigh alike together, and the false."""
    weight = np.empty(len(true))
    for kind, share in ((true, true_share), (~true, 1.0)):
        families = np.unique(family[kind])
        for one in families:
            of_it = kind & (family == one)
            weight[of_it] = share * (~true).sum() / len(families) / of_it.sum()
    return weight


def _logistic(values: np.ndarray, true: np.ndarray, weight: np.ndarray, ridge: float) -> np.ndarray:
    """Return the weights of measures `[n, k]` and the bias, `[k + 1]`."""
    columns = np.column_stack([values, np.ones(len(values))])
    stiff = np.append(np.full(values.shape[1], ridge), 0.0)

    def loss(x: np.ndarray) -> tuple[float, np.ndarray]:
        odds = columns @ x
        value = weight @ (np.logaddexp(0, odds) - true * odds) + stiff @ x**2 / 2
        return float(value), columns.T @ (weight * (expit(odds) - true)) + stiff * x

    found = minimize(loss, np.zeros(columns.shape[1]), jac=True, method="L-BFGS-B", options={"maxiter": 1000})
    return np.asarray(found.x)
