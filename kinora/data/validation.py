"""Great Expectations holds a clip dataset to its contract.

The table as a whole must have the contract's columns and types; a row that breaks an expectation goes to quarantine.
What cannot be read off the table (files, digests, decoded shapes) is measured first and then expected like any column.
"""

import os
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kinora.data.clips import ClipDataset, table
from kinora.data.columns import CLIP_COLUMNS, INSTANT, LONGEST_CAPTION, QUARANTINE_COLUMNS
from kinora.data.dataset_report import quarantine_section, score_plot
from kinora.data.grid import Grid
from kinora.errors import KinoraError
from kinora.files import atomic_folder, file_digest, friendly_os_errors
from kinora.progress import Progress
from kinora.report import Page

DECODED = 200  # clips, drawn at random, that are decoded and compared with their row
LONGEST_SIDE, LONGEST_VIDEO = 4096, 4001  # pixels, frames
SCORES = ("brightness", "contrast", "motion", "sharpness")
TYPES = {"object": "str", "int64": "int64", "float64": "float64", INSTANT: "Timestamp"}


@dataclass(frozen=True)
class Finding:
    """One expectation's outcome: what was expected in plain words, rows it was asked of, positions of failing rows."""

    expected: str
    checked: int
    failing: Sequence[int]
    met: bool


def validate(
    dataset: ClipDataset, out: str | Path, base_uri: str | None = None
) -> tuple[ClipDataset, Page, dict[str, float]]:
    """Write to `out` the rows of `dataset` that keep its contract; the others go to quarantine as failed_validation.

    Returns the new dataset, a report and figures. `base_uri` is where the dataset's media will be found later.

    Raises:
        KinoraError: if the table as a whole breaks the contract, or no row keeps it.
    """
    clips = dataset.clips.reset_index(drop=True)
    whole = _run(clips, _of_the_table(), "table")
    broken = [finding.expected for finding in whole if not finding.met]
    if broken:
        raise KinoraError(
            f"the clip dataset in {dataset.path} breaks its contract: {'; '.join(broken)}; make it again."
        )
    findings = _run(clips.join(_measured(dataset, clips)), _of_each_row(dataset.grid), "rows")
    reasons = _reasons(clips, findings)
    kept = clips.drop(index=list(reasons))
    if kept.empty:
        first = next(iter(reasons.values()))[0]
        raise KinoraError(f"no clip in {dataset.path} keeps the contract (expected: {first}); make it again.")
    rejected = [
        {
            "source": clips.at[index, "source"],
            "source_start_s": clips.at[index, "source_start_s"],
            "reason": "failed_validation",
            "explanation": f"Expected of the clip {clips['clip_id'].iloc[index][:12]} and not so: {'; '.join(texts)}.",
        }
        for index, texts in reasons.items()
    ]
    quarantine = pd.concat([dataset.quarantine, table(rejected, QUARANTINE_COLUMNS)], ignore_index=True)
    config = {**dataset.config, "validated": dataset.digest}
    with friendly_os_errors(out), atomic_folder(out) as folder:
        dataset.derive(folder, kept, quarantine, config, base_uri)
    valid = ClipDataset.open(out)
    figures = {
        "checked": float(len(clips)),
        "kept": float(len(kept)),
        "failed_validation": float(len(rejected)),
        "expectations": float(len(whole) + len(findings)),
        "expectations_met": float(len(whole) + sum(finding.met for finding in findings)),
    }
    return valid, _report(valid, [*whole, *findings], rejected, figures), figures


def _reasons(clips: pd.DataFrame, findings: Sequence[Finding]) -> dict[int, list[str]]:
    """Map the positions of failing rows to what each breaks. Of rows with one clip_id, the first is kept."""
    repeated = set(np.flatnonzero(clips["clip_id"].duplicated()))
    reasons: dict[int, list[str]] = defaultdict(list)
    for finding in findings:
        for index in finding.failing:
            if finding.expected != UNIQUE or index in repeated:
                reasons[index].append(finding.expected)
    return dict(sorted(reasons.items()))


UNIQUE = "every clip_id is there once"


def _of_the_table() -> list[Any]:
    import great_expectations.expectations as gxe

    return [
        gxe.ExpectTableColumnsToMatchSet(
            column_set=list(CLIP_COLUMNS), exact_match=False, description="all columns of the contract are there"
        ),
        gxe.ExpectTableRowCountToBeBetween(min_value=1, description="there is at least one clip"),
        *(
            gxe.ExpectColumnValuesToBeOfType(column=name, type_=TYPES[kind], description=f"{name} is {TYPES[kind]}")
            for name, kind in CLIP_COLUMNS.items()
        ),
    ]


def _of_each_row(grid: Grid) -> list[Any]:
    import great_expectations.expectations as gxe

    def within(column: str, low: float, high: float, text: str, only: str | None = None) -> Any:
        return gxe.ExpectColumnValuesToBeBetween(
            column=column, min_value=low, max_value=high, description=text, **_where(only)
        )

    def among(column: str, values: Sequence[Any], text: str, only: str | None = None) -> Any:
        return gxe.ExpectColumnValuesToBeInSet(column=column, value_set=list(values), description=text, **_where(only))

    def length(low: int, high: int, text: str, only: str) -> Any:
        return gxe.ExpectColumnValueLengthsToBeBetween(
            column="caption", min_value=low, max_value=high, description=text, **_where(only)
        )

    video, image = 'kind == "video"', 'kind == "image"'
    return [
        *(
            gxe.ExpectColumnValuesToNotBeNull(column=name, description=f"{name} is never missing")
            for name in CLIP_COLUMNS
        ),
        gxe.ExpectColumnValuesToBeUnique(column="clip_id", description=UNIQUE),
        gxe.ExpectColumnValuesToMatchRegex(
            column="clip_id", regex="^[0-9a-f]{64}$", description="clip_id is a sha256 in hexadecimal"
        ),
        among("kind", ["video", "image"], "kind is video or image"),
        among("split", ["train", "validation"], "split is train or validation"),
        among("caption_source", ["human", "simulator", "captioner", ""], "caption_source is one of the known"),
        length(1, LONGEST_CAPTION, "what names a caption's source has a caption", 'caption_source != ""'),
        length(0, 0, "what names no source has no caption", 'caption_source == ""'),
        *(
            among(side, range(grid.side, LONGEST_SIDE + 1, grid.side), f"{side} is a multiple of {grid.side} pixels")
            for side in ("width", "height")
        ),
        among("frames", [1], "an image has one frame", image),
        among(
            "frames",
            range(grid.shortest_video, LONGEST_VIDEO + 1, grid.frames),
            f"a video has 1 + {grid.frames}k frames, {grid.shortest_video} or more",
            video,
        ),
        among("fps", [0.0], "an image has no frame rate", image),
        within("fps", 0.1, 240, "a video has 0.1 to 240 frames a second", video),
        within("duration_error_s", 0, 0.001, "duration_s is frames / fps"),
        within("source_start_s", 0, float("1e6"), "source_start_s is not negative"),
        *(within(score, 0, 1, f"{score} lies in 0..1") for score in SCORES),
        among("file_found", [True], "its file is there"),
        among("id_matches", [True], "clip_id is the sha256 of its file", "file_found == True"),
        among("decodes", [True], "its file decodes to the stated size and length", "sampled == True"),
    ]


def _where(condition: str | None) -> dict[str, str]:
    return {"row_condition": condition, "condition_parser": "pandas"} if condition else {}


def _run(clips: pd.DataFrame, expectations: Sequence[Any], name: str) -> list[Finding]:
    """Let Great Expectations validate a table."""
    # It would otherwise report each use of it to its makers, and wait for the network.
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations as gx

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    batch = (
        context.data_sources.add_pandas("clips").add_dataframe_asset(name).add_batch_definition_whole_dataframe(name)
    )
    suite = context.suites.add(gx.ExpectationSuite(name, expectations=list(expectations)))
    definition = context.validation_definitions.add(gx.ValidationDefinition(name=name, data=batch, suite=suite))
    outcome = definition.run(batch_parameters={"dataframe": clips}, result_format="COMPLETE")
    by_text = {result.expectation_config.description: result for result in outcome.results}
    return [_finding(by_text[expectation.description], len(clips)) for expectation in expectations]


def _finding(result: Any, rows: int) -> Finding:
    checked = result.result.get("element_count", rows)
    failing = [int(index) for index in result.result.get("unexpected_index_list") or []]
    return Finding(result.expectation_config.description, checked, failing, bool(result.success))


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
        return dataset.frames(clip["clip_id"]).shape == (clip["frames"], clip["height"], clip["width"], 3)
    except KinoraError:
        return False


def _report(
    valid: ClipDataset, findings: Sequence[Finding], rejected: Sequence[dict[str, Any]], figures: dict[str, float]
) -> Page:
    unmet = [finding for finding in findings if not finding.met]
    page = Page(
        "Validation",
        f"{len(unmet)} of {len(findings)} expectations were broken; the rows that broke them are in quarantine."
        if unmet
        else f"All {len(findings)} expectations of the dataset's contract are met.",
    )
    page.figures(
        {
            "clips checked": f"{figures['checked']:.0f}",
            "kept": f"{figures['kept']:.0f}",
            "moved to quarantine": f"{figures['failed_validation']:.0f}",
            "expectations met": f"{figures['expectations_met']:.0f} of {figures['expectations']:.0f}",
        }
    )
    if unmet:
        page.heading("Broken").table(_rows(unmet))
        page.table(
            [{"source": row["source"], "what is wrong": row["explanation"]} for row in rejected[:100]],
            caption=f"The first 100 of {len(rejected)}." if len(rejected) > 100 else "",
        )
    page.heading("Curation scores").plot(score_plot(valid), caption="How the clips that were kept spread, by split.")
    page.heading("What was expected").table(
        _rows([finding for finding in findings if finding.met]), caption="Checked by Great Expectations."
    )
    return quarantine_section(page, valid)


def _rows(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """Make a table of findings; those that say the same of several columns share a row."""
    grouped: dict[tuple[str, int, int], list[str]] = defaultdict(list)
    for finding in findings:
        column, _, rest = finding.expected.partition(" is ")
        shared = rest == "never missing" or rest in TYPES.values()
        key = (f" is {rest}" if shared else finding.expected, finding.checked, len(finding.failing))
        grouped[key].append(column if shared else "")
    return [
        {"expectation": ", ".join(columns) + expected, "rows asked": checked, "rows failing": failing}
        for (expected, checked, failing), columns in grouped.items()
    ]
