"""What a person sees of a validation: what was broken, by which clips, playing, and how the dataset differs."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kinora.data.batch_checks import BatchFinding
from kinora.data.clips import ClipDataset
from kinora.data.dataset_report import quarantine_section, score_plot
from kinora.data.drift import DriftResult, drift_section
from kinora.data.expectations import TYPES, Tally
from kinora.errors import KinoraError
from kinora.report import Clip, Page

SHOWN_EXAMPLES, SHOWN_OF_EACH = 24, 3
SHOWN_EXTREMES = 4  # clips for each score that is not as it was
SHOWN_ROWS = 100


@dataclass(frozen=True)
class Example:
    """A clip's row, and what it breaks."""

    clip: dict[Any, Any]
    broken: Sequence[str]


@dataclass(frozen=True)
class Outcome:
    """All that a validation of `dataset` found, and the dataset of the rows that are `valid`.

    `examples` are some of the `rejected` clips.
    """

    dataset: ClipDataset
    valid: ClipDataset
    findings: Sequence[Tally]
    batch: Sequence[BatchFinding]
    examples: Sequence[Example]
    rejected: int
    drift: DriftResult | None


def validation_page(outcome: Outcome) -> Page:
    """Return the report."""
    unmet = [finding for finding in outcome.findings if not finding.met]
    warnings = [finding for finding in outcome.batch if not finding.met]
    asked = len(outcome.findings) + len(outcome.batch)
    page = Page("Validation", _summary(len(unmet), len(warnings), asked))
    page.figures(
        {
            "clips checked": f"{len(outcome.dataset)}",
            "kept": f"{len(outcome.valid)}",
            "moved to quarantine": f"{outcome.rejected}",
            "expectations met": f"{asked - len(unmet) - len(warnings)} of {asked}",
        }
    )
    if unmet:
        page.heading("Broken").table(_rows(unmet))
        page.clips(_examples(outcome), caption="Clips that break an expectation, some of each kind.")
        rows = [{"source": e.clip["source"], "what is wrong": "; ".join(e.broken)} for e in outcome.examples]
        more = f"The first {SHOWN_ROWS} of {outcome.rejected}." if outcome.rejected > SHOWN_ROWS else ""
        page.table(rows[:SHOWN_ROWS], caption=more)
    _batch_section(page, outcome.batch)
    extremes = list(_extremes(outcome.valid, warnings))
    if extremes:
        page.clips(extremes, caption="Of each score that is not as it was, the clips that lie furthest that way.")
    if outcome.drift is not None:
        drift_section(page, "Beside the last accepted dataset", outcome.drift, "this dataset", "the last one")
    else:
        page.heading("Beside the last accepted dataset").text("No other dataset of this source was accepted before.")
    page.heading("Curation scores").plot(
        score_plot(outcome.valid), caption="How the clips that were kept spread, by split."
    )
    page.heading("What was expected of each clip").table(
        _rows([finding for finding in outcome.findings if finding.met]), caption="Checked by Great Expectations."
    )
    return quarantine_section(page, outcome.valid)


def _summary(unmet: int, warnings: int, asked: int) -> str:
    if not unmet and not warnings:
        return f"All {asked} expectations of the dataset are met."
    rows = f"{unmet} expectations of single clips were broken; the rows that broke them are in quarantine. "
    whole = f"{warnings} expectations of the dataset as a whole were broken, which is a warning."
    return ((rows if unmet else "") + (whole if warnings else "")).strip()


def _batch_section(page: Page, batch: Sequence[BatchFinding]) -> None:
    """Add what is broken, one by one, and what is met, by the limit that asks for it."""
    page.heading("The dataset as a whole")
    broken = [finding for finding in batch if not finding.met]
    if broken:
        page.table(
            [{"expected": f.expected, "found": f.observed, "set by": f"validation.{f.limit}"} for f in broken],
            caption="Broken expectations of the whole are warnings.",
        )
    met = [finding for finding in batch if finding.met]
    limits = dict.fromkeys(finding.limit for finding in met)
    page.table(
        [
            {"set by": f"validation.{limit}", "met": "; ".join(f"{f.expected}: {f.observed}" for f in some)}
            for limit in limits
            for some in [[finding for finding in met if finding.limit == limit]]
        ],
        caption="Checked by Great Expectations.",
    )


def _examples(outcome: Outcome) -> Iterator[Clip]:
    """Show a few clips of each kind of failure, those whose media can be read."""
    shown: dict[tuple[str, ...], int] = defaultdict(int)
    for example in outcome.examples:
        kind = tuple(example.broken)
        if shown[kind] >= SHOWN_OF_EACH or sum(shown.values()) >= SHOWN_EXAMPLES:
            continue
        try:
            frames = outcome.dataset.row_frames(example.clip)
        except KinoraError:
            continue  # there is nothing to show; the table below says what is wrong
        shown[kind] += 1
        fps = example.clip["fps"] or 1.0
        yield Clip(frames, fps, str(example.clip["source"]), f"Not so: {'; '.join(example.broken)}.", failed=True)


def _extremes(valid: ClipDataset, warnings: Sequence[BatchFinding]) -> Iterator[Clip]:
    """Show the clips that lie furthest on the side to which a score has moved."""
    for score in dict.fromkeys(finding.score for finding in warnings if finding.score):
        high = any(finding.too_high for finding in warnings if finding.score == score)
        values = np.concatenate([piece[score].to_numpy() for piece in valid.pieces([score])])
        furthest = np.argsort(-values if high else values, kind="stable")[:SHOWN_EXTREMES]
        for row in valid.rows.read(furthest).to_dict("records"):
            yield Clip(valid.row_frames(row), row["fps"], f"{score} {row[score]:.3g}", str(row["source"]))


def _rows(findings: Sequence[Tally]) -> list[dict[str, Any]]:
    """Make a table of findings; those that say the same of several columns share a row."""
    grouped: dict[tuple[str, int, int], list[str]] = defaultdict(list)
    for finding in findings:
        column, _, rest = finding.expected.partition(" is ")
        shared = rest == "never missing" or rest in TYPES.values()
        key = (f" is {rest}" if shared else finding.expected, finding.checked, finding.failing)
        grouped[key].append(column if shared else "")
    return [
        {"expectation": ", ".join(columns) + expected, "rows asked": checked, "rows failing": failing}
        for (expected, checked, failing), columns in grouped.items()
    ]
