"""What a person sees of a clip dataset: its clips playing, what it holds, what was rejected and why."""

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from kinora.data.clips import ClipDataset
from kinora.data.curation_report import curation_section
from kinora.data.ingest.config import WORLDS
from kinora.data.rows import hashed
from kinora.report import Clip, Page

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN_CLIPS, SHOWN_REJECTIONS = 16, 50
BINS = 20
PLOTTED = ("brightness", "contrast", "motion", "sharpness", "flow")
SPLIT_COLOURS = {"train": "#2f5fd0", "validation": "#e08a2e"}


def ingest_report(dataset: ClipDataset) -> Page:
    """Show a dataset: what it holds, a sample of its clips playing, and what was rejected and why."""
    counts = dataset.describe()
    page = Page("Clips", _summary(counts))
    page.figures(
        {
            "videos": f"{counts['videos']:.0f}",
            "images": f"{counts['images']:.0f}",
            "of video": _minutes(counts["seconds"]),
            "held out for validation": f"{counts['validation']:.0f}",
            "with a caption": f"{counts['captioned']:.0f}",
            "in quarantine": f"{counts['quarantined']:.0f}",
        }
    )
    page.heading("A sample").clips(_sample(dataset))
    page.heading("Sizes").table(_sizes(dataset), caption="Aspect ratios are kept; nothing is padded to a square.")
    page.heading("Curation scores").plot(
        score_plot(dataset),
        caption="Luminance: mean, standard deviation, mean change between frames and between neighbouring pixels; and "
        "the speed of optical flow, in diagonals of the picture a second.",
    )
    if dataset.config.get("source", WORLDS) != WORLDS:
        curation_section(page, dataset)
    return quarantine_section(page, dataset)


def quarantine_section(page: Page, dataset: ClipDataset) -> Page:
    """Add what was rejected and why to a report."""
    shown: list[dict[Any, Any]] = []
    reasons: Counter[str] = Counter()
    for piece in dataset.rejected():
        reasons.update(piece["reason"])
        shown += piece.head(SHOWN_REJECTIONS - len(shown)).to_dict("records")
    page.heading("Quarantine")
    if not reasons:
        return page.text("Nothing was rejected.")
    if reasons.total() > SHOWN_REJECTIONS:
        page.table([{"reason": reason, "inputs": count} for reason, count in reasons.most_common()])
    rows = [
        {
            "input": row["source"],
            "at": f"{row['source_start_s']:.2f} s",
            "reason": row["reason"],
            "what is wrong": row["explanation"],
        }
        for row in shown
    ]
    more = reasons.total() - len(rows)
    return page.table(rows, caption=f"And {more} more in quarantine.parquet." if more else "")


def score_plot(dataset: ClipDataset) -> "Figure":
    """Plot how the curation scores spread over each split."""
    from matplotlib.figure import Figure

    columns = [*PLOTTED, "split"]
    most = np.full(len(PLOTTED), 1e-3)
    for piece in dataset.pieces(PLOTTED):
        most = np.maximum(most, piece.max().to_numpy())
    edges = [np.linspace(0, high, BINS + 1) for high in most]
    counts = {split: np.zeros((len(PLOTTED), BINS)) for split in SPLIT_COLOURS}
    for piece in dataset.pieces(columns):
        for split, some in piece.groupby("split"):
            parts = [np.histogram(some[score], bins)[0] for score, bins in zip(PLOTTED, edges, strict=True)]
            counts[str(split)] += np.stack(parts)
    figure = Figure(figsize=(9.6, 2.4), layout="constrained")
    for number, (axes, score) in enumerate(zip(figure.subplots(1, len(PLOTTED)), PLOTTED, strict=True)):
        bins = edges[number]
        for split, colour in SPLIT_COLOURS.items():
            share = counts[split][number] / max(1, counts[split][number].sum())
            axes.hist(bins[:-1], bins=bins, weights=share, alpha=0.55, color=colour, label=split)
        axes.set_title(score, fontsize=10)
        axes.set_yticks([])
        axes.tick_params(labelsize=8)
        axes.spines[["top", "left", "right"]].set_visible(False)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=9, frameon=False)
    return figure


def _summary(counts: dict[str, float]) -> str:
    rejected = f"; {counts['quarantined']:.0f} inputs could not be used" if counts["quarantined"] else ""
    return f"{counts['clips']:.0f} clips{rejected}."


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _sample(dataset: ClipDataset) -> Iterator[Clip]:
    """Pick clips of every source in turn, videos first, without any preference within one: 32 bytes a clip."""
    pieces = dataset.pieces(["source", "width", "height", "kind"])
    clips = pd.concat([piece.assign(source=hashed(piece["source"])) for piece in pieces], ignore_index=True)
    clips = clips.sample(frac=1, random_state=0)
    turn = clips.groupby(
        "source" if clips["source"].nunique() < SHOWN_CLIPS else ["width", "height", "kind"]
    ).cumcount()
    shown = clips.assign(turn=turn).sort_values(["turn", "kind"], ascending=[True, False], kind="stable")
    for row in dataset.rows.read(shown.index[:SHOWN_CLIPS].to_numpy()).to_dict("records"):
        caption = row["caption"] if len(row["caption"]) < 120 else f"{row['caption'][:117]}..."
        size = f"{row['width']}x{row['height']}"
        length = f", {row['frames']} frames at {row['fps']:g}/s" if row["kind"] == "video" else ""
        start = f" from {row['source_start_s']:.1f} s" if row["source_start_s"] else ""
        held = ", held out" if row["split"] == "validation" else ""
        note = f"{size}{length}{held}"
        # A clip without a caption goes by its file.
        label, note = (caption, f"{note}; {row['source']}{start}") if caption else (f"{row['source']}{start}", note)
        yield Clip(dataset.row_frames(row), row["fps"], label, note)


def _sizes(dataset: ClipDataset) -> list[dict[str, Any]]:
    counts: Counter[tuple[str, int, int, int, str]] = Counter()
    for piece in dataset.pieces(names := ["kind", "width", "height", "frames", "split"]):
        counts.update(piece[names].itertuples(index=False, name=None))
    alike = pd.DataFrame([[*key, count] for key, count in counts.items()], columns=[*names, "clips"])
    return [
        {
            "kind": kind,
            "size": f"{width}x{height}",
            "clips": int(some["clips"].sum()),
            "frames": ", ".join(map(str, sorted(some["frames"].unique()))),
            "held out": int(some.loc[some["split"] == "validation", "clips"].sum()),
        }
        for (kind, width, height), some in sorted(
            alike.groupby(["kind", "width", "height"]), key=lambda item: item[0], reverse=True
        )
    ]
