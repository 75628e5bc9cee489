"""The same clips cut to the square in their middle, as models of one fixed size are often fed."""

from pathlib import Path
from typing import Any

import numpy as np

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
    rows: list[dict[str, Any]] = []
    kept = pixels = 0
    clips = dataset.clips
    with atomic_folder(out) as folder, Progress("crop to squares", len(clips), "clips") as progress:
        for row, frames in zip(clips.to_dict("records"), dataset.read(clips["clip_id"]), strict=True):
            square = centre_square(frames)
            rows.append(store_clip(folder / "media", square, row["fps"], **{name: row[name] for name in KEPT}))
            kept, pixels = kept + square.size, pixels + frames.size
            progress.update(len(rows))
        settings = {"squares_of": dataset.digest, "grid": to_dict(dataset.grid)}
        ClipDataset.write(folder, table(rows, CLIP_COLUMNS), dataset.quarantine, settings)
    return ClipDataset.open(out), kept / max(1, pixels)


def squares_page(dataset: ClipDataset, squares: ClipDataset, kept: float) -> Page:
    """Show the first clips that lost something beside what is left of them."""
    page = Page("Square crops", f"The middle square of every clip: {kept:.0%} of the pixels are left.")
    clips = []
    cut = dataset.clips["width"].to_numpy() != dataset.clips["height"].to_numpy()
    for place in np.flatnonzero(cut)[:SHOWN]:
        for name, where in (("whole", dataset), ("square", squares)):
            row = where.clips.iloc[int(place)]
            clips.append(Clip(where.frames(row["clip_id"]), row["fps"] or 1.0, name, row["caption"]))
    return page.clips(clips)
