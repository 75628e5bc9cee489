"""What is expected of a dataset as a whole, beside the last accepted one, and what happens where it is not so.

Great Expectations is asked of two tables: the clips that keep the contract, and everything that came in, a row for each
of these clips and each rejected input.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from kinora.data.clips import ClipDataset
from kinora.data.drift import SCORES, size_names
from kinora.data.expectations import run
from kinora.data.validation_config import ValidationConfig

SIZES = 5  # the most frequent ones, whose shares are compared
QUANTILES = (0.1, 0.5, 0.9)
LEAST_DEVIATION = 0.01  # of a score, so that one that never varied may vary a little
CLIPS, INPUTS = "clips", "inputs"
BATCH_COLUMNS = (*SCORES, "kind", "caption", "split", "width", "height")


@dataclass(frozen=True)
class BatchFinding:
    """One expectation of the whole: the limit that asks for it, in words, what was found, and whether that ends a run.

    `score` is the curation score that it is about, "" of others; `too_high` whether that is too high, if it is broken.
    """

    limit: str
    expected: str
    observed: str
    met: bool
    stops: bool
    score: str = ""
    too_high: bool = False


@dataclass(frozen=True)
class _Check:
    limit: str
    table: str
    expectation: Any
    middle: float = 0.0  # of what is allowed of a score
    score: str = ""


@dataclass(frozen=True)
class Batch:
    """What is asked of a dataset as a whole.

    clips: a row a clip: its scores, its `size`, and columns that are 1 or 0: whether it is an image (`image`), has a
    caption (`captioned`), is held out (`held_out`). rejected, copies: how many inputs were rejected, and how many of
    them as a copy of something else.
    """

    clips: pd.DataFrame
    rejected: int
    copies: int

    @classmethod
    def of(cls, clips: Iterable[pd.DataFrame], quarantine: Iterable[pd.DataFrame]) -> "Batch":
        """Take it from pieces of clips, with `BATCH_COLUMNS`, and of the quarantine."""
        rejected = copies = 0
        for piece in quarantine:
            rejected, copies = rejected + len(piece), copies + int(piece["reason"].str.contains("duplicate").sum())
        return cls(pd.concat([_indicated(piece) for piece in clips], ignore_index=True), rejected, copies)

    @classmethod
    def of_dataset(cls, dataset: ClipDataset) -> "Batch":
        """Take it from a dataset."""
        return cls.of(dataset.pieces(BATCH_COLUMNS), dataset.rejected(["reason"]))

    def tables(self, sizes: Sequence[str]) -> dict[str, pd.DataFrame]:
        """Return the tables that Great Expectations is asked of; the clips' has a column for each of some sizes."""
        inputs = np.repeat(np.array([[0, 0], [1, 1], [1, 0]], np.int8), self._counts(), axis=0)
        of_size = {size: (self.clips["size"] == size).astype(np.int8) for size in sizes}
        return {CLIPS: self.clips.assign(**of_size), INPUTS: pd.DataFrame(inputs, columns=["rejected", "duplicate"])}

    def frequent_sizes(self) -> list[str]:
        """Return the sizes that most clips have."""
        return [str(size) for size in self.clips["size"].value_counts().index[:SIZES]]

    def _counts(self) -> list[int]:
        return [len(self.clips), self.copies, self.rejected - self.copies]


def check_batch(batch: Batch, config: ValidationConfig, last: Batch | None = None) -> list[BatchFinding]:
    """Ask what `config` expects of a dataset as a whole, and of it beside the `last` one."""
    sizes = last.frequent_sizes() if last is not None else []
    tables, checks = batch.tables(sizes), list(_alone(config))
    if last is not None:
        checks += _beside(last.tables(sizes), sizes, config)
    found = []
    for name, table in tables.items():
        asked = {str(number): check.expectation for number, check in enumerate(checks) if check.table == name}
        for key, finding in run(table, asked, name).items():
            check, value = checks[int(key)], finding.observed
            values = value["values"] if isinstance(value, dict) else [value]
            form = ".1%" if "%" in finding.expected else ".4g"
            said = ", ".join("nothing" if one is None else format(one, form) for one in values)
            high = bool(values[-1] is not None and values[-1] > check.middle)
            stops = check.limit in config.stops
            found.append(BatchFinding(check.limit, finding.expected, said, finding.met, stops, check.score, high))
    return found


def _alone(config: ValidationConfig) -> Iterator[_Check]:
    import great_expectations.expectations as gxe

    rows = gxe.ExpectTableRowCountToBeBetween
    text = f"at least {config.fewest_clips} clips"
    yield _Check("fewest_clips", CLIPS, rows(min_value=config.fewest_clips, description=text))
    for limit, table, column, said in (
        ("most_quarantined", INPUTS, "rejected", "of what came in is rejected"),
        ("most_duplicates", INPUTS, "duplicate", "of what came in is a copy"),
        ("least_captioned", CLIPS, "captioned", "of the clips has a caption"),
        ("least_validation", CLIPS, "held_out", "of the clips is held out"),
        ("most_validation", CLIPS, "held_out", "of the clips is held out"),
    ):
        share, most = getattr(config, limit), limit.startswith("most")
        if share == (1 if most else 0):
            continue  # it could not be broken
        low, high = (0, share) if most else (share, 1)
        text = f"at {'most' if most else 'least'} {share:.0%} {said}"
        expected = gxe.ExpectColumnMeanToBeBetween(column=column, min_value=low, max_value=high, description=text)
        yield _Check(limit, table, expected)


def _beside(before: dict[str, pd.DataFrame], sizes: list[str], config: ValidationConfig) -> Iterator[_Check]:
    """Yield what is expected of tables, given those of the last accepted dataset."""
    import great_expectations.expectations as gxe

    last, change = before[CLIPS], config.row_change
    if change:
        low = round((1 - change) * len(last))
        high = None if change == 1 else round(len(last) / (1 - change))
        text = f"as many clips as the last dataset's {len(last)}, {low} to {high or 'any number'}"
        expected = gxe.ExpectTableRowCountToBeBetween(min_value=low, max_value=high, description=text)
        yield _Check("row_change", CLIPS, expected)
    for score in SCORES if len(last) else ():
        mean, deviation = float(last[score].mean()), max(float(last[score].std(ddof=0)), LEAST_DEVIATION)
        if config.mean_shift:
            reach = config.mean_shift * deviation
            text = f"the mean of {score} is within {reach:.3g} of the last dataset's {mean:.4g}"
            expected = gxe.ExpectColumnMeanToBeBetween(
                column=score, min_value=mean - reach, max_value=mean + reach, description=text
            )
            yield _Check("mean_shift", CLIPS, expected, mean, score)
        if config.quantile_shift:
            reach, values = config.quantile_shift * deviation, last[score].quantile(list(QUANTILES)).tolist()
            said = ", ".join(f"{value:.4g}" for value in values)
            expected = gxe.ExpectColumnQuantileValuesToBeBetween(
                column=score,
                quantile_ranges={
                    "quantiles": list(QUANTILES),
                    "value_ranges": [[value - reach, value + reach] for value in values],
                },
                description=f"the quantiles of {score} are within {reach:.3g} of the last dataset's {said}",
            )
            yield _Check("quantile_shift", CLIPS, expected, values[-1], score)
    if config.share_change:
        named = {"image": "images", "captioned": "captioned clips", "held_out": "held-out clips"}
        shares = [(CLIPS, column, text) for column, text in named.items()]
        shares += [(CLIPS, size, f"clips of {size} pixels") for size in sizes]
        shares += [(INPUTS, "rejected", "rejected inputs")]
        for table, column, text in shares:
            if len(before[table]):
                yield _unchanged(table, column, text, float(before[table][column].mean()), config.share_change)


def _unchanged(table: str, column: str, text: str, before: float, change: float) -> _Check:
    import great_expectations.expectations as gxe

    expected = gxe.ExpectColumnMeanToBeBetween(
        column=column,
        min_value=before - change,
        max_value=before + change,
        description=f"the share of {text} is within {change:.0%} of the last dataset's {before:.0%}",
    )
    return _Check("share_change", table, expected)


def _indicated(clips: pd.DataFrame) -> pd.DataFrame:
    return clips[list(SCORES)].assign(
        image=(clips["kind"] == "image").astype(np.int8),
        captioned=(clips["caption"] != "").astype(np.int8),
        held_out=(clips["split"] == "validation").astype(np.int8),
        size=size_names(clips),
    )
