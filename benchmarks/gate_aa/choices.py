"""Choices among equal models and of better ones, made by the gate as it is, and by the rule that it had before."""

from dataclasses import dataclass

import numpy as np

from benchmarks.gate_aa.models import Setting, evaluations
from evaluation.gate import measures
from evaluation.gate.budget import EARNED
from evaluation.gate.decision import decide
from evaluation.selection import ranked
from kinora.recipes.recipe import GatePlan

CHOOSING = 16  # prompts to choose by, one clip each
ONE_DECISION = GatePlan(error=0.05)  # half of it, 2.5%, is for the first attempt: as if no other came
OLD_DRAWS = 2000


@dataclass(frozen=True)
class Share:
    """How many of all choices ended in a promotion."""

    promoted: int
    choices: int

    @property
    def share(self) -> float:
        """The share, 0 to 1."""
        return self.promoted / self.choices

    @property
    def error(self) -> float:
        """The half width of the 95% interval of the share."""
        return 1.96 * float(np.sqrt(max(self.share * (1 - self.share), 0.25 / self.choices) / self.choices))


def promoted(rng: np.random.Generator, setting: Setting, checkpoints: int, plan: GatePlan, gain: float = 0.0) -> bool:
    """Choose one of `checkpoints` on one set, decide on another, and say whether it takes the deployed one's place."""
    gains = [0.0, *[gain] * checkpoints]  # the untrained checkpoint is there, and not ranked
    chosen, _ = ranked(evaluations(rng, Setting(CHOOSING, 1, setting.faultless), gains), plan)
    deployed, candidate = evaluations(rng, setting, [0.0, gains[int(chosen["name"].removeprefix("model "))]])
    return decide(candidate, deployed, plan).outcome == EARNED


def equal_models(setting: Setting, checkpoints: int, choices: int, plan: GatePlan = ONE_DECISION) -> Share:
    """Return how often one of equal checkpoints takes the place of an equal model."""
    rng = np.random.default_rng([setting.prompts, setting.seeds, checkpoints])
    return Share(sum(promoted(rng, setting, checkpoints, plan) for _ in range(choices)), choices)


def power(setting: Setting, plan: GatePlan, gain: float, choices: int) -> Share:
    """Return how often a model that is better by `gain` is promoted, with every guard there is."""
    rng, found = np.random.default_rng([setting.prompts, round(1000 * gain)]), 0
    for _ in range(choices):
        better, deployed = evaluations(rng, setting, [gain, 0.0])
        found += decide(better, deployed, plan).outcome == EARNED
    return Share(found, choices)


def releases(setting: Setting, attempts: int, histories: int) -> Share:
    """Return how many of so many histories, each of so many releases that are no better, have a promotion in them."""
    rng, plan, wrong = np.random.default_rng(attempts), GatePlan(), 0
    for _ in range(histories):
        for attempt in range(1, attempts + 1):
            candidate, deployed = evaluations(rng, setting, [0.0, 0.0])
            if decide(candidate, deployed, plan, attempt=attempt).outcome == EARNED:
                wrong += 1
                break
    return Share(wrong, histories)


def equal_models_by_the_old_rule(setting: Setting, checkpoints: int, choices: int) -> Share:
    """Return the same for the rule until November 2026.

    It chose by the overall score on the clips that decided, and took every clip for an independent one: promoted where
    the percentile bootstrap's interval of the mean difference lies above 0.
    """
    rng = np.random.default_rng([setting.prompts, setting.seeds, checkpoints])
    wrong = 0
    for _ in range(choices):
        rival, *some = evaluations(rng, setting, [0.0] * (checkpoints + 1))
        clips = [_overall(evaluation) for evaluation in some]
        differences = max(clips, key=lambda values: float(np.mean(values))) - _overall(rival)
        means = differences[rng.integers(len(differences), size=(OLD_DRAWS, len(differences)))].mean(axis=1)
        wrong += bool(np.quantile(means, 0.025) > 0)
    return Share(wrong, choices)


def _overall(evaluation: dict) -> np.ndarray:
    return np.array([clip["rates"][measures.OVERALL] for clip in evaluation["clips"]])
