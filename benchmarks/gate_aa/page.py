"""The page of `make aa`."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from benchmarks.gate_aa.choices import Share
from kinora.report import Page

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Found = Mapping[tuple[Any, ...], Any]
Rows = Sequence[Mapping[str, str]]
BETTER = "Better models"
ABOUT_EQUAL = (
    "Two clips a prompt. The best of so many equal checkpoints is chosen on 16 other prompts, and decided about with "
    "2.5% for this one decision, as if no other came. The rule until November 2026 chose on the clips that decide, and "
    "took each clip for an independent one."
)
ABOUT_BETTER = (
    "How often a better model is promoted in its first attempt, with all 14 types of failure and 5 attributes as "
    "guards. The deployed model has half of its clips without any failure. The margin of the guards is 0.2 with 48 "
    "prompts, 0.15 with 72 and 0.1 with 128, as in the recipes."
)
ABOUT_TESTS = (
    "How often, in percent, one of two equal models is called better. The gate takes random subsets, which is the "
    "permutation test by cluster. Allowed are"
)
ABOUT_GUARDS = (
    "How often, in percent, a failure that is more frequent by 10 percentage points passes for one that is not. "
    "Allowed are 5%."
)


def page_of(found: Found, choices: int) -> Page:
    """Return the page of what was `found`, a result for each setting, of so many `choices`."""
    history = found["releases",]
    worst = max(_of(found, "equal").values(), key=lambda share: share.share)
    old = max(_of(found, "old").values(), key=lambda share: share.share)
    page = Page("The gate, between equal models", _summary(found, choices))
    page.figures(
        {
            "promoted of equal models, in the worst setting": f"{worst.share:.1%}",
            "by the rule until November 2026, in its worst": f"{old.share:.0%}",
            f"of {history.choices} histories of 20 equal releases have a wrong promotion": f"{history.share:.1%}",
        }
    )
    for title, rows, said in _tables(found):
        if title:
            page.heading(title)
        if title == BETTER:
            page.plot(_plot(_of(found, "power")))
        page.table(rows, said)
    return page


def section_of(found: Found, choices: int) -> str:
    """Return the same as a section of Markdown."""
    lines = ["## The gate, between equals", "", f"`make aa`. {_summary(found, choices)}"]
    for _, rows, said in _tables(found):
        columns = list(rows[0])
        lines += ["", said, "", f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
        lines += [f"| {' | '.join(row.values())} |" for row in rows]
    return "\n".join(lines) + "\n"


def _summary(found: Found, choices: int) -> str:
    worst = max(_of(found, "equal").values(), key=lambda share: share.share)
    history = found["releases",]
    return (
        f"Of {choices:,} choices between equal models the gate promotes at most {_share(worst)}; allowed are 2.5% and "
        f"the error of the simulation. Of {history.choices} histories of 20 releases in a row, none better than what "
        f"is deployed, {_share(history)} have any promotion in them."
    )


def _tables(found: Found) -> Iterator[tuple[str, Rows, str]]:
    """Yield the tables: the heading of each, its rows, and what they say."""
    equal, power = _of(found, "equal"), _of(found, "power")
    rows: list[dict[str, str]] = []
    for (k, n), share in equal.items():
        row = {"checkpoints": str(k), "prompts decided on": str(n), "promoted": _share(share)}
        rows.append(row | {"by the old rule": _share(found["old", k, n])})
    yield "Equal models", rows, ABOUT_EQUAL
    sizes = sorted({n for _, n in power})
    rows = []
    for gain in sorted({gain for gain, _ in power}):
        row = {"more clips without a failure": f"{100 * gain:+.0f} points"}
        rows.append(row | {f"{n} prompts": _share(power[gain, n]) for n in sizes})
    yield BETTER, rows, ABOUT_BETTER
    yield "Why this test", found["tests", 0.025], f"{ABOUT_TESTS} 2.5%."
    yield "", found["tests", 0.0025], f"{ABOUT_TESTS} 0.25%, as in a later attempt."
    yield "", found["guards",], ABOUT_GUARDS


def _of(found: Found, kind: str) -> dict[tuple[Any, ...], Share]:
    return {name[1:]: value for name, value in found.items() if name[0] == kind}


def _share(share: Share) -> str:
    return f"{100 * share.share:.1f}% ± {100 * share.error:.1f}"


def _plot(power: Mapping[tuple[float, int], Share]) -> "Figure":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.4, 3.6))
    axes = figure.subplots()
    for n in sorted({n for _, n in power}):
        gains = sorted(gain for gain, size in power if size == n)
        shares = [power[gain, n] for gain in gains]
        axes.errorbar(
            [100 * gain for gain in gains],
            [100 * share.share for share in shares],
            [100 * share.error for share in shares],
            marker="o",
            capsize=3,
            label=f"{n} prompts",
        )
    axes.set_xlabel("percentage points more clips without a failure")
    axes.set_ylabel("promoted, %")
    axes.set_ylim(-3, 103)
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#e5e8ec", lw=0.8)
    axes.set_axisbelow(True)
    return figure
