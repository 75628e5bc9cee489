"""What Great Expectations is asked of a clip dataset: of the table as a whole, and of each row."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from kinora.data.columns import CLIP_COLUMNS, INSTANT, LONGEST_CAPTION
from kinora.data.grid import Grid

LONGEST_SIDE, LONGEST_VIDEO = 4096, 4001  # pixels, frames
MOST_FLOW = 1000.0  # frame diagonals a second: a frame is crossed in a thousandth of one
SHARES = ("brightness", "contrast", "motion", "sharpness", "still_share", "clipped", "bars", "text")
CAPTION_SOURCES = ("human", "simulator", "captioner", "hf", "openai")
TYPES = {"object": "str", "int64": "int64", "float64": "float64", INSTANT: "Timestamp"}


@dataclass(frozen=True)
class Finding:
    """One expectation's outcome: what was expected in plain words, rows it was asked of, positions of failing rows.

    `observed` is what an expectation of a column as a whole found, None of others.
    """

    expected: str
    checked: int
    failing: Sequence[int]
    met: bool
    observed: Any = None


def of_the_table() -> list[Any]:
    """Return what is expected of the table of clips: its columns, their types, and that it is not empty."""
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


def of_each_row(grid: Grid) -> list[Any]:
    """Return what is expected of every clip of a dataset that was made for `grid`."""
    import great_expectations.expectations as gxe

    def within(column: str, low: float, high: float, text: str, only: str | None = None) -> Any:
        return gxe.ExpectColumnValuesToBeBetween(
            column=column, min_value=low, max_value=high, description=text, **_where(only)
        )

    def among(column: str, values: Iterable[Any], text: str, only: str | None = None) -> Any:
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
        among("repeats", [False], "every clip_id is there once"),
        gxe.ExpectColumnValuesToMatchRegex(
            column="clip_id", regex="^[0-9a-f]{64}$", description="clip_id is a sha256 in hexadecimal"
        ),
        among("kind", ["video", "image"], "kind is video or image"),
        among("split", ["train", "validation"], "split is train or validation"),
        among("caption_source", [*CAPTION_SOURCES, ""], "caption_source is one of the known"),
        length(1, LONGEST_CAPTION, "what names a caption's source has a caption", 'caption_source != ""'),
        length(0, 0, "what names no source has no caption", 'caption_source == ""'),
        within("caption_confidence", 0, 1, "caption_confidence lies in 0..1"),
        within("caption_confidence", 0, 0, "where there is no caption, caption_confidence is 0", 'caption == ""'),
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
        *(within(score, 0, 1, f"{score} lies in 0..1") for score in SHARES),
        within("flow", 0, MOST_FLOW, "flow is not negative, and no faster than can be seen"),
        among("file_found", [True], "its file is there"),
        among("id_matches", [True], "clip_id is the sha256 of its file", "file_found == True"),
        among("decodes", [True], "its file decodes to the stated size and length", "sampled == True"),
    ]


@dataclass
class Tally:
    """What came of one expectation in all pieces of a table: rows it was asked of, and rows that break it."""

    expected: str
    checked: int = 0
    failing: int = 0
    met: bool = True

    def add(self, finding: Finding) -> None:
        """Add what was found in a piece."""
        self.checked += finding.checked
        self.failing += len(finding.failing)
        self.met &= finding.met


def run(table: pd.DataFrame, expectations: Mapping[str, Any], name: str) -> dict[str, Finding]:
    """Let Great Expectations validate a table; return what it found under the keys of `expectations`."""
    if not expectations:
        return {}
    # It would otherwise report each use of it to its makers, and wait for the network.
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations as gx

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    asset = context.data_sources.add_pandas("clips").add_dataframe_asset(name)
    batch = asset.add_batch_definition_whole_dataframe(name).get_batch(batch_parameters={"dataframe": table})
    # Not through a validation definition: its store cannot write what it finds of quantiles.
    outcome = batch.validate(
        gx.ExpectationSuite(name, expectations=list(expectations.values())), result_format="COMPLETE"
    )
    by_text = {result.expectation_config.description: result for result in outcome.results}
    return {key: _finding(by_text[wanted.description], len(table)) for key, wanted in expectations.items()}


def described(expectations: Iterable[Any]) -> dict[str, Any]:
    """Return expectations by their descriptions."""
    return {expectation.description: expectation for expectation in expectations}


def _finding(result: Any, rows: int) -> Finding:
    checked = result.result.get("element_count", rows)
    failing = [int(index) for index in result.result.get("unexpected_index_list") or []]
    observed = result.result.get("observed_value")
    return Finding(result.expectation_config.description, checked, failing, bool(result.success), observed)


def _where(condition: str | None) -> dict[str, str]:
    return {"row_condition": condition, "condition_parser": "pandas"} if condition else {}
