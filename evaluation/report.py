"""The pages of the evaluation, each one file that stands alone."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from evaluation.evaluator import DETECTORS, failing
from evaluation.findings import TYPES, ClipInput
from evaluation.overlay import failing_frames, playable
from evaluation.rates import METRICS
from kinora.report import Clip, Page

MOST_CLIPS = 48  # a page shows at most this many clips, the worst first
MOST_SECONDS = 10.0
MOST_LINES = 3  # failures named under a clip


def failures_of(group: str) -> str:
    """Return the types of failure that are found and count against a group, as words."""
    return ", ".join(kind for kind in DETECTORS if TYPES[kind].group == group)


SAID = {
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


def clips_page(report: dict[str, Any], clips: Sequence[ClipInput]) -> Page:
    """Return the page of `kinora evaluate clips`."""
    records = report["clips"]
    failed = sum(bool(r["failures"]) for r in records)
    page = Page(
        "Failures found in clips",
        f"{len(records)} clips judged; {failed} with at least one failure found. Types of failure that could not be "
        "measured are counted below, not passed over.",
    )
    possible = sum(len(r["measurable"]) for r in records)
    page.figures(
        {
            "clips": str(len(records)),
            "with a failure": str(failed),
            "failures found": str(sum(len(r["failures"]) for r in records)),
            "of all checks could be measured": f"{sum(sum(r['measurable'].values()) for r in records) / possible:.0%}",
        }
    )
    type_table(page, report)
    page.heading("Clips, the worst first")
    page.text("The strip below a clip is its time, red where a failure lies; the dark mark is the frame shown.")
    order = sorted(range(len(records)), key=lambda i: (not records[i]["failures"], _mark(records[i])))
    page.clips(
        [_judged(clips[i], records[i]) for i in order[:MOST_CLIPS]],
        f"{len(records) - MOST_CLIPS} more are in report.json." if len(records) > MOST_CLIPS else "",
    )
    unmeasured_table(page, records)
    return how(page, report)


def _judged(clip: ClipInput, record: Mapping[str, Any]) -> Clip:
    shown = playable(clip.frames, failing_frames(record, len(clip.frames)), side=192)
    label = f"{record['clip']}: {record['prompt']}" if record["prompt"] else record["clip"]
    return Clip(_cut(shown, clip.fps), clip.fps, label, note(record), bool(record["failures"]))


def checkpoint_page(evaluation: dict[str, Any], clips: Sequence[ClipInput], references: Sequence[np.ndarray]) -> Page:
    """Return the page of one checkpoint: rates, then every clip, beside the reference where there are `references`."""
    means = evaluation["rates"]
    page = Page(
        f"Evaluation of {evaluation['name']}",
        f"{len(clips)} prompts that training never saw, one clip each, judged beside the simulator's own clip.",
    )
    page.figures({SAID[metric]: f"{means[metric]:.0%}" for metric in METRICS[:6]})
    rates_table(page, evaluation)
    type_table(page, evaluation)
    page.heading("Every prompt, the worst first")
    page.text(
        "Left the generated clip, right the simulator's. The strip below is time, red where a failure lies; the dark "
        "mark is the frame shown."
    )
    records = evaluation["clips"]
    order = sorted(range(len(records)), key=lambda i: records[i]["rates"]["overall"])
    page.clips(
        Clip(
            playable(
                clips[i].frames, failing_frames(records[i], len(clips[i].frames)), references[i] if references else None
            ),
            clips[i].fps,
            records[i]["prompt"],
            f"{records[i]['rates']['overall']:.2f} overall. {note(records[i])}",
            bool(records[i]["failures"]),
        )
        for i in order
    )
    unmeasured_table(page, records)
    return how(page, evaluation)


def rates_table(page: Page, evaluation: dict[str, Any]) -> None:
    """Add the rates, beside those of the simulator's own clips of the same prompts where they are known."""
    reference = evaluation.get("reference", {}).get("rates")
    page.heading("Rates")
    rows = []
    for metric in METRICS:
        row = {"": SAID[metric], evaluation["name"]: f"{evaluation['rates'][metric]:.1%}"}
        if reference:
            row["the simulator's own clips"] = f"{reference[metric]:.1%}"
        rows.append(row)
    page.table(
        rows,
        "Share of prompts, or mean over prompts for the scores. The simulator's column is what the detectors find on "
        "clips that are right: what it lacks to 100 % is the detectors' error, not the model's.",
    )


def type_table(page: Page, report: dict[str, Any]) -> None:
    """Add one row a type of failure: how many clips could be measured, and how many failed."""
    rows = []
    for kind, row in report["summary"]["types"].items():
        rows.append(
            {
                "type": kind,
                "what it is": TYPES[kind].meaning,
                "measurable": f"{row['measurable']} of {row['clips']}",
                "failed": str(row["failed"]),
                "of these, due but not measurable": str(row["due_but_not_measurable"]),
                "mean score": "–" if row["mean_score"] is None else f"{row['mean_score']:.2f}",
            }
        )
    page.heading("Types of failure")
    page.table(
        rows,
        "Score: 0 no failure, 1 complete failure. A clip whose prompt calls for something that cannot be measured in "
        "it counts as failed. Not detected by this version: " + ", ".join(report["evaluator"]["not_detected"]) + ".",
    )


def unmeasured_table(page: Page, records: Sequence[Mapping[str, Any]]) -> None:
    """Add why what was not measured could not be."""
    reasons: dict[tuple[str, str], int] = {}
    for record in records:
        for kind, reason in record["not_measurable"].items():
            reasons[kind, reason] = reasons.get((kind, reason), 0) + 1
    if reasons:
        page.heading("Not measurable")
        page.table(
            [
                {"type": kind, "clips": count, "why": reason}
                for (kind, reason), count in sorted(reasons.items(), key=lambda item: -item[1])
            ]
        )


def how(page: Page, report: dict[str, Any]) -> Page:
    """Add which evaluator made the report."""
    page.heading("How this was measured")
    page.text(
        "Objects are told from a plain background by colour and followed from frame to frame, in the pictures alone: "
        "the evaluator never sees the simulator's record of a clip. The overall score is the mean of three groups, "
        "fidelity, physics and consistency; whatever was due and could not be measured counts as failed in its group."
    )
    return page.text(
        f"Evaluator version {report['evaluator']['version']}, digest {report['evaluator']['digest'][:16]}."
    )


def note(record: Mapping[str, Any]) -> str:
    """Return the failures of a clip in a few short sentences."""
    failures = sorted(record["failures"], key=lambda f: -f["score"])
    last = record["frames"] - 1
    lines = []
    for f in failures[:MOST_LINES]:
        where = (
            "" if (f["start_frame"], f["end_frame"]) == (0, last) else f", frames {f['start_frame']}–{f['end_frame']}"
        )
        lines.append(f"{f['type'].replace('_', ' ').capitalize()}{where}: {f['explanation']}")
    missing = [kind for kind in record["due"] if failing(dict(record), kind) and not record["measurable"][kind]]
    if missing:
        lines.append(f"Due but not measurable: {', '.join(missing)}.")
    if len(failures) > MOST_LINES:
        lines.append(f"And {len(failures) - MOST_LINES} more.")
    if lines:
        return " ".join(lines)
    measurable = sum(record["measurable"].values())
    return f"No failure found in the {measurable} of {len(record['measurable'])} types that can be measured here."


def _mark(record: Mapping[str, Any]) -> float:
    return 1.0 if record["quality"] is None else float(record["quality"])


def _cut(frames: np.ndarray, fps: float) -> np.ndarray:
    return frames[: max(1, round(MOST_SECONDS * fps))]
