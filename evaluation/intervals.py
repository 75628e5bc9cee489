"""Intervals of 95 % of shares, means and counts."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import chdtri, stdtrit  # scipy.stats, which has them too, takes a third of a second to import

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Share:
    """A share of things, with its interval of 95 %."""

    count: float
    of: int
    low: float
    high: float

    @property
    def value(self) -> float:
        """Return the share; nan of nothing."""
        return self.count / self.of if self.of else float("nan")

    def __str__(self) -> str:
        low, value, high = (
            f"{100 * v:.1f}" if v < 0.0995 else f"{100 * v:.0f}" for v in (self.low, self.value, self.high)
        )
        return f"{value}% ({low}–{high})" if self.of else "–"


def wilson(count: float, of: float, z: float = 1.96) -> Share:
    """Return a share with Wilson's interval (J. Am. Stat. Assoc. 22, 1927)."""
    if not of:
        return Share(0, 0, 0.0, 1.0)
    p = count / of
    centre, spread = p + z * z / (2 * of), z * np.sqrt(p * (1 - p) / of + z * z / (4 * of * of))
    low, high = (centre - spread) / (1 + z * z / of), (centre + spread) / (1 + z * z / of)
    return Share(count, round(of), max(0.0, float(low)), min(1.0, float(high)))


def clustered(flags: "pd.Series[bool] | pd.Series[float]") -> Share:
    """Return the share of clips, with Wilson's interval of as many as they are worth: clips of one base are alike.

    Their worth is their number over the design effect (Kish, Survey Sampling, 1965), the number of bases at least.
    Where all are alike no effect can be seen, and it is the number of bases.
    """
    groups = flags.groupby(level="base")
    sums, sizes = groups.sum().to_numpy(dtype=float), groups.size().to_numpy(dtype=float)
    n, p = sizes.sum(), sums.sum() / sizes.sum()
    worth = float(len(sizes))
    if 0 < p < 1 and len(sizes) > 1:
        variance = len(sizes) / (len(sizes) - 1) * ((sums - p * sizes) ** 2).sum() / n**2
        worth = float(np.clip(p * (1 - p) / max(variance, 1e-12), len(sizes), n))
    told = wilson(p * worth, worth)
    return Share(float(sums.sum()), int(n), told.low, told.high)


@dataclass(frozen=True)
class Mean:
    """A mean over clips of any number of bases, with its interval of 95 %; of one base there is no interval."""

    value: float
    of: int
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f}–{self.high:.3f})"


def averaged(values: "pd.Series[float]") -> Mean:
    """Return the mean of clips, with Student's interval over the means of bases: clips of one base are alike."""
    groups = values.groupby(level="base").mean().to_numpy(dtype=float)
    value, n = float(groups.mean()), len(groups)
    half = float(stdtrit(n - 1, 0.975) * groups.std(ddof=1) / np.sqrt(n)) if n > 1 else float("nan")
    return Mean(value, len(values), value - half, value + half)


def averaged_share(values: np.ndarray) -> Share:
    """Return the mean of `values [n]`, each 0..1, with Wilson's interval of as many yes or no as have its spread.

    Values that are all 0 or 1 are worth their number, others more, by how much less they spread; where they do not
    spread at all that cannot be told, and they are worth their number.
    """
    n, mean = len(values), float(np.mean(values)) if len(values) else 0.0
    variance = float(np.var(values, ddof=1)) if n > 1 else 0.0
    worth = max(float(n), (n - 1) * mean * (1 - mean) / variance) if variance > 0 else float(n)
    told = wilson(mean * worth, worth)
    return Share(mean * n, n, told.low, told.high)


def poisson(count: int, level: float = 0.95) -> tuple[float, float]:
    """Return the exact interval of a Poisson mean of which `count` was seen (Garwood, Biometrika 28, 1936)."""
    tail = (1 - level) / 2
    low = chdtri(2 * count, 1 - tail) / 2 if count else 0.0
    return float(low), float(chdtri(2 * count + 2, tail) / 2)
