"""How far the distribution of each column of a table has moved from that of a reference, measured by Evidently.

The measure is the population stability index (PSI): the sum over bins of (p - q) * ln(p / q), where p and q are the
shares of the current and of the reference rows in a bin. 0 is no change, and 0.2 is usually called a significant one.
Of few rows PSI is far from 0 by chance alone: a column has drifted where its PSI is also above what 99 of 100 random
splits of the same rows give. A split puts so many of the rows of each bin on one side as draws without replacement do,
which is the multivariate hypergeometric distribution.
"""

import itertools
import os
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from kinora.data.curation import curation_scores
from kinora.errors import UsageError
from kinora.report import Page
from kinora.report.plots import inline_svg

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from kinora.data.clips import ClipDataset

SCORES = ("brightness", "contrast", "motion", "sharpness", "flow", "still_share", "clipped", "bars", "text")
PSI_THRESHOLD = 0.2
# Letterbox and text are measured on the whole picture of a source, which a generated clip has none of.
OF_FRAMES = tuple(score for score in SCORES if score not in ("bars", "text"))
MIN_ROWS = 10  # on each side, below which a figure of drift means nothing
BINS, MOST_CATEGORIES = 10, 20
SPLITS, CHANCE = 1000, 0.99
OTHER, NONE = "other", "none"
COLOURS, INK = ("#2f5fd0", "#b0b0b0"), "#1b1f24"


@dataclass(frozen=True)
class DriftConfig:
    """When requests have moved so far from the training captions, and are answered so badly, that training starts.

    days: how far back requests count. fewest_requests: below which nothing is decided. psi: from which a feature has
    drifted. drifted_share: of the features, from which the requests have drifted; `unknown_words`, of the words that
    no training caption has, does too. judged: how many recent prompts the deployed model is asked for again.
    quality_floor: the share of them whose words it knows and whose clips have no failure, below which it answers badly.

    Raises:
        UsageError: if a value is out of its range.
    """

    days: int = 7
    fewest_requests: int = 50
    psi: float = PSI_THRESHOLD
    drifted_share: float = 0.5
    unknown_words: float = 0.1
    judged: int = 16
    quality_floor: float = 0.5

    def __post_init__(self) -> None:
        if self.days < 1 or self.fewest_requests < MIN_ROWS or self.judged < 1 or self.psi <= 0:
            raise UsageError(
                f"drift.days and drift.judged must be 1 or more, drift.fewest_requests {MIN_ROWS} or more, "
                "and drift.psi above 0."
            )
        if not 0 < self.drifted_share <= 1 or not 0 < self.unknown_words <= 1 or not 0 <= self.quality_floor <= 1:
            raise UsageError("drift.drifted_share, drift.unknown_words and drift.quality_floor are shares, 0 to 1.")


@dataclass(frozen=True)
class ColumnDrift:
    """One column: its PSI, the PSI that chance stays below, whether it drifted, and the shares of rows in its bins."""

    name: str
    psi: float
    chance: float
    drifted: bool
    bins: tuple[str, ...]
    current: tuple[float, ...]
    reference: tuple[float, ...]


@dataclass(frozen=True)
class DriftResult:
    """What a comparison found: the rows on each side, and each column; no columns where there are too few rows."""

    current_rows: int
    reference_rows: int
    columns: tuple[ColumnDrift, ...]

    @property
    def drifted(self) -> list[str]:
        """The names of the columns that drifted."""
        return [column.name for column in self.columns if column.drifted]

    @property
    def drifted_share(self) -> float:
        """The share of the columns that drifted, 0 where nothing could be compared."""
        return len(self.drifted) / max(1, len(self.columns))

    def figures(self) -> dict[str, float]:
        """Return `psi_<column>` of each column, and `drifted_share`; nothing where nothing could be compared."""
        if not self.columns:
            return {}
        return {f"psi_{column.name}": column.psi for column in self.columns} | {"drifted_share": self.drifted_share}

    def sentence(self, current: str, reference: str) -> str:
        """Say what was found of the tables with these names."""
        if not self.columns:
            return (
                f"{self.current_rows} rows of {current} and {self.reference_rows} of {reference} say nothing about "
                f"drift; {MIN_ROWS} of each are needed."
            )
        moved = f"{len(self.drifted)} of {len(self.columns)} columns drifted"
        names = f": {', '.join(self.drifted)}" if self.drifted else ""
        return f"{moved}{names}. {current}: {self.current_rows} rows; {reference}: {self.reference_rows} rows."


def compare(
    current: pd.DataFrame, reference: pd.DataFrame, categorical: Sequence[str] = (), threshold: float = PSI_THRESHOLD
) -> DriftResult:
    """Compare the columns of `current` with the same ones of `reference`; a missing value is a value like any other.

    Columns that are not `categorical` are numerical, and go into ten bins of as many reference rows each.
    """
    rows = len(current), len(reference)
    if min(rows) < MIN_ROWS:
        return DriftResult(*rows, ())
    names = [str(name) for name in current]
    binned = {name: _binned(current[name], reference[name], name in categorical) for name in names}
    current, reference = (pd.DataFrame({name: sides[side] for name, (_, *sides) in binned.items()}) for side in (0, 1))
    psi = _measured_by_evidently(current, reference, threshold)
    columns = []
    for name, (labels, *sides) in binned.items():
        counts = np.array([np.bincount(side, minlength=len(labels)) for side in sides])
        chance, shares = _by_chance(counts), counts / counts.sum(axis=1, keepdims=True)
        drifted = psi[name] >= max(threshold, chance)
        columns.append(ColumnDrift(name, psi[name], chance, drifted, tuple(labels), *map(tuple, shares.tolist())))
    return DriftResult(*rows, tuple(columns))


def dataset_drift(current: "ClipDataset", reference: "ClipDataset") -> DriftResult:
    """Compare the clips of two datasets: their scores, sizes, lengths and captions, not who wrote the captions.

    Of each clip some 110 bytes of numbers are held.
    """
    return compare(_features_of_clips(current), _features_of_clips(reference), ("kind", "size", "split"))


def generated_against_real(generated: Iterable[tuple[np.ndarray, float]], real: "ClipDataset") -> DriftResult:
    """Compare the curation scores of generated clips with those of the held-out clips of a dataset, but bars and text.

    Args:
        generated: frames `uint8 [T, H, W, 3]` and frames a second of each clip.
        real: the dataset that the model was trained on; its validation clips are compared, videos where any of the
            generated clips is one, else images.
    """
    scores, moving = [], False
    for frames, fps in generated:
        scores.append(curation_scores(frames, fps))
        moving = moving or len(frames) > 1
    kind = "video" if moving else "image"
    pieces = real.pieces([*OF_FRAMES, "split", "kind"])
    held_out = [rows[(rows["split"] == "validation") & (rows["kind"] == kind)][list(OF_FRAMES)] for rows in pieces]
    return compare(pd.DataFrame(scores, columns=list(OF_FRAMES)).astype("float64"), pd.concat(held_out))


def drift_section(page: Page, heading: str, result: DriftResult, current: str, reference: str) -> Page:
    """Add a comparison to a report: the verdict, and every column's PSI with both distributions."""
    page.heading(heading).text(result.sentence(current, reference))
    if not result.columns:
        return page
    return page.table(
        [
            {
                "column": column.name,
                "PSI": f"{column.psi:.3f}",
                "by chance up to": f"{column.chance:.3f}",
                "verdict": "drifted" if column.drifted else "",
                "distribution": Markup(inline_svg(_histogram(column))),
            }
            for column in sorted(result.columns, key=lambda column: (-column.drifted, -column.psi))
        ],
        caption=f"Population stability index, by Evidently. {PSI_THRESHOLD:g} is usually called significant; "
        f"of few rows, so much comes by chance. Dark bars are {current}, wide light ones {reference}; bins hold as "
        "many rows of the latter each, or one value.",
    )


def _histogram(column: ColumnDrift) -> "Figure":
    """Plot the shares of both tables in the bins of a column, small enough for a cell of a table on a phone."""
    from matplotlib.figure import Figure

    figure, places = Figure(figsize=(1.9, 0.7)), np.arange(len(column.bins))
    axes = figure.add_axes((0, 0.2, 1, 0.8))
    axes.bar(places, column.reference, width=0.9, color=COLOURS[1])
    axes.bar(places, column.current, width=0.45, color=COLOURS[0])
    axes.set_xlim(-0.5, len(places) - 0.5)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[["top", "left", "right"]].set_visible(False)
    shown = [place for place in places if column.current[place] or column.reference[place]]
    for place, side in ((shown[0], "left"), (shown[-1], "right")) if len(shown) > 1 else ((shown[0], "left"),):
        edge = 0.0 if side == "left" else 1.0
        axes.text(
            edge, -0.05, column.bins[place][:16], transform=axes.transAxes, ha=side, va="top", fontsize=6.5, color=INK
        )
    return figure


def caption_words(captions: pd.Series) -> "pd.Series[float]":
    """Return how many words each caption has."""
    return captions.map(lambda caption: float(len(caption.split())))


def _features_of_clips(dataset: "ClipDataset") -> pd.DataFrame:
    taken = [*SCORES, "frames", "fps", "kind", "split"]
    parts = [
        piece[taken].assign(size=size_names(piece), caption_words=caption_words(piece["caption"]))
        for piece in dataset.pieces([*taken, "width", "height", "caption"])
    ]
    return pd.concat(parts, ignore_index=True)


def size_names(clips: pd.DataFrame) -> pd.Series:
    """Return the size of each clip as text, which those of one size share: 8 bytes a clip."""
    codes, sizes = pd.MultiIndex.from_frame(clips[["width", "height"]]).factorize()
    names = np.array([f"{width}x{height}" for width, height in sizes], object)
    return pd.Series(names[codes], clips.index, dtype=object)


def _binned(current: pd.Series, reference: pd.Series, categorical: bool) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Return the names of a column's bins, and the bin of each current and each reference row."""
    both = pd.concat([current, reference], ignore_index=True)
    which, values = both.factorize(sort=not categorical, use_na_sentinel=False)
    if categorical or both.nunique() <= BINS:
        names = pd.Series([_name(value) for value in values], dtype=object)
        rows = pd.Series(np.bincount(which, minlength=len(names))).groupby(names).sum()
        kept = rows.sort_values(ascending=False, kind="stable").index[: MOST_CATEGORIES - 1]
        names = names.where(names.isin(kept), OTHER)
        labels = sorted(names.unique()) if categorical else list(names.unique())
        codes = np.array([labels.index(name) for name in names], np.int8)[which]
    else:
        edges = _edges(reference.dropna().to_numpy(float))
        labels = [
            f"< {edges[0]:.3g}",
            *(f"{low:.3g} to {high:.3g}" for low, high in itertools.pairwise(edges)),
            f"≥ {edges[-1]:.3g}",
            *([NONE] if both.isna().any() else []),
        ]
        codes = np.where(both.isna(), len(labels) - 1, np.digitize(both.to_numpy(float), edges)).astype(np.int16)
    return labels, codes[: len(current)], codes[len(current) :]


def _name(value: Any) -> str:
    if pd.isna(value) or value == "":
        return NONE
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _edges(values: np.ndarray) -> np.ndarray:
    """Return the inner edges of bins with as many values each; a value that fills several bins has one of its own."""
    if not len(values):
        return np.zeros(1)
    edges, times = np.unique(np.quantile(values, np.linspace(0, 1, BINS + 1)[1:-1]), return_counts=True)
    return np.unique(np.concatenate([edges, np.nextafter(edges[times > 1], np.inf)]))


def _measured_by_evidently(current: pd.DataFrame, reference: pd.DataFrame, threshold: float) -> dict[str, float]:
    """Return the PSI of each column of two tables of bins."""
    os.environ["DO_NOT_TRACK"] = "1"  # Evidently would otherwise report each use of it to its makers
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its dependencies warn each other of deprecations
        from evidently import DataDefinition, Dataset, Report
        from evidently.presets import DataDriftPreset

    definition = DataDefinition(categorical_columns=list(current))
    tables = [Dataset.from_pandas(table, data_definition=definition) for table in (current, reference)]
    snapshot: dict[str, Any] = Report([DataDriftPreset(method="psi", threshold=threshold)]).run(*tables).dict()
    return {
        metric["config"]["column"]: float(metric["value"])
        for metric in snapshot["metrics"]
        if "column" in metric["config"]
    }


def _by_chance(counts: np.ndarray) -> float:
    """Return the PSI that `CHANCE` of the random splits of the same rows stay below; `counts` is `[2, bins]`."""
    pooled, rows = counts.sum(axis=0), counts.sum(axis=1)
    drawn = np.random.default_rng(0).multivariate_hypergeometric(pooled, rows[0], SPLITS, method="marginals")
    p, q = _shares(drawn), _shares(pooled - drawn)
    return float(np.quantile(((p - q) * np.log(p / q)).sum(axis=1), CHANCE))


def _shares(counts: np.ndarray) -> np.ndarray:
    """Return shares `[splits, bins]` as Evidently takes them, which puts a small share where there is none."""
    shares = counts / counts.sum(axis=1, keepdims=True)
    least = np.where(shares > 0, shares, np.inf).min(axis=1, keepdims=True)
    return np.where(shares > 0, shares, np.where(least <= 1e-4, least / 1e6, 1e-4))
