"""The tables of the evaluation's pages: rates with their intervals, types of failure, and what was not measurable."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from evaluation.evaluator import DETECTORS
from evaluation.findings import TYPES
from evaluation.gate import measures
from evaluation.intervals import Share, averaged_share, wilson
from evaluation.rates import METRICS
from kinora.report import Page


def failures_of(group: str) -> str:
    """Return the types of failure that are found and count against a group, as words."""
    return ", ".join(kind for kind in DETECTORS if TYPES[kind].group == group)


METRIC_LABELS = {
    "overall": "overall score",
    "colour_right": "right colour",
    "shape_right": "right shape",
    "background_right": "right background",
    "motion_right": "right motion",
    "exactly_prompted": "exactly the prompted objects in every frame",
    "fidelity": "fidelity: what the prompt asks for",
    "physics": f"physics: no failure of {failures_of('physics')}",
    "consistency": f"consistency: no failure of {failures_of('consistency')}",
}


def rates_table(page: Page, evaluation: dict[str, Any]) -> None:
    """Add the rates, beside those of the simulator's own clips of the same prompts where they are known."""
    reference = evaluation.get("reference", {}).get("rates")
    page.heading("Rates")
    rows = []
    for metric in METRICS:
        row = {"": METRIC_LABELS[metric], evaluation["name"]: rate_with_interval(evaluation, metric)}
        if reference:
            row["the simulator's own clips"] = share_with_interval(reference[metric], _own(evaluation, metric))
        rows.append(row)
    page.table(
        rows,
        "Share of the prompts, or mean over the prompts for the scores, with the interval of 95% by prompts. The "
        "simulator's column is what the detectors find in clips that are right: where it is below 100%, the detectors "
        "are wrong, not the model.",
    )


def rate_with_interval(evaluation: Mapping[str, Any], measure: str) -> str:
    """Return a mean rate with its interval of 95 %, in which prompts, or files that are continued, count once."""
    return share_with_interval(evaluation["rates"].get(measure), measures.values(evaluation, measure))


def share_of(evaluation: Mapping[str, Any], measure: str) -> Share:
    """Return the mean of a measure of the gate over prompts or files, with its interval of 95 %."""
    return _averaged(measures.values(evaluation, measure))


def share_with_interval(mean: float | None, values: np.ndarray) -> str:
    """Return a mean over clips with the interval of 95 % of `values [n]`, one a prompt or file; nan is left out."""
    told = _averaged(values)
    return f"{mean:.1%} ({100 * told.low:.0f}–{100 * told.high:.0f})" if told.of else "–"


def _own(evaluation: Mapping[str, Any], metric: str) -> np.ndarray:
    return measures.by_cluster(evaluation, lambda record: record["reference"][metric])


def _ability(evaluation: Mapping[str, Any], name: str) -> np.ndarray:
    return measures.by_cluster(evaluation, lambda record: record["abilities"][name]["score"])


def _averaged(values: np.ndarray) -> Share:
    return averaged_share(values[~np.isnan(values)])


def world_table(page: Page, evaluation: dict[str, Any]) -> None:
    """Add the rates of each world, where the prompts are of several."""
    worlds = evaluation.get("by_world", {})
    if len(worlds) < 2:
        return
    page.heading("Rates by world")
    page.table(
        [
            {"world": name, "clips": row["clips"]}
            | {metric.replace("_", " "): rate_with_interval(_of_world(evaluation, name), metric) for metric in METRICS}
            for name, row in worlds.items()
        ],
        "In brackets the intervals of 95% by prompts.",
    )


def _of_world(evaluation: Mapping[str, Any], world: str) -> dict[str, Any]:
    clips = [record for record in evaluation["clips"] if record["world"] == world]
    return {"clips": clips, "rates": evaluation["by_world"][world]["rates"]}


def ability_table(page: Page, evaluation: dict[str, Any]) -> None:
    """Add how well the clips show the abilities that their prompts call for."""
    rows = {name: row for name, row in evaluation.get("abilities", {}).items() if row["measured"]}
    if not rows:
        return
    page.heading("Abilities")
    page.table(
        [
            {
                "ability": name,
                "score": share_with_interval(row["score"], _ability(evaluation, name)),
                "clips": row["measured"],
            }
            for name, row in rows.items()
        ],
        "Mean score of the clips whose prompts call for the ability: 100% as in the simulator, 0% not at all; in "
        "brackets the interval of 95% by prompts.",
    )


def type_table(page: Page, report: dict[str, Any]) -> None:
    """Add one row a type of failure: how many clips could be measured, and how many failed."""
    rows = []
    for kind, row in report["summary"]["types"].items():
        rows.append(
            {
                "type": kind.replace("_", " "),
                "what it is": TYPES[kind].meaning,
                "measurable": f"{row['measurable']} of {row['clips']}",
                "failed": f"{row['failed']} of {row['clips']}",
                "share failed": str(_failed(report, kind)),
                "of these due, but not measurable": str(row["due_but_not_measurable"]),
            }
        )
    missing = report["evaluator"]["not_detected"]
    page.heading("Types of failure")
    page.table(
        rows,
        "In brackets the interval of 95%. A clip whose prompt calls for "
        "something that cannot be measured in it counts as failed, and so does one that is blurred until only its "
        "layout is left." + (f" Not detected by this version: {', '.join(missing)}." if missing else ""),
    )


def _failed(report: Mapping[str, Any], kind: str) -> Share:
    """Return the share of clips that failed in a type; where they are of prompts, those of one prompt count as one."""
    if "asked" in report["clips"][0]:
        return averaged_share(1 - measures.values(report, f"no {kind}"))
    row = report["summary"]["types"][kind]
    return wilson(row["failed"], row["clips"])


def unmeasured_table(page: Page, records: Sequence[Mapping[str, Any]]) -> None:
    """Add why what was not measured could not be."""
    reasons: dict[tuple[str, str], int] = {}
    for record in records:
        for kind, reason in record["not_measurable"].items():
            reasons[kind, reason] = reasons.get((kind, reason), 0) + 1
    alike: dict[tuple[int, str], list[str]] = {}
    for (kind, reason), clips in sorted(reasons.items(), key=lambda item: -item[1]):
        alike.setdefault((clips, reason), []).append(kind.replace("_", " "))
    if alike:
        page.heading("Not measurable")
        page.table(
            [{"type": ", ".join(kinds), "clips": clips, "why": reason} for (clips, reason), kinds in alike.items()]
        )


def add_method(page: Page, report: dict[str, Any]) -> Page:
    """Add which evaluator made the report."""
    page.heading("How this was measured")
    page.text(
        "Cuts are found and every shot is judged by itself; the camera's motion is found and taken out; what moves is "
        "followed, and what hides it is found. The evaluator sees the frames alone, never the simulator's record of a "
        "clip. A score of 0.5, from which a failure is listed, is what one faultless clip in a thousand reaches. The "
        "overall score is the mean of three groups, fidelity, physics and consistency; whatever was due and could not "
        "be measured counts as failed in its group."
    )
    helping = "".join(f" {name}: {value}." for name, value in report["evaluator"]["backends"].items())
    return page.text(
        f"Evaluator version {report['evaluator']['version']}, digest {report['evaluator']['digest'][:16]}.{helping}"
    )
