"""A decision in sentences that a person understands without the statistics."""

import math
from typing import TYPE_CHECKING

from evaluation.gate import measures
from evaluation.gate.measures import Evaluation
from evaluation.gate.resampling import FEWEST
from kinora.numbers import count
from kinora.recipes.recipe import GatePlan

if TYPE_CHECKING:
    from evaluation.gate.decision import Comparison, Decision

NAMES = {
    "incumbent": "the deployed model",
    "untrained": "the untrained checkpoint",
    measures.HELD: "the last given frame held still",
}


def compared(evaluation: Evaluation, clusters: int) -> str:
    """Return what is compared, in words."""
    clips = count(len(evaluation["clips"]), "clip")
    if not measures.footage(evaluation):
        return f"{clips} of {count(clusters, 'prompt')}"
    held_out = len({record["asked"]["clip"] for record in evaluation["clips"]})
    times = len(evaluation["clips"])
    again = f", continued {times} times in all" if times > held_out else ""
    return f"{count(held_out, 'held-out clip')} of {count(clusters, 'file')}{again}"


def reason(decision: "Decision", plan: GatePlan, chosen_on_these: bool) -> str:
    """Return why the decision is as it is, the verdict first."""
    why = _why(decision, plan, chosen_on_these)
    held = decision.primary[1] if len(decision.primary) > 1 else None
    if held is not None and not held.holds:
        nearer = "farther from" if held.high < 0 else "not shown to be nearer to"
        why += f" It is {nearer} the truth than {NAMES[measures.HELD]}: {figures(held, decision)}."
    if decision.outcome == "trial":
        return f"On trial: served because nothing was deployed before, not because it is proved to be good. {why}"
    return why if decision.outcome == "better" else f"{why} The deployed model stays."


def figures(comparison: "Comparison", decision: "Decision") -> str:
    """Return both sides of a comparison and the interval of their difference."""
    ours, theirs, rival = f"{comparison.ours:.0%}", f"{comparison.theirs:.0%}", NAMES[comparison.rival]
    said = f"its {measures.label(comparison.measure)} is {ours}, that of {rival} {theirs}"
    if comparison.measure == measures.FAULTLESS:
        said = f"{ours} of its clips are without any failure, {theirs} of those of {rival}"
    return (
        f"{said}: {points(comparison.difference)} percentage points "
        f"({percent(decision.confidence)} interval {span(comparison)})"
    )


def percent(share: float) -> str:
    """Return a share as a percentage, near 0 and 1 with the digits that tell it from them."""
    rest = min(share, 1 - share)
    digits = math.ceil(-math.log10(rest)) - (share > 0.5) if rest > 0 else 0
    return f"{100 * share:.{digits}f}".rstrip("0").rstrip(".") + "%" if digits else f"{100 * share:.0f}%"


def span(comparison: "Comparison") -> str:
    """Return the interval of a difference in percentage points."""
    return f"{points(comparison.low)} to {points(comparison.high)}"


def points(share: float) -> str:
    """Return a difference of shares in percentage points, with its sign."""
    rounded = round(100 * share)
    return f"{rounded:+d}" if rounded else "0"


def unit(decision: "Decision") -> str:
    """Return what a cluster is: a prompt, or a file of footage."""
    return "file" if len(decision.primary) > 1 else "prompt"


def _why(decision: "Decision", plan: GatePlan, chosen_on_these: bool) -> str:
    first, rival, one = decision.primary[0], NAMES[decision.rival], unit(decision)
    said = figures(first, decision)
    enough = f"It takes about {decision.needed:,} {one}s"
    if chosen_on_these:
        return (
            f"Inconclusive: the checkpoint was chosen on the same {one}, for there is no other; {said}. "
            f"{enough}, and a part of them is only for choosing."
        )
    if decision.clusters < FEWEST:
        few = count(decision.clusters, one)
        return f"Inconclusive: {few} to decide by prove nothing, whatever they show; {said}. {enough}."
    if first.high < 0:
        return f"Worse than {rival}: {said}."
    gain = f"a gain of {points(plan.least_gain)} percentage points"
    if not first.holds and decision.clusters < first.needed:
        return f"Inconclusive: {said}, which can be chance. {enough} to show {gain}; there are {decision.clusters}."
    if not first.holds:
        seen = f"with {decision.clusters} {one}s {gain} would most likely have been seen"
        return f"Not better than {rival}: {said}; {seen}."
    margin = f"{points(plan.margin).lstrip('+')} percentage points or more"
    failed = [guard for guard in decision.guards if not guard.holds]
    worse = [guard for guard in failed if guard.high < 0]
    names = ", ".join(measures.label(guard.measure).removeprefix("no ") for guard in worse or failed)
    if worse:
        return f"Better than {rival} as a whole, but worse in this: {names}; {said}."
    if failed:
        return (
            f"Better than {rival} as a whole, but in this maybe worse by {margin}: {names}; {said}. "
            f"{enough} to exclude that; there are {decision.clusters}."
        )
    return f"Better than {rival}: {said}. Nothing else got worse by {margin}."
