"""The decision about one candidate: measured to be better, served on trial, or not promoted."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

import numpy as np

from evaluation.gate import budget, measures, resampling, words
from evaluation.gate.measures import Evaluation
from kinora.generation.registry import Promotion
from kinora.recipes.recipe import GatePlan

UNTRAINED, INCUMBENT = "untrained", "incumbent"

Outcome = Literal["better", "trial", "kept", "deployed"]


@dataclass(frozen=True)
class Comparison:
    """One measure of both sides, means over the clusters; `low` and `high` are the interval of the mean difference.

    The interval is as sure as the decision is: it lies above 0 where the candidate is shown to be better.
    chance: how often chance alone would give equal models such a difference; None of a guard, which is not asked to be
    better. needed: how many clusters would show what is asked. holds: whether it is shown: better, or of a guard no
    worse than by the margin.
    """

    measure: str
    rival: str
    clusters: int
    ours: float
    theirs: float
    low: float
    high: float
    chance: float | None
    needed: int
    holds: bool

    @property
    def difference(self) -> float:
        """The mean difference: above 0 where the candidate is better."""
        return self.ours - self.theirs


@dataclass(frozen=True)
class Decision:
    """What becomes of a candidate, the sentences that say why, and the figures behind it.

    outcome: "better" than its rival; served on "trial", because nothing was deployed before; "kept" out; "deployed"
        already, by `promotion`.
    rival: what it is compared with, "incumbent" or "untrained".
    compared: what the clusters are, and how many there are.
    needed: clusters that would show what is asked, if they spread as these do.
    attempt, level, error: which attempt it is since the last earned promotion, what error it may make, and what all
        attempts together may.
    primary: the comparisons that must be better; of footage also that with the last given frame held still.
    guards: the comparisons that must be no worse than by `margin`, each with the error `guard_error`.
    """

    outcome: Outcome
    reason: str
    rival: str = INCUMBENT
    clusters: int = 0
    compared: str = ""
    needed: int = 0
    attempt: int = 0
    level: float = 0.0
    error: float = 0.0
    margin: float = 0.0
    guard_error: float = 0.0
    primary: tuple[Comparison, ...] = ()
    guards: tuple[Comparison, ...] = ()
    promotion: Promotion | None = None

    @property
    def promote(self) -> bool:
        """Whether the candidate is to be deployed."""
        return self.outcome in ("better", "trial")

    @property
    def confidence(self) -> float:
        """The confidence of the intervals of `primary`: above 0 by chance they lie with the probability `level`."""
        return 1 - 2 * self.level

    @property
    def open(self) -> bool:
        """Whether more clusters could still show that the candidate is better."""
        return self.outcome in ("trial", "kept") and self.primary[0].high >= 0 and self.clusters < self.needed


def decide(
    candidate: Evaluation,
    rival: Evaluation,
    plan: GatePlan,
    *,
    role: str = INCUMBENT,
    attempt: int = 1,
    chosen_on_these: bool = False,
) -> Decision:
    """Compare two evaluations (`evaluation.json`) of `evaluate_checkpoint` on the same prompts and seeds.

    Args:
        candidate: evaluation of the model that asks to be promoted.
        rival: evaluation of the deployed model or, where nothing is deployed, of the untrained checkpoint.
        plan: the primary measure, the margins and the errors.
        role: which of the two the rival is, `INCUMBENT` or `UNTRAINED`.
        attempt: which it is since the last earned promotion: `budget.attempt`.
        chosen_on_these: whether the candidate was chosen on the same clips, for want of others: they prove nothing.

    Raises:
        KinoraError: if the two cannot be compared.
    """
    measures.check_comparable(candidate, rival)
    level, own = budget.level(attempt, plan.error), measures.footage(candidate)
    measure = measures.OVERALL if own else plan.measure
    primary = [_better(candidate, rival, measure, measure, role, plan, level)]
    if own:
        primary.append(_better(candidate, candidate, measure, measures.HELD, measures.HELD, plan, level))
    names = measures.guards(candidate)
    power = 1 - (1 - plan.power) / (len(names) + 1)
    found = [_guard(candidate, rival, name, role, plan, power) for name in names]
    guards = [guard for guard in found if guard is not None]
    clusters = len(measures.clusters(candidate))
    # A frame held still is what a first model of footage has to beat besides; where one is deployed, that has to be.
    asked = primary if role == UNTRAINED else primary[:1]
    shown = clusters >= resampling.FEWEST and not chosen_on_these and all(c.holds for c in asked)
    better = shown and all(guard.holds for guard in guards)
    decision = Decision(
        outcome="better" if better else "trial" if role == UNTRAINED else "kept",
        reason="",
        rival=role,
        clusters=clusters,
        compared=words.compared(candidate, clusters),
        needed=max([resampling.FEWEST, *(c.needed for c in asked), *(guard.needed for guard in guards)]),
        attempt=attempt,
        level=level,
        error=plan.error,
        margin=plan.margin,
        guard_error=plan.guard_error,
        primary=tuple(primary),
        guards=tuple(guards),
    )
    return replace(decision, reason=words.reason(decision, plan, chosen_on_these))


def already_deployed(promotion: Promotion) -> Decision:
    """Return the decision about a candidate that is the deployed model itself."""
    run = f"promoted by run {promotion.run}" if promotion.run else "promoted by hand"
    reason = f"Already deployed since {moment(promotion)}, {run}, because: {promotion.verdict}"
    return Decision("deployed", reason, promotion=promotion)


def moment(promotion: Promotion) -> str:
    """Return when it was, as people write it."""
    when = datetime.fromisoformat(promotion.when)
    return f"{when.day} {when:%B %Y, %H:%M} UTC"


def _better(
    candidate: Evaluation, rival: Evaluation, ours: str, theirs: str, role: str, plan: GatePlan, level: float
) -> Comparison:
    """Compare a measure of the candidate with one of the rival: it must be better by more than chance explains."""
    a, b = measures.values(candidate, ours), measures.values(rival, theirs)
    low, high = resampling.interval(a - b, 1 - 2 * level)
    chance = resampling.chance_of(a - b, level)
    needed = resampling.clusters_for_gain(a - b, level, plan.least_gain, plan.power)
    means = float(a.mean()), float(b.mean())
    return Comparison(ours, role, len(a), *means, low, high, chance, needed, holds=chance <= level)


def _guard(
    candidate: Evaluation, rival: Evaluation, measure: str, role: str, plan: GatePlan, power: float
) -> Comparison | None:
    """Compare a measure that must be no worse than by the margin; None where no clip is asked for it."""
    a, b = measures.values(candidate, measure), measures.values(rival, measure)
    asked = ~np.isnan(a) & ~np.isnan(b)  # of footage, what a clip does not let measure, no model does
    if not asked.any():
        return None
    a, b = a[asked], b[asked]
    low, high = resampling.bounds(a - b, plan.guard_error)
    needed = resampling.clusters_for_guard(a - b, plan.guard_error, plan.margin, power)
    means = float(a.mean()), float(b.mean())
    return Comparison(measure, role, len(a), *means, low, high, None, needed, holds=low > -plan.margin)
