"""The same clips cut to the square in their middle, as models of one fixed size are often fed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kinora.config import to_dict
from kinora.data.clips import ClipDataset, table
from kinora.data.columns import CLIP_COLUMNS
from kinora.data.stored_clip import store_clip
from kinora.files import atomic_folder
from kinora.progress import Progress
from kinora.report import Clip, Page

SHOWN = 8
KEPT = (
    "source", "split", "source_start_s", "observed_at", "caption", "short_caption", "caption_source", "caption_model",
    "caption_prompt", "caption_confidence", "written_caption", "written_short_caption",
)  # fmt: skip


def centre_square(frames: np.ndarray) -> np.ndarray:
    """Return the middle of frames `[T, H, W, 3]`, as wide and as high as the shorter side."""
    height, width = frames.shape[1:3]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return frames[:, top : top + side, left : left + side]


def crop_to_squares(dataset: ClipDataset, out: str | Path) -> tuple[ClipDataset, float]:
    """Write every clip's middle square as a dataset of its own, in the same order, with the same captions and splits.

    Returns:
        The dataset, and the share of the pixels that it keeps.
    """
    kept = pixels = done = 0
    with atomic_folder(out) as folder, Progress("crop to squares", len(dataset), "clips") as progress:

        def cut(piece: pd.DataFrame) -> Iterator[dict[str, Any]]:
            nonlocal kept, pixels, done
            rows = piece.to_dict("records")
            for row, frames in zip(rows, dataset.read_rows(rows), strict=True):
                square = centre_square(frames)
                yield store_clip(folder / "media", square, row["fps"], **{name: row[name] for name in KEPT})
                kept, pixels, done = kept + square.size, pixels + frames.size, done + 1
                progress.update(done)

        pieces = (table(cut(piece), CLIP_COLUMNS) for piece in dataset.pieces())
        settings = {"squares_of": dataset.digest, "grid": to_dict(dataset.grid)}
        ClipDataset.write(folder, pieces, dataset.rejected(), settings)
    return ClipDataset.open(out), kept / max(1, pixels)


def squares_page(dataset: ClipDataset, squares: ClipDataset, kept: float) -> Page:
    """Show the first clips that lost something beside what is left of them."""
    page = Page("Square crops", f"The middle square of every clip: {kept:.0%} of the pixels are left.")
    clips: list[Clip] = []
    sides = pd.concat(dataset.pieces(["width", "height"]), ignore_index=True)
    cut = np.flatnonzero(sides["width"] != sides["height"])[:SHOWN]
    for pair in zip(dataset.rows.read(cut).to_dict("records"), squares.rows.read(cut).to_dict("records"), strict=True):
        for name, where, row in zip(("whole", "square"), (dataset, squares), pair, strict=True):
            clips.append(Clip(where.row_frames(row), row["fps"] or 1.0, name, row["caption"]))
    return page.clips(clips)
