"""The page of the benchmark: what the detectors are worth, where they fail, and clips to look at."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from evaluation.calibration import entries
from evaluation.intervals import Share
from evaluation.proving import figures
from evaluation.proving.run import Rows
from evaluation.proving.shards import KINDS
from kinora.media import read_video
from kinora.report import Clip, Page

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# What the project asks for, on renderers and clips that nothing was fitted on.
MEAN_AUROC, LEAST_AUROC, FOUND, ALARMING, MEASURABLE, ONSET = 0.95, 0.85, 0.80, 0.02, 0.90, 0.90
SHOWN_REASONS = 30


def benchmark_page(rows: Rows, title: str = "Are the detectors right?") -> Page:
    """Return the page of a run."""
    fitted = entries()
    types, alarms = figures.by_type(rows.table, fitted), figures.false_alarms(rows.table)
    pairs = figures.beside(rows.table, fitted)
    families = sorted({row["family"] for row in types})
    page = Page(title, sentence(types, alarms, pairs))
    if families:
        page.figures(headline(types, alarms))
        page.heading("What falls short")
        page.table([{"what": a, "asked": b, "is": c} for a, b, c in shortfalls(types, alarms)] or [{"what": "nothing"}])
    for crash in rows.crashes:
        page.text(f"A detector crashed: {crash}")
    for family in families:
        page.heading(f"By type: {family}")
        page.table([type_row(row) for row in types if row["family"] == family and row["failing"]], TYPE_CAPTION)
    if families:
        page.heading("Found against false alarms")
        page.plot(curves(rows.table, families), "Share of failing clips found, of faultless clips alarmed.")
        page.heading("False alarms on faultless clips")
        page.table(
            [alarm_row(row) for row in alarms],
            "Intervals of 95 %: of shares after Wilson, clips of one base counted "
            "for what they are worth; of failures an hour exact for a Poisson count.",
        )
    page.heading("What must lose")
    page.table(
        [null_row(row) for row in figures.nulls(rows.table)] or [{"null": "none was judged"}],
        "How often the null is more suspicious than the clip it stands for, or counts as failed because what is in "
        "it can no longer be judged. Ties count against.",
    )
    page.heading("Beside itself")
    page.table([beside_row(row) for row in pairs] or [{"type": "none"}], BESIDE_CAPTION)
    page.heading("By way of failing")
    page.table([way_row(row) for row in figures.by_way(rows.table, fitted)], "Found at 1 % false alarms, by severity.")
    page.heading("Examples")
    page.text("Green: what is true. Red: what the detector holds for the strongest candidate, failure or not.")
    page.clips([example(row) for row in rows.examples], filter_by="type")
    page.heading("Due, but not measurable")
    page.table(figures.unmeasured(rows.table)[:SHOWN_REASONS] or [{"reason": "none"}])
    page.heading("How this was measured")
    page.text(METHOD)
    speed = f"{figures.speed(rows.table):.0f} frames a second of processor time. "
    helping = "".join(f" {name}: {value}." for name, value in rows.evaluator["backends"].items())
    version = f"Evaluator version {rows.evaluator['version']}, digest {rows.evaluator['digest'][:16]}."
    return page.text(f"{speed}{version}{helping}")


TYPE_CAPTION = (
    "Threshold: the strength that 1 % of the fitting set's faultless clips reach. Not measurable and due counts as the "
    "least suspicious. Onset: error of the first frame in what was found."
)
BESIDE_CAPTION = (
    "Clips with a failure edited in against the very clips without it: how often the failure makes them more "
    "suspicious of its type (ties count half), and what is found of it at 1 % false alarms. Generated "
    "clips may fail by themselves: suspicious before is how many are found of the type without the edit."
)
METHOD = (
    "Every clip is judged as a stranger's, frames and rate, no prompt; a model's with its prompt. Failures are put "
    "in by physics in three "
    "families of renderers with disjoint looks, and into the pixels of real footage and of a model's clips; all are "
    "coded as H.264 like their twins without a failure. Thresholds and scores were fixed on faultless clips of the "
    "families paper and clay and of one half of the real clips; clips of the family studio and of the other half were "
    "not looked at while detectors were built."
)


def sentence(
    types: Sequence[Mapping[str, Any]], alarms: Sequence[Mapping[str, Any]], pairs: Sequence[Mapping[str, Any]]
) -> str:
    """Return the verdict in a sentence, and one on a model's clips."""
    values = [row["auroc"] for row in types if row["auroc"] is not None]
    few = f"Too few clips for a verdict: fewer than {figures.LEAST} of each type." if types or not pairs else ""
    return " ".join(filter(None, (_verdict(values, types, alarms) if values else few, _on_models_clips(pairs))))


def _verdict(values: Sequence[float], types: Sequence[Mapping[str, Any]], alarms: Sequence[Mapping[str, Any]]) -> str:
    weak = sorted({row["type"] for row in types if row["auroc"] is not None and row["auroc"] < LEAST_AUROC})
    rest = f"below {LEAST_AUROC}: {', '.join(weak)}" if weak else f"none below {LEAST_AUROC}"
    share = " and ".join(f"{row['any']} of {row['family']}" for row in alarms if row["clips"] == "faultless")
    return (
        f"Mean AUROC {np.mean(values):.3f} over families and types, {rest}. Faultless clips with any failure: {share}."
    )


def _on_models_clips(pairs: Sequence[Mapping[str, Any]]) -> str:
    mine = [row for row in pairs if row["family"] == "generated"]
    count = sum(row["pairs"] for row in mine)
    if not count:
        return ""
    above, found = (sum(row[name].count for row in mine) / count for name in ("above", "found"))
    return (
        f"Of {count} failures edited into a model's clips, {above:.0%} make the clip more suspicious of their type "
        f"than it was, and {found:.0%} are found at 1 % false alarms."
    )


def headline(types: Sequence[Mapping[str, Any]], alarms: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return the figures at the top of the page."""
    found = [row for row in types if row["failing"]]
    mean = {name: _mean([row[name] for row in found]) for name in ("auroc", "found", "measurable", "onset_near")}
    faultless = [row for row in alarms if row["clips"] == "faultless"]
    count, of = sum(row["any"].count for row in faultless), sum(row["any"].of for row in faultless)
    return {
        "mean AUROC": _number(mean["auroc"]),
        "found at 1 % false alarms": _percent(mean["found"]),
        "faultless clips with any failure": _percent(count / of if of else None),
        "measurable where due": _percent(mean["measurable"]),
        "onsets within two frames": _percent(mean["onset_near"]),
    }


def shortfalls(types: Sequence[Mapping[str, Any]], alarms: Sequence[Mapping[str, Any]]) -> list[tuple[str, str, str]]:
    """Return what is asked for and not reached: what, how much is asked, how much it is."""
    short = []
    for family in sorted({row["family"] for row in types}):
        mine = [row for row in types if row["family"] == family and row["failing"]]
        means = (
            ("auroc", MEAN_AUROC, "mean AUROC", _number),
            ("found", FOUND, "found at 1 % false alarms", _percent),
            ("measurable", MEASURABLE, "measurable where due", _percent),
            ("onset_near", ONSET, "onsets within two frames", _percent),
        )
        for name, least, words, form in means:
            value = _mean([row[name] for row in mine])
            if value is not None and value < least:
                short.append((f"{family}: {words}", form(least), form(value)))
        short += [
            (f"{family}: AUROC of {row['type']}", _number(LEAST_AUROC), _number(row["auroc"]))
            for row in mine
            if row["auroc"] is not None and row["auroc"] < LEAST_AUROC
        ]
    short += [
        (f"{row['family']}, {row['clips']}: clips with any failure", f"at most {ALARMING:.0%}", str(row["any"]))
        for row in alarms
        if row["any"].value > ALARMING
    ]
    return short


def type_row(row: Mapping[str, Any]) -> dict[str, str]:
    """Return a row of the table of types."""
    interval = row["auroc_interval"]
    return {
        "type": row["type"].replace("_", " "),
        "failing / faultless": f"{row['failing']} / {row['faultless']}",
        "AUROC": _number(row["auroc"]) + (f" ({interval[0]:.2f} to {interval[1]:.2f})" if interval else ""),
        "found at 1 %": str(row["found_of"]),
        "false alarms there": _percent(row["false_alarms"]),
        "onset error, frames": "–" if row["onset_median"] is None else f"{row['onset_median']:.0f}",
        "within two": _percent(row["onset_near"]),
        "frames overlap": _percent(row["frames_overlap"]),
        "place overlaps": _percent(row["place_overlap"]),
        "measurable": _percent(row["measurable"]),
    }


def alarm_row(row: Mapping[str, Any]) -> dict[str, str]:
    """Return a row of the table of false alarms."""
    low, high = row["an_hour_interval"]
    types = ", ".join(f"{kind.replace('_', ' ')} {count}" for kind, count in row["by_type"].items())
    return {
        "family": row["family"],
        "clips": row["clips"],
        "how many": f"{row['count']} of {row['bases']} bases",
        "with any failure": str(row["any"]),
        "failures": str(row["alarms"]),
        "minutes": f"{60 * row['hours']:.1f}",
        "failures an hour": f"{row['an_hour']:.0f} ({low:.0f} to {high:.0f})",
        "of type": types or "–",
    }


def null_row(row: Mapping[str, Any]) -> dict[str, str]:
    """Return a row of the table of nulls."""
    loses: Share = row["loses"]
    return {"family": row["family"], "null": row["null"], "pairs": str(row["pairs"]), "loses": str(loses)}


def beside_row(row: Mapping[str, Any]) -> dict[str, str]:
    """Return a row of the table of clips beside themselves."""
    return {
        "family": row["family"],
        "type": row["type"].replace("_", " "),
        "pairs": str(row["pairs"]),
        "more suspicious with it": str(row["above"]),
        "found at 1 %": str(row["found"]),
        "suspicious before": str(row["before"]),
        "within two": _percent(row["onset_near"]),
    }


def way_row(row: Mapping[str, Any]) -> dict[str, str]:
    """Return a row of the table of ways of failing."""
    return {
        "family": row["family"],
        "type": row["type"].replace("_", " "),
        "way": row["way"],
        "clips": str(row["clips"]),
        **{name: _percent(row[name]) for name in ("found", "subtle", "plain", "gross")},
    }


def example(row: Mapping[str, Any]) -> Clip:
    """Return an example to look at."""
    frames, fps = read_video(Path(row["file"]), 400)
    found = row["measured"] and figures.alarms(pd.DataFrame([row]))[0]
    said = f"Not measurable: {row['reason']}." if not row["measured"] else row["explanation"] or "Nothing suspicious."
    verdict = "Found." if found else "Missed."
    where = f" Frames {row['start']}–{row['end']}:" if row["end"] >= 0 else ""
    note = f"True: frames {row['true_start']}–{row['true_end']}, {row['severity']}. {verdict}{where} {said}"
    label = f"{row['type'].replace('_', ' ').capitalize()}, {row['family']}: {row['way']}"
    return Clip(frames, fps, label, note, not found, (row["type"],))


def curves(table: pd.DataFrame, families: Sequence[str]) -> "Figure":
    """Return one small plot a type, a line a family: found against false alarms, the latter on a logarithmic scale."""
    from matplotlib.figure import Figure

    columns = 4
    shown = [kind for kind in KINDS if any(len(figures.values_of(table, f, kind)[1]) for f in families)]
    lines = max(1, -(-len(shown) // columns))
    figure = Figure(figsize=(11, 2.5 * lines), layout="constrained")
    for index, kind in enumerate(shown):
        axes = figure.add_subplot(lines, columns, index + 1)
        for family, colour in zip(families, ("#1f77b4", "#ff7f0e", "#2ca02c", "#9467bd"), strict=False):
            good, bad = figures.values_of(table, family, kind)
            if len(good) and len(bad):
                alarmed, found = figures.curve(good, bad)
                axes.step(np.maximum(alarmed, 1e-3), found, where="post", color=colour, label=family)
        axes.axvline(0.01, color="#b0b0b0", linewidth=0.8)
        axes.set(xscale="log", xlim=(2e-3, 1), ylim=(0, 1.02), title=kind.replace("_", " "))
        axes.title.set_fontsize(9)
        axes.tick_params(labelsize=7)
    drawn = {str(line.get_label()): line for axes in figure.axes for line in axes.lines}
    named = [family for family in families if family in drawn]
    figure.legend([drawn[name] for name in named], named, fontsize=8, loc="outside upper right", ncols=3)
    return figure


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.0%}" if value >= 0.1 else f"{value:.1%}"
