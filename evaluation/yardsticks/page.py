"""The page of the yardsticks, and the same as Markdown."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from evaluation.intervals import averaged_share
from evaluation.yardsticks import published, vbench
from evaluation.yardsticks.likephys import Errors, errors
from evaluation.yardsticks.phyworld_page import add_laws, error_rows, laws_sentence, level_rows, method
from evaluation.yardsticks.run import Measured
from kinora.numbers import count
from kinora.report import Page

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from evaluation.yardsticks.phyworld import Laws

Found = Mapping[str, Errors]
ALL = "all kinds"

LIKEPHYS_METHOD = (
    "LikePhys (arXiv:2510.11512): of a possible clip and a twin that breaks one law, both with the same prompt and the "
    "same noise at ten times, how often the model's own denoising loss of the possible one is not the lower; 50 % is "
    "chance. The scenes are Kinora's worlds in combinations that training never showed, not the published ones, and "
    "the loss is the one that the model is trained by. An untrained model estimates nothing and prefers what has "
    "the smaller latents: its error is how far the twins' looks alone decide, and where it is not about 50 %, the "
    "model's own says less. With the looks balanced, which is not published, pairs whose looks favour the possible and "
    "pairs whose looks favour the impossible weigh equally: whoever goes by the looks gets 50 %. Intervals of 95 % "
    "after Wilson, over pairs."
)
VBENCH_METHOD = (
    "VBench (arXiv:2311.17982): its published formulas, with stand-ins for two networks: motion by dense inverse "
    "search instead of RAFT, and frames between frames blended halfway along that motion instead of by AMT. "
    "Flickering is of clips that stand still by the published rule, and is not measured where there are none. "
    "Consistency is measured where networks are named. What does not move wins every dimension but the dynamic "
    "degree, the share of clips that move. In brackets intervals of 95 % over clips. Published figures are of other "
    "prompts at hundreds of pixels."
)


def yardsticks_page(measured: Measured) -> Page:
    """Return the page."""
    page = Page(f"Published yardsticks: {measured.name}", sentence(measured))
    if measured.preferences is not None:
        found = errors(measured.preferences)
        page.heading("Does it hold the possible for likelier?")
        page.table(preference_rows(found), f"Published: {published.LIKEPHYS_SOURCE}.")
        page.plot(preference_plot(found), "Preference error with its interval; the line is chance.")
        page.text(LIKEPHYS_METHOD)
    page.heading("How its clips go on from frame to frame")
    page.table(vbench_rows(measured), f"Published: {published.VBENCH_SOURCE}.").text(VBENCH_METHOD)
    if measured.laws is not None:
        add_laws(page, measured.laws)
    if measured.unreadable:
        page.heading("Not readable").table([{"reason": reason} for reason in measured.unreadable])
    return page


def markdown(measured: Measured) -> str:
    """Return the tables and the method as Markdown."""
    parts = [sentence(measured)]
    if measured.preferences is not None:
        parts += [LIKEPHYS_METHOD, _table(preference_rows(errors(measured.preferences)))]
        parts += [f"Published: {published.LIKEPHYS_SOURCE}."]
    parts += [VBENCH_METHOD, _table(vbench_rows(measured)), f"Published figures: {published.VBENCH_SOURCE}."]
    if measured.laws is not None:
        parts.append(laws_markdown(measured.laws))
    return "\n\n".join(parts)


def laws_markdown(laws: "Laws") -> str:
    """Return what was measured of PhyWorld, and how, as Markdown."""
    tables = _table(error_rows(laws)), "What is outside:", _table(level_rows(laws))
    return "\n\n".join([laws_sentence(laws), method(laws), *tables, f"Published figures: {published.PHYWORLD_SOURCE}."])


def sentence(measured: Measured) -> str:
    """Return what was found in one sentence."""
    moving = averaged_share(vbench.values(measured.courses)["dynamic degree"])
    clips = len(measured.courses)
    said = f"{count(clips, 'clip')} {'was' if clips == 1 else 'were'} measured"
    if moving.of:
        said += ", of which" if moving.of == clips else f"; of {moving.of} of more than one frame"
        said += f" {moving} move"
    found = {} if measured.preferences is None else errors(measured.preferences)
    if ALL in found:
        own = found[ALL]
        said += f"; of {own.model.of} pairs the model holds the impossible clip for no less likely in {own.model}"
        said += f", untrained in {own.untrained}"
        said += f", and with the looks balanced in {own.balanced}" if own.balanced else ""
    return f"{said}." + (f" {laws_sentence(measured.laws)}" if measured.laws else "")


def preference_rows(found: Found) -> list[dict[str, Any]]:
    """Return the table of preference errors."""
    return [
        {
            "broken": kind,
            "pairs": shares.model.of,
            "preference error": str(shares.model),
            "untrained": str(shares.untrained),
            "with the looks balanced": str(shares.balanced or "the looks favour one twin"),
        }
        for kind, shares in found.items()
    ] + [
        {
            "broken": f"published: {name}",
            "pairs": "–",
            "preference error": f"{value:.1f}%",
            "untrained": "–",
            "with the looks balanced": "–",
        }
        for name, value in published.LIKEPHYS.items()
    ]


def vbench_rows(measured: Measured) -> list[dict[str, Any]]:
    """Return the table of VBench's dimensions, with the simulator's own clips and published figures beside them."""
    columns = {"clips": measured.courses, "simulator": measured.simulator}
    known = {name: vbench.values(courses) for name, courses in columns.items() if courses}
    networks = {"subject consistency": measured.subject, "background consistency": measured.background}
    return [
        {
            "dimension": f"{dimension} ({MADE_BY[dimension] or networks[dimension] or 'no network named'})",
            **{name: _mean(found[dimension]) for name, found in known.items()},
            **{system: f"{figures[dimension]:.2f}%" for system, figures in published.VBENCH.items()},
        }
        for dimension in vbench.DIMENSIONS
    ]


MADE_BY = {
    "dynamic degree": "DIS for RAFT",
    "temporal flickering": "still clips, DIS for RAFT",
    "motion smoothness": "halfway along DIS for AMT",
    "subject consistency": "",
    "background consistency": "",
}


def preference_plot(found: Found) -> "Figure":
    """Return the preference errors with their intervals, of the model, untrained, and with the looks balanced."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.4, 0.5 * len(found) + 1))
    axes = figure.subplots()
    for name, colour, lift in (("model", "#1f77b4", -0.2), ("untrained", "#7a8490", 0.0), ("balanced", "#ff7f0e", 0.2)):
        known = [(place, share) for place, own in enumerate(found.values()) if (share := getattr(own, name))]
        shares = [share for _, share in known]
        values = [100 * share.value for share in shares]
        spans = [
            [max(0.0, value - 100 * share.low) for value, share in zip(values, shares, strict=True)],
            [max(0.0, 100 * share.high - value) for value, share in zip(values, shares, strict=True)],
        ]
        heights = [place + lift for place, _ in known]
        axes.errorbar(values, heights, xerr=spans, fmt="o", capsize=3, color=colour, label=name)
    axes.axvline(50, color="#b0b0b0", lw=1)
    axes.set_yticks(range(len(found)), list(found))
    axes.invert_yaxis()
    axes.set_xlim(-2, 102)
    axes.set_xlabel("the impossible clip held for no less likely, %")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def _mean(values: np.ndarray) -> str:
    told = averaged_share(values)
    return f"{told.value:.2%} ({100 * told.low:.2f}–{100 * told.high:.2f}) of {told.of}" if told.of else "not measured"


def _table(rows: list[dict[str, Any]]) -> str:
    head = f"| {' | '.join(rows[0])} |\n|{'---|' * len(rows[0])}"
    return "\n".join([head, *(f"| {' | '.join(map(str, row.values()))} |" for row in rows)])
