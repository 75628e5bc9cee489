"""Strengths made comparable: a score says how seldom a faultless clip is as suspicious as this one.

With p the share of faultless clips whose strength of a type is at least this one's,

    score = clip((-log10 p - 1) / 4, 0, 1)

so that p = 0.1 scores 0, p = 0.001 scores 0.5, from where a failure is listed, and p = 0.00001 scores 1. Up to the
strength that one clip in ten reaches, p is counted. Beyond it the excess is taken to follow a generalised Pareto
distribution (Pickands, "Statistical inference using extreme order statistics", Annals of Statistics 3, 1975):

    p = share * (1 + SHAPE * (strength - from) / scale) ** (-1 / SHAPE)

`calibration.json` is made by `evaluation.proving.fitting` from faultless clips alone. A type that is not in it scores
strength / (1 + strength): its detector is to give 1 where it would call a failure. Other networks that measure
(`Backends`) need a file of their own, fitted with them.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from kinora.errors import KinoraError
from kinora.recipes.backends import NONE, UNCALIBRATED, Backends

FILE = Path(__file__).with_name("calibration.json")
TAIL = 0.1  # share of the faultless clips that the tail is fitted to
# Of all types. By eight parts of the fitting set that were left out in turn, 2.6 % of the faultless clips had a failure
# with it, 4.4 % with an exponential tail: what detectors take for suspicious has heavier tails.
SHAPE = 0.3
LEAST_EXCESS = 0.05  # of the strength 1 at which a detector would call a failure


def score(kind: str, strength: float) -> float:
    """Return the score, 0..1, of a strength of one type of failure."""
    entry = entries().get(kind)
    if entry is None:
        return strength / (1 + strength)
    return score_of(chance(entry, strength))


def suspicion(kind: str, strength: float) -> float:
    """Return -log10 of the share of faultless clips with at least this strength: the score without its limits."""
    entry = entries().get(kind)
    if entry is None:
        return 3 * strength
    return -float(np.log10(max(chance(entry, strength), 1e-300)))


def score_of(p: float) -> float:
    """Return the score of what a share p > 0 of faultless clips shows."""
    return float(np.clip((-np.log10(max(p, 1e-300)) - 1) / 4, 0, 1))


def chance(entry: Mapping[str, float], strength: float) -> float:
    """Return the share of faultless clips with at least this strength; 1 below the tail, where no score depends on it.

    Args:
        entry: what `fitted` returned.
        strength: 0 or more.
    """
    if strength < entry["from"]:
        return 1.0
    excess = (strength - entry["from"]) / entry["scale"]
    return float(entry["share"] * (1 + SHAPE * excess) ** (-1 / SHAPE))


def strength_at(entry: Mapping[str, float], p: float) -> float:
    """Return the strength that a share p of faultless clips reaches, p at most the share of the tail."""
    return float(entry["from"] + entry["scale"] * ((entry["share"] / p) ** SHAPE - 1) / SHAPE)


def fitted(strengths: Sequence[float] | np.ndarray) -> dict[str, float]:
    """Return the tail of the strengths of faultless clips: where it begins, its share, and its scale by its mean.

    Where less than a tenth has any strength, the tail is what has. A mean is at least `LEAST_EXCESS`, so that faultless
    clips which are all alike do not make anything else a failure.

    Raises:
        ValueError: no strengths.
    """
    values = np.sort(np.asarray(strengths, dtype=float))
    if not len(values):
        raise ValueError("a calibration needs the strengths of faultless clips; there is none.")
    start = float(np.quantile(values, 1 - TAIL))
    beyond = values[values > start]
    share = max(len(beyond), 1) / (len(values) + 1)
    excess = float((beyond - start).mean()) if len(beyond) else 0.0
    return {"clips": len(values), "from": start, "share": share, "scale": (1 - SHAPE) * max(excess, LEAST_EXCESS)}


def entries() -> dict[str, dict[str, float]]:
    """Return the fitted tail of every type that was calibrated."""
    used = _USED.get()
    return _fitted_for(NONE) if used is None else used


@contextmanager
def calibrated_for(backends: Backends) -> Iterator[None]:
    """Score by the calibration that goes with some backends, within the block.

    Raises:
        KinoraError: if there is none such, or it was fitted with others.
    """
    before = _USED.set(_fitted_for(backends))
    try:
        yield
    finally:
        _USED.reset(before)


@cache
def _fitted_for(backends: Backends) -> dict[str, dict[str, float]]:
    if backends.calibration == UNCALIBRATED:
        return {}
    file = Path(backends.calibration or FILE)
    try:
        told: dict[str, Any] = json.loads(file.read_text())
        types: dict[str, dict[str, float]] = told["types"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise KinoraError(f"{file} is no calibration ({error}); kinora evaluate benchmark --fit writes one.") from error
    if told.get("backends", {}) != backends.evidence:
        raise KinoraError(
            f"the calibration {file} was fitted with {told.get('backends') or 'no networks'}, and these clips are "
            f"measured with {backends.evidence}; fit one with the same."
        )
    return types


_USED: ContextVar[dict[str, dict[str, float]] | None] = ContextVar("calibration", default=None)
