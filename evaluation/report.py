"""The pages of the evaluation, each one file that stands alone."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from evaluation.findings import ClipInput
from evaluation.gate.measures import FAULTLESS, failed_types
from evaluation.intervals import Share, wilson
from evaluation.overlay import Mark, annotated, failing_frames, outlined
from evaluation.rates import METRICS
from evaluation.report_tables import (
    METRIC_LABELS,
    ability_table,
    add_method,
    rate_with_interval,
    rates_table,
    share_of,
    type_table,
    unmeasured_table,
    world_table,
)
from kinora.numbers import amount, count, share
from kinora.report import Clip, Page

SHOWN_CLIPS = 48  # a page shows at most this many clips, the worst first
SHOWN_SECONDS = 10.0
SHOWN_FAILURES = 3  # failures named under a clip, and outlined in it
STRIP = (
    "Where a failure has a place, it is outlined in red while it lasts. The strip below a clip is its time: red where "
    "a failure lies, with a dark mark at the frame shown."
)
CLEAN = "clips without any failure"
SIMULATED = ", judged beside the simulator's own clip"


def clips_page(report: dict[str, Any], clip_of: Callable[[int], ClipInput]) -> Page:
    """Return the page of `kinora evaluate clips`.

    Args:
        report: the content of `report.json`.
        clip_of: reads the clip of a record, by its place; it is called for those that are shown, one after the other.
    """
    records = report["clips"]
    page = Page("Failures found in clips", clips_verdict(report))
    checks = sum(len(record["measurable"]) for record in records)
    page.figures(
        {
            CLEAN: str(wilson(_clean(records), len(records))),
            "failures found": amount(sum(len(record["failures"]) for record in records)),
            "checks could be measured": share(sum(sum(record["measurable"].values()) for record in records), checks),
        }
    )
    page.heading("Clips, the worst first")
    page.text(STRIP)
    order = sorted(range(len(records)), key=lambda i: (not failed_types(records[i]), _quality(records[i])))
    page.clips(
        (_judged_clip(clip_of(i), records[i]) for i in order[:SHOWN_CLIPS]),
        _rest(records, "report.json"),
        filter_by="failure",
    )
    type_table(page, report)
    unmeasured_table(page, records)
    return add_method(page, report)


def checkpoint_page(
    evaluation: dict[str, Any],
    clip_of: Callable[[int], ClipInput],
    reference_of: Callable[[int], np.ndarray | None] = lambda number: None,
) -> Page:
    """Return the page of one checkpoint: headline, the clips, beside references where there are any, then the rates.

    Args:
        evaluation: the content of `evaluation.json`.
        clip_of: reads the clip of a record, by its place; it is called for those that are shown, one after the other.
        reference_of: the same, the frames of the simulator's own clip.
    """
    records, beside = evaluation["clips"], "reference" in evaluation
    prompts = len({record["asked"]["prompt"] for record in records})
    each = "one clip each" if prompts == len(records) else count(len(records), "clip")
    page = Page(
        f"Evaluation of {evaluation['name']}",
        f"{count(prompts, 'prompt')} that training never saw, {each}{SIMULATED if beside else ''}. "
        + checkpoint_verdict(evaluation),
    )
    page.figures(
        {CLEAN: str(share_of(evaluation, FAULTLESS))}
        | {METRIC_LABELS[metric]: rate_with_interval(evaluation, metric) for metric in METRICS[:6]}
    )
    page.heading("The prompts, the worst first")
    page.text(("On the left the generated clip, on the right the simulator's. " if beside else "") + STRIP)
    order = sorted(range(len(records)), key=lambda i: float(records[i]["rates"]["overall"]))
    page.clips(
        (_prompted_clip(clip_of(i), records[i], reference_of(i)) for i in order[:SHOWN_CLIPS]),
        _rest(records, "evaluation.json"),
        filter_by="failure",
    )
    rates_table(page, evaluation)
    world_table(page, evaluation)
    ability_table(page, evaluation)
    type_table(page, evaluation)
    unmeasured_table(page, records)
    return add_method(page, evaluation)


def clips_verdict(report: Mapping[str, Any]) -> str:
    """Return how many clips are without any failure, of how many of them little is known, and what was not judged."""
    records, unread = report["clips"], len(report.get("unreadable", ()))
    said = _verdict(records, wilson(_clean(records), len(records)))
    unsure = sum(2 * sum(r["measurable"].values()) < len(r["measurable"]) for r in records if not failed_types(r))
    if unsure:
        said += f" Of those without, {unsure:,} let fewer than half of the types of failure be measured."
    return said + (f" {count(unread, 'file')} could not be judged." if unread else "")


def checkpoint_verdict(evaluation: Mapping[str, Any]) -> str:
    """Return how many of a checkpoint's clips are without any failure; clips of one prompt count as one."""
    return _verdict(evaluation["clips"], share_of(evaluation, FAULTLESS))


def _verdict(records: Sequence[Mapping[str, Any]], told: Share) -> str:
    clean, of = _clean(records), len(records)
    return (
        f"{clean} of {count(of, 'clip')} {'is' if clean == 1 else 'are'} without any failure: {clean / of:.0%}; of all "
        f"clips like these {told.low:.0%} to {told.high:.0%}, with a confidence of 95%."
    )


def _clean(records: Sequence[Mapping[str, Any]]) -> int:
    return sum(not failed_types(record) for record in records)


def worst_clips(evaluation: Mapping[str, Any], clips: Sequence[ClipInput], count: int) -> list[Clip]:
    """Return up to `count` of the clips with a failure, the worst first, their failing frames outlined in red.

    Args:
        evaluation: of these clips, as `evaluate_checkpoint` returns it.
        clips: the clips, in the order of its records.
        count: how many at most.
    """
    judged = [pair for pair in zip(clips, evaluation["clips"], strict=True) if failed_types(pair[1])]
    judged.sort(key=lambda pair: float(pair[1]["rates"]["overall"]))
    worst = []
    for clip, record in judged[:count]:
        failing_T = failing_frames(record, len(clip.frames))
        shown = annotated(outlined(clip.frames, failing_T), failing_T)
        worst.append(Clip(shown, clip.fps, record["prompt"], describe_failures(record), True, failed_types(record)))
    return worst


def _judged_clip(clip: ClipInput, record: Mapping[str, Any]) -> Clip:
    part = _shown_part(record, clip.fps)
    marks = [(start - part.start, end - part.start, box, whose) for start, end, box, whose in _marks(record)]
    shown = annotated(clip.frames[part], failing_frames(record, len(clip.frames))[part], side=192, marks=marks)
    label = f"{record['clip']}: {record['prompt']}" if record["prompt"] else record["clip"]
    tags = failed_types(record)
    note = describe_failures(record)
    if len(shown) < len(clip.frames):
        note += f" Shown are frames {part.start}–{part.start + len(shown) - 1}."
    if not record["whole"]:
        note += f" Only the first {amount(len(clip.frames))} frames were judged: it goes on."
    return Clip(shown, clip.fps, label, note, bool(tags), tags)


def _shown_part(record: Mapping[str, Any], fps: float) -> slice:
    """Return the frames of a clip that are shown: some seconds, with the worst failure in them."""
    length = max(1, round(SHOWN_SECONDS * fps))
    first = min((failure["start_frame"] for failure in _worst_failures(record)[:1]), default=0)
    start = max(0, min(first - length // 4, record["frames"] - length))
    return slice(start, start + length)


def _prompted_clip(clip: ClipInput, record: Mapping[str, Any], reference: np.ndarray | None) -> Clip:
    failing_T = failing_frames(record, len(clip.frames))
    shown = annotated(clip.frames, failing_T, reference, marks=_marks(record))
    score = f"Overall score {record['rates']['overall']:.0%}. {describe_failures(record)}"
    tags = failed_types(record)
    return Clip(shown, clip.fps, record["prompt"], score, bool(tags), tags)


def _worst_failures(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the failures that are named under a clip: the worst of each type before others of the same."""
    ordered = sorted(record["failures"], key=lambda f: -f["score"])
    kinds = [f["type"] for f in ordered]
    return sorted(ordered, key=lambda f: kinds.index(f["type"]) != ordered.index(f))[:SHOWN_FAILURES]


def _marks(record: Mapping[str, Any]) -> list[Mark]:
    """Return the places of the failures that are named under a clip; one of the whole picture has none."""
    return [(f["start_frame"], f["end_frame"], tuple(f["box"]), "found") for f in _worst_failures(record) if f["box"]]


def _rest(records: Sequence[Mapping[str, Any]], file: str) -> str:
    return f"{count(len(records) - SHOWN_CLIPS, 'more clip')} are in {file}." if len(records) > SHOWN_CLIPS else ""


def describe_failures(record: Mapping[str, Any]) -> str:
    """Return the failures of a clip in a few short sentences."""
    last = record["frames"] - 1
    lines = [failure_sentence(f, last) for f in _worst_failures(record)]
    missing: dict[str, list[str]] = {}
    for kind in record["due"]:
        if not record["measurable"][kind]:
            missing.setdefault(record["not_measurable"][kind], []).append(kind.replace("_", " "))
    lines += [f"Due but not measurable: {', '.join(kinds)}: {reason}." for reason, kinds in missing.items()]
    if len(record["failures"]) > SHOWN_FAILURES:
        lines.append(f"And {len(record['failures']) - SHOWN_FAILURES} more.")
    if lines:
        return " ".join(lines)
    measurable = sum(record["measurable"].values())
    return f"No failure found in the {measurable} of {len(record['measurable'])} types that can be measured here."


def failure_sentence(failure: Mapping[str, Any], last: int) -> str:
    """Return a failure as a sentence with its frames, in a clip whose last frame is `last`."""
    start, end = failure["start_frame"], failure["end_frame"]
    frames = "" if (start, end) == (0, last) else f", frame {start}" if start == end else f", frames {start}–{end}"
    return f"{failure['type'].replace('_', ' ').capitalize()}{frames}: {failure['explanation']}"


def _quality(record: Mapping[str, Any]) -> float:
    return 1.0 if record["quality"] is None else float(record["quality"])
