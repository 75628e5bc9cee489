"""Figures with their intervals and targets, as a table and as JSON."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kinora.config import write_json

Z = 1.96  # standard normal quantile of a 95 % interval
RESAMPLES = 2000


@dataclass(frozen=True)
class Figure:
    """One measured value with its 95 % interval, over `count` clips (or pairs, or seconds), beside its target.

    `reached` is None where nothing is asked of the figure: it stands beside others to explain them.
    """

    name: str
    value: float
    low: float
    high: float
    count: int
    unit: str = ""
    target: str = ""
    reached: bool | None = None

    def cells(self) -> list[str]:
        """Return its row of a table: name, value, interval, count, target, whether it is reached."""
        verdict = {None: "", True: "yes", False: "no"}[self.reached]
        interval = "" if np.isnan(self.low) else f"{_number(self.low, self.unit)} to {_number(self.high, self.unit)}"
        return [self.name, _number(self.value, self.unit), interval, str(self.count), self.target, verdict]


def share(name: str, right: Sequence[bool] | np.ndarray, at_least: float | None = None) -> Figure:
    """Return the share of true values, with Wilson's interval (1927), and whether it is `at_least` so high."""
    n = len(right)
    p = float(np.mean(right)) if n else 0.0
    centre, spread = (p + Z**2 / (2 * n)) / (1 + Z**2 / n) if n else 0.5, 0.5
    if n:
        spread = Z * np.sqrt(p * (1 - p) / n + Z**2 / (4 * n**2)) / (1 + Z**2 / n)
    target = "" if at_least is None else f"at least {at_least:.0%}"
    return Figure(
        name, p, max(0.0, float(centre - spread)), min(1.0, float(centre + spread)), n, "%", target,
        None if at_least is None else bool(n and p >= at_least),
    )  # fmt: skip


def mean(
    name: str,
    values: Sequence[float] | np.ndarray,
    unit: str = "",
    *,
    at_least: float | None = None,
    at_most: float | None = None,
) -> Figure:
    """Return the mean, with the interval of its bootstrap (percentiles of resampled means)."""
    found = np.asarray(values, dtype=float)
    n, value = len(found), float(np.mean(found)) if len(found) else float("nan")
    resampled = found[np.random.default_rng(0).integers(0, n, (RESAMPLES, n))].mean(axis=1) if n > 1 else [np.nan]
    low, high = (float(q) for q in np.quantile(resampled, (0.025, 0.975)))
    reached = None
    target = ""
    if at_least is not None:
        target, reached = f"at least {_number(at_least, unit)}", value >= at_least
    if at_most is not None:
        target, reached = f"at most {_number(at_most, unit)}", value <= at_most
    return Figure(name, value, low, high, n, unit, target, reached)


def single(name: str, value: float, unit: str = "", target: str = "", reached: bool | None = None) -> Figure:
    """Return a value measured once, without an interval."""
    return Figure(name, float(value), float("nan"), float("nan"), 1, unit, target, reached)


def markdown(title: str, figures: Sequence[Figure], note: str = "") -> str:
    """Return a section of Markdown with a table of figures."""
    lines = [f"### {title}", "", *([note, ""] if note else [])]
    lines += ["| | measured | 95 % interval | of | to reach | reached |", "|---|---:|---|---:|---|---|"]
    return "\n".join([*lines, *("| " + " | ".join(figure.cells()) + " |" for figure in figures)]) + "\n"


def write(path: Path, subject: str, figures: Sequence[Figure], settings: dict[str, Any]) -> None:
    """Write figures as JSON, whole or not at all; what is not a number becomes null."""
    rows = [{k: None if isinstance(v, float) and np.isnan(v) else v for k, v in asdict(f).items()} for f in figures]
    write_json(path, {"subject": subject, "settings": settings, "figures": rows})


def _number(value: float, unit: str) -> str:
    if np.isnan(value):
        return "–"
    return f"{value:.1%}" if unit == "%" else f"{value:.2f} {unit}".strip()
