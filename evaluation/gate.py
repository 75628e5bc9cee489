"""The gate: a candidate replaces the rival only where it is measured to be better.

Both are judged by the same evaluator on the same prompts with the same seeds, so that every prompt gives one paired
difference of the overall score. The 95% interval of their mean comes from the percentile bootstrap over prompts
(Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13). Of a person's own footage, both continue the
same held-out clips, and a pair is a file: its clips and seeds are alike, and count once, by their mean.
"""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import numpy as np

from evaluation.continuation import MEASURES
from evaluation.rates import METRICS
from kinora.config import digest
from kinora.errors import KinoraError
from kinora.generation.registry import Promotion
from kinora.numbers import count
from kinora.report import Page

CONFIDENCE = 0.95
DRAWS = 10_000
FEWEST = 8  # pairs: with fewer, a bootstrap interval is narrower than what is known


@dataclass(frozen=True)
class Comparison:
    """One metric of both sides over the paired prompts, and the interval of the mean difference."""

    metric: str
    candidate: float
    rival: float
    difference: float
    low: float
    high: float


@dataclass(frozen=True)
class Decision:
    """Whether the candidate is promoted, one sentence that says why, and the figures behind it.

    `promotion` is set where the candidate needs none, because it is deployed already: the one that deployed it.
    """

    promote: bool
    reason: str
    rival: str  # "incumbent" or "untrained"
    pairs: int
    interval: tuple[float, float] | None  # of the mean difference of the overall score; None if nothing was compared
    compared: str = "prompts"  # what a pair is, and how many there are
    table: tuple[Comparison, ...] = ()
    promotion: Promotion | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the decision as plain values for JSON."""
        return asdict(self)


def decide(
    candidate: dict[str, Any],
    incumbent: dict[str, Any] | None,
    untrained: dict[str, Any] | None = None,
    *,
    seed: int = 0,
) -> Decision:
    """Compare two evaluations (`evaluation.json`) of `evaluate_checkpoint`.

    Args:
        candidate: evaluation of the model that asks to be promoted.
        incumbent: evaluation of the deployed model, None if there is none.
        untrained: evaluation of the untrained checkpoint, the rival where nothing is deployed yet.
        seed: of the bootstrap's draws.

    Raises:
        KinoraError: if there is neither an incumbent nor an untrained checkpoint to compare with.
    """
    rival, role = (incumbent, "incumbent") if incumbent is not None else (untrained, "untrained")
    if rival is None:
        raise KinoraError(
            "there is no rival to compare the candidate with; give the evaluation of the untrained checkpoint."
        )
    kept = "the incumbent stays" if role == "incumbent" else "nothing is promoted"
    name = "the incumbent" if role == "incumbent" else "the untrained checkpoint"
    difference = incomparable(candidate, rival)
    if difference:
        return Decision(False, f"The two evaluations cannot be compared: {difference}; {kept}.", role, 0, None)
    compared, pairs = _compared(candidate)
    metrics = [metric for metric in dict.fromkeys((*METRICS, *MEASURES)) if metric in candidate["clips"][0]["rates"]]
    table = tuple(_compare(metric, candidate, rival, seed) for metric in metrics)
    overall = table[0]
    span = f"by {overall.difference:+.3f} on average (95% interval {overall.low:+.3f} to {overall.high:+.3f})"
    interval = (overall.low, overall.high) if pairs >= FEWEST else None
    where = f" in {compared}" if footage(candidate) else ""
    if interval is not None and overall.low > 0:
        return Decision(True, f"The candidate beats {name}{where} {span}.", role, pairs, interval, compared, table)
    if footage(candidate) and role == "untrained" and overall.difference > 0:
        # Nobody is served worse than before, and a person may have no more files than these.
        doubt = f"to be sure of it takes {FEWEST} files or more"
        if interval is not None:
            doubt = f"the 95% interval, {overall.low:+.3f} to {overall.high:+.3f}, includes no difference"
        reason = (
            f"Promoted without proof: in {compared} the candidate is nearer to the truth than {name}, by "
            f"{overall.difference:+.3f} on average, but {doubt}; nothing is deployed yet, so that nothing gets worse."
        )
        return Decision(True, reason, role, pairs, interval, compared, table)
    if interval is None:
        reason = f"Inconclusive: {compared} are too few, {FEWEST} are needed; {kept}."
        return Decision(False, reason, role, pairs, None, compared)
    if overall.high < 0:
        reason = f"The candidate is worse than {name}{where} {span}; {kept}."
    else:
        reason = f"Inconclusive: the candidate differs from {name}{where} {span}, which includes no difference; {kept}."
    return Decision(False, reason, role, pairs, interval, compared, table)


def already_deployed(promotion: Promotion) -> Decision:
    """Return the decision about a candidate that is the deployed model itself."""
    run = f"promoted by run {promotion.run}" if promotion.run else "promoted by hand"
    reason = f"Already deployed since {_moment(promotion)}, {run}, because: {promotion.verdict}"
    return Decision(False, reason, "incumbent", 0, None, promotion=promotion)


def incomparable(candidate: dict[str, Any], rival: dict[str, Any]) -> str:
    """Say why two evaluations cannot be compared; empty where they can."""
    if candidate["evaluator"]["digest"] != rival["evaluator"]["digest"]:
        return "they were made by different versions of the evaluator"
    if _asked(candidate) != _asked(rival):
        return "they were made on different prompts, sizes or seeds"
    return ""


def footage(evaluation: dict[str, Any]) -> bool:
    """Say whether an evaluation is of continuations of a person's own footage."""
    return "given" in evaluation["clips"][0]["asked"]


def bootstrap_interval(differences: np.ndarray, seed: int = 0) -> tuple[float, float]:
    """Return the percentile bootstrap interval, at `CONFIDENCE`, of the mean of `differences [n]`."""
    rng = np.random.default_rng(seed)
    means = differences[rng.integers(len(differences), size=(DRAWS, len(differences)))].mean(axis=1)
    low, high = np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def decision_page(decision: Decision) -> Page:
    """Return the page that shows a decision."""
    if decision.promotion is not None:
        return _deployed_page(decision.promotion)
    title = "Promoted" if decision.promote else "Not promoted"
    rival = "incumbent" if decision.rival == "incumbent" else "untrained checkpoint"
    page = Page(title, decision.reason)
    figures = {"rival": rival, f"pairs, from {decision.compared}": str(decision.pairs)}
    if decision.table:
        overall = decision.table[0]
        figures["candidate's overall score"] = f"{overall.candidate:.1%}"
        figures["rival's overall score"] = f"{overall.rival:.1%}"
        figures["difference in percentage points, with its 95% interval"] = (
            f"{100 * overall.difference:+.1f} ({100 * overall.low:+.1f} to {100 * overall.high:+.1f})"
        )
    page.figures(figures)
    if decision.table:
        page.heading("Differences, pair by pair")
        page.plot(
            _plot(decision),
            "Mean paired difference of each rate, candidate minus rival, with its 95% bootstrap interval. Only the "
            "overall score decides; the others say where the difference comes from.",
        )
        page.table(
            [
                {
                    "": row.metric.replace("_", " "),
                    "candidate": f"{row.candidate:.1%}",
                    "rival": f"{row.rival:.1%}",
                    "difference": f"{100 * row.difference:+.1f}",
                    "95% interval": f"{100 * row.low:+.1f} to {100 * row.high:+.1f}",
                }
                for row in decision.table
            ],
            "Differences in percentage points.",
        )
    page.heading("The rule")
    return page.text(
        "The candidate is promoted if the whole interval of the overall score lies above zero. An interval that "
        "includes zero, a different evaluator, other prompts or other seeds keep what is deployed. Where nothing is "
        "deployed, the rival is the untrained checkpoint of the same run. Clips of one file, and seeds of one clip, "
        f"count once. Fewer than {FEWEST} pairs show nothing. Where nothing is deployed, a model of a person's own "
        "footage that is better on average is promoted without proof, and the reason says so."
    )


def _deployed_page(promotion: Promotion) -> Page:
    by = f"Run {promotion.run} promoted it" if promotion.run else "A person promoted it"
    page = Page(
        "Already deployed",
        f"The candidate is the deployed model itself, version {promotion.version}: nothing changes. "
        f"{by} on {_moment(promotion)}, because: {promotion.verdict}",
    )
    page.figures({"deployed since": _moment(promotion), "promoted by run": promotion.run or "none, by hand"})
    return page.text(
        "This run trained nothing new: its steps were unchanged and came from the cache, or gave the same weights. The "
        "comparison that led to the promotion is on the gate's page of the run that promoted it."
    )


def _moment(promotion: Promotion) -> str:
    """Return when it was, as people write it."""
    when = datetime.fromisoformat(promotion.when)
    return f"{when.day} {when:%B %Y, %H:%M} UTC"


def _compare(metric: str, candidate: dict[str, Any], rival: dict[str, Any], seed: int) -> Comparison:
    ours, theirs = _values(candidate, metric), _values(rival, metric)
    asked = ~np.isnan(ours) & ~np.isnan(theirs)  # of footage, what a clip does not let measure, no model does
    ours, theirs = (ours[asked], theirs[asked]) if asked.any() else (np.zeros(1), np.zeros(1))
    low, high = bootstrap_interval(ours - theirs, seed)
    mean = float((ours - theirs).mean())
    return Comparison(metric, float(ours.mean()), float(theirs.mean()), mean, low, high)


def _values(evaluation: dict[str, Any], metric: str) -> np.ndarray:
    """Return a rate of every pair, the mean over its clips; nan where no prompt asks for it."""
    pairs: dict[str, list[float]] = {}
    for clip in sorted(evaluation["clips"], key=_identity):
        value = clip["rates"][metric]
        pairs.setdefault(_pair(clip), []).extend([] if value is None else [float(value)])
    return np.array([np.mean(values) if values else np.nan for values in pairs.values()])


def _compared(evaluation: dict[str, Any]) -> tuple[str, int]:
    """Return what is compared, in words, and how many pairs there are."""
    clips = evaluation["clips"]
    pairs = len({_pair(clip) for clip in clips})
    if not footage(evaluation):
        return count(pairs, "prompt"), pairs
    held_out = len({clip["asked"]["clip"] for clip in clips})
    said = f"continuations of {count(held_out, 'held-out clip')}"
    return said + (f" of {count(pairs, 'file')}" if pairs < held_out else ""), pairs


def _pair(clip: dict[str, Any]) -> str:
    """Return what a clip's scores are averaged by: its file, where it continues one, else its prompt and seed."""
    return str(clip["asked"].get("source") or _identity(clip))


def _asked(evaluation: dict[str, Any]) -> list[str]:
    return sorted(_identity(clip) for clip in evaluation["clips"])


def _identity(clip: dict[str, Any]) -> str:
    return digest(clip["asked"])


def _plot(decision: Decision) -> Any:
    from matplotlib.figure import Figure

    rows = decision.table[::-1]
    figure = Figure(figsize=(8.4, 0.38 * len(rows) + 0.9))
    axes = figure.subplots()
    for y, row in enumerate(rows):
        clear = row.low > 0 or row.high < 0
        colour = ("#2e7d4f" if row.low > 0 else "#c2352b") if clear else "#7a8490"
        width = 4.0 if row.metric == "overall" else 2.0
        axes.plot([100 * row.low, 100 * row.high], [y, y], color=colour, lw=width, solid_capstyle="round")
        axes.plot([100 * row.difference], [y], "o", color=colour, ms=6)
    axes.axvline(0, color="#1b1f24", lw=1)
    axes.set_yticks(range(len(rows)), [row.metric.replace("_", " ") for row in rows])
    axes.set_xlabel("percentage points in favour of the candidate")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(left=False)
    axes.grid(axis="x", color="#e5e8ec", lw=0.8)
    axes.set_axisbelow(True)
    return figure
