"""The page that shows a decision: the verdict, what it rests on, and what more would be needed."""

from typing import TYPE_CHECKING

from evaluation.gate import budget, words
from evaluation.gate.decision import Comparison, Decision, moment
from evaluation.gate.measures import HELD, label
from evaluation.gate.resampling import FEWEST
from kinora.report import Page

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from kinora.generation.registry import Promotion

TITLES = {"better": "Promoted: better", "trial": "Promoted on trial", "kept": "Not promoted"}
GOOD, BAD, OPEN, INK, LINE = "#2e7d4f", "#c2352b", "#7a8490", "#1b1f24", "#e5e8ec"


def decision_page(decision: Decision) -> Page:
    """Return the page that shows a decision."""
    if decision.promotion is not None:
        return _deployed_page(decision.promotion)
    first = decision.primary[0]
    page = Page(TITLES[decision.outcome], decision.reason)
    what, sure = label(first.measure), words.percent(decision.confidence)
    page.figures(
        {
            f"{what}, the candidate": f"{first.ours:.0%}",
            f"{what}, {words.NAMES[first.rival]}": f"{first.theirs:.0%}",
            f"difference in percentage points, {sure} interval {words.span(first)}": words.points(first.difference),
            f"{words.unit(decision)}s decided on ({decision.compared})": f"{decision.clusters:,}",
        }
        | ({f"{words.unit(decision)}s would settle it": f"{decision.needed:,}"} if decision.open else {})
    )
    _primary(page, decision)
    _guards(page, decision)
    _error(page, decision)
    return _rule(page, decision)


def _primary(page: Page, decision: Decision) -> None:
    page.heading("What has to be better")
    page.table(
        [
            {
                "": label(row.measure),
                "the candidate": f"{row.ours:.1%}",
                "compared with": words.NAMES[row.rival],
                "which has": f"{row.theirs:.1%}",
                "difference": words.points(row.difference),
                f"{words.percent(decision.confidence)} interval": words.span(row),
                "by chance alone": _chance(row),
                f"{words.unit(decision)}s that it takes": f"{row.needed:,}",
                "shown to be better": "yes" if row.holds else "no",
            }
            for row in decision.primary
        ],
        "Differences in percentage points. By chance alone: how often two models that are equally good differ so much "
        f"or more. It has to be at most {words.percent(decision.level)}.",
    )


def _guards(page: Page, decision: Decision) -> None:
    if not decision.guards:
        return
    margin = f"{100 * decision.margin:.0f} points"
    page.heading("What must not get worse")
    page.plot(
        _plot(decision),
        "Candidate minus its rival, in percentage points. Each end of an interval is wrong in "
        f"{words.percent(decision.guard_error)} of all cases. Green: not worse by {margin} or more, which the dashed "
        "line marks. Grey: too little is known to say so. Red: worse.",
    )
    page.table(
        [
            {
                "": label(row.measure),
                "the candidate": f"{row.ours:.1%}",
                "its rival": f"{row.theirs:.1%}",
                "difference": words.points(row.difference),
                "interval": words.span(row),
                f"{words.unit(decision)}s": f"{row.clusters:,}",
                f"{words.unit(decision)}s that it takes": f"{row.needed:,}",
                f"not worse by {margin}": _verdict(row),
            }
            for row in decision.guards
        ],
        "Shares of clips without that failure, or in which that is right.",
    )


def _error(page: Page, decision: Decision) -> None:
    page.heading("The error that is spent")
    own, whole = words.percent(decision.level), words.percent(decision.error)
    spent = words.percent(budget.spent(decision.attempt, decision.error))
    page.text(
        f"This is attempt {decision.attempt} since the last promotion that was earned. It may promote a model that is "
        f"no better with a probability of {own}; with all attempts since then {spent} is spent, of {whole} for however "
        "many come. Promoting by hand, or going back, renews nothing."
    )


def _rule(page: Page, decision: Decision) -> Page:
    unit, held = words.unit(decision), len(decision.primary) > 1
    page.heading("The rule")
    page.text(
        f"The checkpoint was chosen on other {unit}s and seeds; on these, nothing was. All clips of one {unit} count "
        f"as one. The candidate is promoted where {label(decision.primary[0].measure)} is better than chance explains, "
        "and each type of failure and each attribute is shown to be no worse by "
        f"{100 * decision.margin:.0f} percentage points. Fewer than {FEWEST} {unit}s prove nothing."
    )
    return page.text(
        "The first model of all is served in any case, on trial, because it takes nothing away from anybody; it is "
        "called better only where it is shown to be better than the untrained checkpoint"
        + (f" and than {words.NAMES[HELD]}." if held else ".")
        + " How many are needed is what would show the smallest gain that matters, and that equal models are equal, "
        "with the probability that the recipe names, if the rest spreads as much as these."
    )


def _deployed_page(promotion: "Promotion") -> Page:
    by = f"Run {promotion.run} promoted it" if promotion.run else "A person promoted it"
    page = Page(
        "Already deployed",
        f"The candidate is the deployed model itself, version {promotion.version}: nothing changes. "
        f"{by} on {moment(promotion)}, because: {promotion.verdict}",
    )
    page.figures({"deployed since": moment(promotion), "promoted by run": promotion.run or "none, by hand"})
    return page.text(
        "This run trained nothing new: its steps were unchanged and came from the cache, or gave the same weights. The "
        "comparison that led to the promotion is on the gate's page of the run that promoted it."
    )


def _plot(decision: Decision) -> "Figure":
    from matplotlib.figure import Figure

    rows = decision.guards[::-1]
    figure = Figure(figsize=(8.4, 0.34 * len(rows) + 1.0))
    axes = figure.subplots()
    for y, row in enumerate(rows):
        colour = GOOD if row.holds else BAD if row.high < 0 else OPEN
        axes.plot([100 * row.low, 100 * row.high], [y, y], color=colour, lw=2.5, solid_capstyle="round")
        axes.plot([100 * row.difference], [y], "o", color=colour, ms=6)
    axes.axvline(0, color=INK, lw=1)
    axes.axvline(-100 * decision.margin, color=BAD, lw=1, ls="--")
    axes.set_yticks(range(len(rows)), [label(row.measure) for row in rows])
    axes.set_xlabel("percentage points in favour of the candidate")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(left=False)
    axes.grid(axis="x", color=LINE, lw=0.8)
    axes.set_axisbelow(True)
    return figure


def _verdict(row: Comparison) -> str:
    return "yes" if row.holds else "worse" if row.high < 0 else "not known"


def _chance(row: Comparison) -> str:
    assert row.chance is not None, "only guards have none"
    return "under 0.01%" if row.chance < 1e-4 else words.percent(row.chance)
