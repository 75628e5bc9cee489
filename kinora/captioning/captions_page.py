"""What came of captioning a dataset, and its page: what was written by whom and how right it is, and what was not."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kinora.captioning.accuracy import Accuracy, accuracy, accuracy_note, wrong_attributes
from kinora.captioning.writers import CaptionWriter
from kinora.data.clips import ClipDataset
from kinora.report import Clip, Page
from kinora.worlds import Attributes

CLIPS_SHOWN = 24
WRONG_SHOWN = 8  # of those, those with a wrong attribute at most
UNSURE_SHOWN = 8  # clips left without caption

Judged = tuple[Mapping[str, Any], Mapping[Any, Any], Attributes | None]  # a clip, what was written, what it shows


@dataclass
class Outcome:
    """How many captions were written, how many clips the writer was not sure of, and how many it was not asked about.

    wrong, shown, unsure: some of the clips, each with what was written and what the simulator's record says.
    """

    writer: CaptionWriter
    written: int
    abstained: int
    kept: int
    measured: Accuracy = field(default_factory=lambda: accuracy(()))
    wrong: list[Judged] = field(default_factory=list)
    shown: list[Judged] = field(default_factory=list)
    unsure: list[Judged] = field(default_factory=list)

    def judge(self, clips: Iterable[Judged]) -> None:
        """Measure what was written, and choose examples evenly over all, so that every size is among them."""
        self.measured = accuracy(self._judged(clips))

    def metrics(self) -> dict[str, float]:
        """Return `captioned`, `abstained`, `kept`, `accuracy_*` and `measured_*`."""
        counts = {"captioned": float(self.written), "abstained": float(self.abstained), "kept": float(self.kept)}
        return {**counts, **self.measured.metrics()}

    def _judged(self, clips: Iterable[Judged]) -> Iterable[tuple[str, Attributes]]:
        every, every_unsure = max(1, self.written // CLIPS_SHOWN), max(1, self.abstained // UNSURE_SHOWN)
        for number, (row, version, truth) in enumerate(clips):
            if not version["caption"]:
                if number % every_unsure == 0 and len(self.unsure) < UNSURE_SHOWN:
                    self.unsure.append((row, version, None))
                continue
            if truth is not None:
                yield version["caption"], truth
            if truth is not None and wrong_attributes(version["caption"], truth) and len(self.wrong) < WRONG_SHOWN:
                self.wrong.append((row, version, truth))
            elif number % every == 0 and len(self.shown) < CLIPS_SHOWN:
                self.shown.append((row, version, truth))


def captions_page(dataset: ClipDataset, outcome: Outcome) -> Page:
    """Return the report of captioning `dataset`."""
    asked = outcome.written + outcome.abstained
    page = Page("Captions", "What was written for clips; captions by people and simulators stay as they are.")
    page.figures(
        {
            "captions written": f"{outcome.written:,}",
            "left without, not being sure": f"{outcome.abstained:,} ({outcome.abstained / max(asked, 1):.0%})",
            "not asked about": f"{outcome.kept:,}",
            "could be measured": f"{max(outcome.measured.measured.values(), default=0):,}",
        }
    )
    writer = outcome.writer
    page.table([{"written by": writer.source, "model": writer.model, "told to": writer.prompt or "nothing"}])
    if any(outcome.measured.measured.values()):
        page.heading("Attributes that are right")
        page.table(outcome.measured.rows(), "Against the simulator's record; the writer has not seen these captions.")
    elif outcome.written:
        page.text("None of these clips comes from a simulator, so how right the captions are could not be measured.")
    if outcome.written:
        page.heading("What was written")
        page.clips(_clip(dataset, *judged) for judged in (*outcome.wrong, *outcome.shown)[:CLIPS_SHOWN])
    if outcome.unsure:
        page.heading("Left without a caption")
        silence = getattr(writer, "silence", "")  # why it never says anything, of a writer that knows
        why = f"It says nothing: {silence}." if silence else "The writer was not sure of what these show."
        page.text(f"{why} They are trained on without a sentence.")
        page.clips(_clip(dataset, *judged) for judged in outcome.unsure)
    return page


def _clip(dataset: ClipDataset, row: Mapping[str, Any], version: Mapping[Any, Any], truth: Attributes | None) -> Clip:
    sure = f"{version['caption_confidence']:.0%} sure."
    note = f"{sure} {accuracy_note(version['caption'], truth)}" if truth else sure if version["caption"] else ""
    failed = truth is not None and bool(wrong_attributes(version["caption"], truth))
    label = version["caption"] or row["caption"] or "no caption"
    return Clip(dataset.row_frames(row), row["fps"] or 1.0, label, note, failed)
