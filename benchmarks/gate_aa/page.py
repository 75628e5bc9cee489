"""The page of `make aa`."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from benchmarks.gate_aa.choices import Share
from kinora.report import Page

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Found = Mapping[tuple[Any, ...], Any]


def page_of(found: Found, choices: int) -> Page:
    """Return the page of what was `found`, a result for each setting, of so many `choices`."""
    equal = {name[1:]: value for name, value in found.items() if name[0] == "equal"}
    worst = max(equal.values(), key=lambda share: share.share)
    history = found["releases",]
    page = Page(
        "The gate, between equal models",
        f"Of {choices:,} choices between equal models it promotes at most {_share(worst)}; allowed are 2.5% and the "
        "error of the simulation.",
    )
    page.figures(
        {
            "promoted of equal models, in the worst setting": f"{worst.share:.1%}",
            "by the rule until November 2026, in its worst": f"{max(_old(found), key=lambda s: s.share).share:.0%}",
            f"of {history.choices} histories of 20 equal releases have a wrong promotion": f"{history.share:.1%}",
        }
    )
    page.heading("Equal models")
    page.table(
        [
            {
                "checkpoints": str(k),
                "prompts decided on": str(n),
                "promoted": _share(share),
                "by the old rule": _share(found["old", k, n]),
            }
            for (k, n), share in equal.items()
        ],
        "Two clips a prompt. The best of so many equal checkpoints is chosen on 16 other prompts, and decided about "
        "with 2.5% for this one decision, as if no other came. The old rule chose on the clips that decide, and took "
        "each clip for an independent one.",
    )
    page.text(
        f"With the error spent over releases: of {history.choices} histories of 20 releases in a row, none better than "
        f"what is deployed, {_share(history)} have any promotion in them."
    )
    page.heading("Better models")
    power = {name[1:]: value for name, value in found.items() if name[0] == "power"}
    page.plot(
        _plot(power),
        "How often a better model is promoted in its first attempt, with all 14 types of failure and 5 attributes as "
        "guards. The deployed model has half of its clips without any failure. The margin of the guards is 0.2 with 48 "
        "prompts, 0.15 with 72 and 0.1 with more, as in the recipes.",
    )
    sizes = sorted({n for _, n in power})
    page.table(
        [
            {"more clips without a failure": f"{gain:+.0%}"} | {f"{n} prompts": _share(power[gain, n]) for n in sizes}
            for gain in sorted({gain for gain, _ in power})
        ]
    )
    page.heading("Why this test")
    for level in (0.025, 0.0025):
        page.table(
            found["tests", level],
            f"How often, in percent, one of two equal models is called better at the level of {100 * level:g}%. The "
            "gate takes random subsets, which is the permutation test by cluster.",
        )
    page.table(
        found["guards",],
        "How often, in percent, a failure that is more frequent by 10 percentage points passes for one that is not, "
        "where 5% are allowed.",
    )
    return page


def _old(found: Found) -> list[Share]:
    return [value for name, value in found.items() if name[0] == "old"]


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
