"""Evaluations of made-up models of known quality, in the form that real ones have.

A clip fails in a type with a probability that depends on its prompt, and on how well the model does that prompt: models
that are equal as a whole are not equal at each prompt, so that the clips of one prompt are alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

KINDS = (
    "appearance", "disappearance", "permanence", "identity_drift", "teleport", "flicker", "gravity", "interpenetration",
    "momentum", "state_change", "view_inconsistency", "incoherence", "freeze", "prompt_mismatch",
)  # fmt: skip
ATTRIBUTES = ("colour_right", "shape_right", "background_right", "motion_right", "exactly_prompted")
HARDNESS, OWN = 1.2, 0.8  # standard deviations, in logits, of a prompt's difficulty and of a model's own way with it


@dataclass(frozen=True)
class Setting:
    """Prompts, seeds each, and the share of clips without any failure that a model reaches.

    whole: every failure type and attribute is there, each rarely wrong; else only the one that decides.
    """

    prompts: int
    seeds: int = 2
    faultless: float = 0.5
    whole: bool = False


def evaluations(rng: np.random.Generator, setting: Setting, gains: Sequence[float]) -> list[dict[str, Any]]:
    """Return an evaluation for each model, all on the same prompts; `gains` are added to its share of good clips."""
    hard = rng.normal(0, HARDNESS, setting.prompts)
    return [_evaluation(rng, setting, hard, gain, f"model {number}") for number, gain in enumerate(gains)]


def _evaluation(rng: np.random.Generator, setting: Setting, hard: np.ndarray, gain: float, name: str) -> dict[str, Any]:
    n, seeds = setting.prompts, setting.seeds
    good = _succeeds(rng, hard, setting.faultless + gain, seeds)  # bool [prompts, seeds]
    overall = np.clip(0.55 + 0.35 * good + rng.normal(0, 0.08, (n, seeds)), 0, 1)
    kinds = KINDS if setting.whole else KINDS[-1:]
    # A clip that fails does so in one type or two.
    first, second = rng.integers(len(kinds), size=(2, n, seeds))
    right = rng.random((len(ATTRIBUTES), n, seeds)) < np.where(good, 0.99, 0.85)
    clips = []
    for i in range(n):
        for s in range(seeds):
            scores = dict.fromkeys(kinds, 0.0)
            if not good[i, s]:
                scores[kinds[first[i, s]]] = 1.0
                scores[kinds[second[i, s]]] = 1.0
            rates: dict[str, float] = {"overall": float(overall[i, s])}
            if setting.whole:
                rates |= {name: float(right[a, i, s]) for a, name in enumerate(ATTRIBUTES)}
            clips.append(
                {
                    "asked": {"prompt": str(i), "seed": s},
                    "measurable": dict.fromkeys(kinds, True),
                    "scores": scores,
                    "failures": [],
                    "due": [],
                    "rates": rates,
                }
            )
    mean = float(np.mean(overall))
    return {"name": name, "evaluator": {"digest": ""}, "rates": {"overall": mean}, "clips": clips}


def _succeeds(rng: np.random.Generator, hard: np.ndarray, share: float, seeds: int) -> np.ndarray:
    """Return which clips are without a failure, `bool [prompts, seeds]`, a `share` of all on average."""
    own = hard + rng.normal(0, OWN, len(hard))
    # The mean of a logistic function of a normal variable, by the approximation of MacKay (1992).
    centre = np.log(share / (1 - share)) * np.sqrt(1 + np.pi * (HARDNESS**2 + OWN**2) / 8)
    return np.asarray(rng.random((len(hard), seeds)) < 1 / (1 + np.exp(-(centre + own)))[:, None])
