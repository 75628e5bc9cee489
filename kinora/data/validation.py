"""Great Expectations holds a clip dataset to its contract, and to the last accepted one.

The table as a whole must have the contract's columns and types; a row that breaks an expectation goes to quarantine.
What cannot be read off the table (files, digests, decoded shapes) is measured first and then expected like any column.
Of what is left, `ValidationConfig` says what it must be as a whole, and beside the last accepted dataset.
"""

import os
from collections import defaultdict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kinora.data.batch_checks import BatchFinding, check_batch
from kinora.data.clips import ClipDataset, table
from kinora.data.columns import QUARANTINE_COLUMNS
from kinora.data.drift import dataset_drift
from kinora.data.expectations import UNIQUE, Finding, described, of_each_row, of_the_table, run
from kinora.data.validation_config import ValidationConfig
from kinora.data.validation_report import Example, Outcome, validation_page
from kinora.errors import KinoraError
from kinora.files import atomic_folder, file_digest, friendly_os_errors
from kinora.progress import Progress
from kinora.report import Page

DECODED = 200  # clips, drawn at random, that are decoded and compared with their row
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
    clips = dataset.clips.reset_index(drop=True)
    whole = run(clips, described(of_the_table()), "table")
    broken = [finding.expected for finding in whole.values() if not finding.met]
    if broken:
        raise KinoraError(
            f"the clip dataset in {dataset.path} breaks its contract: {'; '.join(broken)}; make it again."
        )
    findings = run(clips.join(_measured(dataset, clips)), described(of_each_row(dataset.grid)), "rows")
    reasons = _reasons(clips, findings)
    kept = clips.drop(index=list(reasons))
    if kept.empty:
        first = next(iter(reasons.values()))[0]
        raise KinoraError(f"no clip in {dataset.path} keeps the contract (expected: {first}); make it again.")
    examples = [Example(dict(clips.iloc[index]), texts) for index, texts in reasons.items()]
    rejected = [_rejection(example) for example in examples]
    quarantine = pd.concat([dataset.quarantine, table(rejected, QUARANTINE_COLUMNS)], ignore_index=True)
    batch = check_batch(kept, quarantine, config, None if last is None else (last.clips, last.quarantine))
    _stop(dataset, batch)
    with friendly_os_errors(out), atomic_folder(out) as folder:
        dataset.derive(folder, kept, quarantine, {**dataset.config, "validated": dataset.digest}, base_uri)
    valid = ClipDataset.open(out)
    drift = None if last is None else dataset_drift(valid, last)
    outcome = Outcome(dataset, valid, [*whole.values(), *findings.values()], batch, examples, drift)
    met = [finding.met for finding in outcome.findings] + [finding.met for finding in batch]
    figures = {
        "checked": float(len(clips)),
        "kept": float(len(kept)),
        "failed_validation": float(len(rejected)),
        "expectations": float(len(met)),
        "expectations_met": float(sum(met)),
        "warnings": float(sum(not finding.met for finding in batch)),
    }
    return valid, validation_page(outcome), figures | (drift.figures() if drift else {})


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


def _reasons(clips: pd.DataFrame, findings: Mapping[str, Finding]) -> dict[int, list[str]]:
    """Map the positions of failing rows to what each breaks. Of rows with one clip_id, the first is kept."""
    repeated = set(np.flatnonzero(clips["clip_id"].duplicated()))
    reasons: dict[int, list[str]] = defaultdict(list)
    for finding in findings.values():
        for index in finding.failing:
            if finding.expected != UNIQUE or index in repeated:
                reasons[index].append(finding.expected)
    return dict(sorted(reasons.items()))


def _measured(dataset: ClipDataset, clips: pd.DataFrame) -> pd.DataFrame:
    """Measure what the table claims: the file, its digest and, for a random sample, its decoded shape."""
    rng = np.random.default_rng(int(dataset.digest[:8], 16))
    sample = set(rng.permutation(len(clips))[:DECODED])
    with Progress("validate", len(clips), "clips") as progress, ThreadPoolExecutor(os.cpu_count() or 1) as readers:
        rows = []
        jobs = [(clip, number in sample) for number, clip in enumerate(clips.to_dict("records"))]
        for row in readers.map(lambda job: _measure(dataset, *job), jobs):
            rows.append(row)
            progress.update(len(rows))
    return pd.DataFrame(rows)


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
