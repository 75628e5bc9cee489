"""Great Expectations holds a clip dataset to its contract, and to the last accepted one.

The table as a whole must have the contract's columns and types; a row that breaks an expectation goes to quarantine.
What cannot be read off the table (files, digests, decoded shapes) is measured first and then expected like any column.
Of what is left, `ValidationConfig` says what it must be as a whole, and beside the last accepted dataset: of each clip
some 110 bytes of numbers are held for that. Everything else is done in pieces.
"""

import os
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kinora.data.batch_checks import BATCH_COLUMNS, Batch, BatchFinding, check_batch
from kinora.data.clips import ClipDataset, read_pieces, table, table_writer
from kinora.data.columns import CLIP_COLUMNS, QUARANTINE_COLUMNS
from kinora.data.drift import dataset_drift
from kinora.data.expectations import Finding, Tally, described, of_each_row, of_the_table, run
from kinora.data.validation_config import ValidationConfig
from kinora.data.validation_report import SHOWN_OF_EACH, SHOWN_ROWS, Example, Outcome, validation_page
from kinora.errors import KinoraError
from kinora.files import atomic_folder, file_digest, friendly_os_errors
from kinora.parallel import ordered_map
from kinora.progress import Progress
from kinora.report import Page

DECODED = 200  # clips, drawn at random, that are decoded and compared with their row
ASKED = 2**14  # clips that Great Expectations is asked of at once, which takes about 0.1 GB
DEFAULTS = ValidationConfig()


def validate(
    dataset: ClipDataset,
    out: str | Path,
    base_uri: str | None = None,
    config: ValidationConfig = DEFAULTS,
    last: ClipDataset | None = None,
) -> tuple[ClipDataset, Page, dict[str, float]]:
    """Write to `out` the rows of `dataset` that keep its contract; the others go to quarantine as failed_validation.

    Args:
        dataset: what is checked.
        out: folder of the new dataset.
        base_uri: where the dataset's media will be found later.
        config: what the rows that are left must be as a whole.
        last: the dataset that they are compared with, the last accepted one.

    Returns:
        The new dataset, a report and figures.

    Raises:
        KinoraError: if the table as a whole breaks the contract, no row keeps it, or an expectation is broken that
            `config` says stops.
    """
    checked = _Checked(dataset)
    with tempfile.TemporaryDirectory() as temporary:
        kept, rejected = Path(temporary) / "kept.parquet", Path(temporary) / "rejected.parquet"
        with table_writer(kept, CLIP_COLUMNS) as keep, table_writer(rejected, QUARANTINE_COLUMNS) as reject:
            checked.check(keep, reject)
        quarantine = chain(dataset.rejected(), read_pieces(rejected))
        now = Batch.of(read_pieces(kept, BATCH_COLUMNS), quarantine)
        batch = check_batch(now, config, None if last is None else Batch.of_dataset(last))
        _stop(dataset, batch)
        quarantine = chain(dataset.rejected(), read_pieces(rejected))
        settings = {**dataset.config, "validated": dataset.digest}
        with friendly_os_errors(out), atomic_folder(out) as folder:
            dataset.derive(folder, read_pieces(kept), quarantine, settings, base_uri)
    valid = ClipDataset.open(out)
    drift = None if last is None else dataset_drift(valid, last)
    outcome = Outcome(dataset, valid, list(checked.tallies.values()), batch, checked.examples, checked.rejected, drift)
    met = [finding.met for finding in outcome.findings] + [finding.met for finding in batch]
    figures = {
        "checked": float(len(dataset)),
        "kept": float(len(valid)),
        "failed_validation": float(checked.rejected),
        "expectations": float(len(met)),
        "expectations_met": float(sum(met)),
        "warnings": float(sum(not finding.met for finding in batch)),
    }
    return valid, validation_page(outcome), figures | (drift.figures() if drift else {})


class _Checked:
    """What is expected of the table and of each clip, asked of a dataset piece by piece.

    tallies: what came of each expectation. rejected: how many clips break one. examples: of these some of each kind.
    """

    def __init__(self, dataset: ClipDataset):
        self.dataset = dataset
        self.tallies: dict[str, Tally] = {}
        self.rejected, self.examples = 0, list[Example]()
        self._kinds: Counter[tuple[str, ...]] = Counter()
        sample = np.random.default_rng(int(dataset.digest[:8], 16)).permutation(len(dataset))[:DECODED]
        self._sampled = set(sample.tolist())

    def check(self, keep: Callable[[pd.DataFrame], None], reject: Callable[[pd.DataFrame], None]) -> None:
        """Give the clips that meet every expectation to `keep`, and what is said of the others to `reject`.

        Raises:
            KinoraError: if the table as a whole breaks the contract, or no clip keeps it.
        """
        table_wide, of_rows = described(of_the_table()), described(of_each_row(self.dataset.grid))
        repeats, done, path = self.dataset.rows.repeats(), 0, self.dataset.path
        with Progress("validate", len(self.dataset), "clips") as progress:
            for clips in self.dataset.pieces(rows=ASKED) if len(self.dataset) else [self.dataset.clips]:
                broken = [finding.expected for finding in self._ask(clips, table_wide, "table") if not finding.met]
                if broken:
                    raise KinoraError(
                        f"the clip dataset in {path} breaks its contract: {'; '.join(broken)}; make it again."
                    )
                beside = pd.DataFrame(_measured(self.dataset, clips, self._sampled, done, progress))
                asked = clips.join(beside.assign(repeats=repeats[done : done + len(clips)]))
                reasons = _reasons(self._ask(asked, of_rows, "rows"))
                keep(clips.drop(index=list(reasons)))
                examples = [Example(dict(clips.iloc[index]), texts) for index, texts in reasons.items()]
                reject(table((_rejection(example) for example in examples), QUARANTINE_COLUMNS))
                self._remember(examples)
                done += len(clips)
        if self.rejected == done:
            first = self.examples[0].broken[0]
            raise KinoraError(f"no clip in {path} keeps the contract (expected: {first}); make it again.")

    def _ask(self, clips: pd.DataFrame, expectations: Mapping[str, Any], name: str) -> list[Finding]:
        findings = list(run(clips, expectations, name).values())
        for finding in findings:
            self.tallies.setdefault(finding.expected, Tally(finding.expected)).add(finding)
        return findings

    def _remember(self, examples: Sequence[Example]) -> None:
        self.rejected += len(examples)
        for example in examples:
            kind = tuple(example.broken)
            if len(self.examples) < SHOWN_ROWS or self._kinds[kind] < SHOWN_OF_EACH:
                self.examples.append(example)
                self._kinds[kind] += 1


def _stop(dataset: ClipDataset, batch: list[BatchFinding]) -> None:
    for finding in batch:
        if finding.stops and not finding.met:
            raise KinoraError(
                f"the dataset in {dataset.path} is not accepted: expected {finding.expected}, found "
                f"{finding.observed}; look at its quarantine and make it again, or set validation.{finding.limit}."
            )


def _rejection(example: Example) -> dict[str, Any]:
    clip = example.clip
    sentence = f"Expected of the clip {str(clip['clip_id'])[:12]} and not so: {'; '.join(example.broken)}."
    place = {"source": clip["source"], "source_start_s": clip["source_start_s"], "uri": clip["uri"]}
    return {**place, "reason": "failed_validation", "explanation": sentence}


def _reasons(findings: Iterable[Finding]) -> dict[int, list[str]]:
    """Map the positions of failing rows to what each breaks."""
    reasons: dict[int, list[str]] = defaultdict(list)
    for finding in findings:
        for index in finding.failing:
            reasons[index].append(finding.expected)
    return dict(sorted(reasons.items()))


def _measured(
    dataset: ClipDataset, clips: pd.DataFrame, sampled: Set[int], first: int, progress: Progress
) -> Iterator[dict[str, Any]]:
    """Measure what the table claims: the file, its digest and, of the sampled clips, the decoded shape."""
    jobs = ((clip, number in sampled) for number, clip in enumerate(clips.to_dict("records"), first))
    measured = ordered_map(lambda job: _measure(dataset, *job), jobs, os.cpu_count() or 1)
    for done, row in enumerate(measured, first + 1):
        yield row
        progress.update(done)


def _measure(dataset: ClipDataset, clip: dict[Any, Any], sampled: bool) -> dict[str, Any]:
    expected = clip["frames"] / clip["fps"] if clip["fps"] else 0.0
    measured = {"duration_error_s": abs(clip["duration_s"] - expected), "file_found": False, "id_matches": False}
    try:
        path = dataset.media(clip["uri"])
        measured["file_found"] = path.is_file()
        measured["id_matches"] = measured["file_found"] and file_digest(path) == clip["clip_id"]
    except KinoraError:
        pass  # the file is not there: the expectation says so
    sampled = sampled and measured["file_found"]
    return {**measured, "sampled": sampled, "decodes": sampled and _decodes(dataset, clip)}


def _decodes(dataset: ClipDataset, clip: dict[Any, Any]) -> bool:
    try:
        return dataset.row_frames(clip).shape == (clip["frames"], clip["height"], clip["width"], 3)
    except KinoraError:
        return False
