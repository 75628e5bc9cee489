"""Captions for clips that have none: one clip, or a whole dataset."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from kinora.captioning.accuracy import Accuracy, accuracy, compare
from kinora.config import from_dict
from kinora.data.clips import ClipDataset
from kinora.files import folder_digest
from kinora.models.captioner import Captioner, FrameSample, sample_frames
from kinora.progress import Progress
from kinora.report import Clip, Page
from kinora.worlds import Attributes, parse, sentences

CLIPS_AT_ONCE = 64
DEFAULT_FPS = 8.0  # of clips that come without their frame rate
CLIPS_SHOWN = 24
WRONG_SHOWN = 8  # of those, those with a wrong attribute at most


class CaptionGenerator:
    """Writes captions with a trained captioner."""

    def __init__(self, model: Captioner):
        self.model = model.eval()

    @classmethod
    def load(cls, folder: str | Path) -> "CaptionGenerator":
        """Load the captioner in `folder`; KinoraError if there is none."""
        return cls(Captioner.load(folder))

    def caption(self, clips: Sequence[np.ndarray], fps: float | Sequence[float] = DEFAULT_FPS) -> list[str]:
        """Write one sentence for each clip `uint8 [T, H, W, 3]` of any size and length, T = 1 for an image."""
        rates = [fps] * len(clips) if isinstance(fps, int | float) else fps
        return self.caption_samples(
            [sample_frames(clip, rate, self.model.config) for clip, rate in zip(clips, rates, strict=True)]
        )

    def caption_samples(self, samples: Sequence[FrameSample]) -> list[str]:
        """Write one sentence for each sample of a clip's frames."""
        groups: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for index, sample in enumerate(samples):
            groups[sample.frames.shape].append(index)
        written = [""] * len(samples)
        device = self.model.position_embedding.device
        for members in groups.values():
            for start in range(0, len(members), CLIPS_AT_ONCE):
                some = members[start : start + CLIPS_AT_ONCE]
                frames = torch.from_numpy(np.stack([samples[index].frames for index in some])).to(device)
                seconds = torch.tensor([samples[index].seconds for index in some], device=device)
                for index, sentence in zip(some, self.model.generate(frames, seconds), strict=True):
                    written[index] = sentence
        return written


def shorten(caption: str) -> str:
    """Return the short form of a caption that the worlds' parser understands, any other as it is."""
    said = parse(caption)
    return sentences(said)[1] if said is not None and said.objects else caption


def caption_dataset(
    dataset: ClipDataset, captioner: str | Path, out: str | Path, base_uri: str | None = None
) -> tuple[ClipDataset, Page, dict[str, float]]:
    """Write a dataset with the same clips in which every clip has a caption; those by people and simulators stay.

    What was written is measured against the simulator's record, of the clips that have one. `base_uri` is where the
    dataset's media can be found later, if not at its path.

    Returns:
        the dataset, a report, and metrics: `captioned`, `kept`, `accuracy_*` and `measured_*`.

    Raises:
        KinoraError: if there is no captioner in the folder, or a clip cannot be read.
    """
    generator = CaptionGenerator.load(captioner)
    clips = dataset.clips.copy()
    missing = clips.index[clips["caption"] == ""]
    written = pd.Series(_caption_rows(dataset, generator, clips.loc[missing]), index=missing, dtype=object)
    clips.loc[missing, "caption"] = written
    clips.loc[missing, "short_caption"] = written.map(shorten)
    clips.loc[missing, "caption_source"] = "captioner"
    config = {"captioner": folder_digest(captioner), "dataset": dataset.digest}
    captioned = dataset.derive(out, clips, dataset.quarantine, config, base_uri)

    rows: list[dict[str, Any]] = clips.loc[missing].to_dict("records")  # type: ignore[assignment]
    known = {row["clip_id"]: truth for row in rows if (truth := _truth(dataset, row["clip_id"]))}
    measured = accuracy((row["caption"], known[row["clip_id"]]) for row in rows if row["clip_id"] in known)
    metrics = {"captioned": float(len(missing)), "kept": float(len(clips) - len(missing)), **measured.metrics()}
    page = _page(dataset, rows, known, measured, len(clips) - len(missing))
    return captioned, page, metrics


def _caption_rows(dataset: ClipDataset, generator: CaptionGenerator, rows: pd.DataFrame) -> list[str]:
    written: list[str] = []
    samples: list[FrameSample] = []
    with Progress("caption", len(rows), "clips") as progress:
        frames = dataset.read(rows["clip_id"])
        for clip, fps in zip(frames, rows["fps"], strict=True):
            samples.append(sample_frames(clip, fps, generator.model.config))
            if len(samples) == 4 * CLIPS_AT_ONCE:
                written += generator.caption_samples(samples)
                samples.clear()
                progress.update(len(written))
        written += generator.caption_samples(samples)
        progress.update(len(written))
    return written


def _truth(dataset: ClipDataset, clip_id: str) -> Attributes | None:
    record = dataset.state(clip_id)
    return from_dict(Attributes, record["attributes"]) if record else None


def _page(
    dataset: ClipDataset, rows: list[dict[str, Any]], known: dict[str, Attributes], measured: Accuracy, kept: int
) -> Page:
    page = Page("Captions", "Clips that arrived without a caption got one from the captioner; the others keep theirs.")
    page.figures({"captions written": str(len(rows)), "captions kept": str(kept), "could be measured": str(len(known))})
    if known:
        page.heading("Attributes that are right")
        page.table(measured.rows(), "Against the simulator's record; the captioner has not seen these captions.")
    elif len(rows):
        page.text("None of these clips comes from a simulator, so how right the captions are could not be measured.")
    page.heading("What was written")
    return page.clips(_shown(dataset, rows, known))


def _shown(dataset: ClipDataset, rows: list[dict[str, Any]], known: dict[str, Attributes]) -> Iterator[Clip]:
    wrong = [row for row in rows if row["clip_id"] in known and wrong_attributes(row["caption"], known[row["clip_id"]])]
    wrong_ids = {row["clip_id"] for row in wrong}
    others = [row for row in rows if row["clip_id"] not in wrong_ids]
    # Evenly over all, so that images and videos of every size are among them.
    others_shown = others[:: max(1, len(others) // CLIPS_SHOWN)]
    for row in [*wrong[:WRONG_SHOWN], *others_shown][:CLIPS_SHOWN]:
        truth = known.get(row["clip_id"])
        note = accuracy_note(row["caption"], truth) if truth else "No record to measure it against."
        frames = dataset.frames(row["clip_id"])
        yield Clip(frames, row["fps"] or 1.0, row["caption"], note, row["clip_id"] in wrong_ids)


def wrong_attributes(written: str, truth: Attributes) -> list[str]:
    """Return the attributes that a caption gets wrong."""
    return [name for name, same in compare(written, truth).items() if not same]


def accuracy_note(written: str, truth: Attributes) -> str:
    """Say in one line whether a caption is right, and what would be."""
    wrong = wrong_attributes(written, truth)
    return f"Wrong: {', '.join(wrong)}. Truth: {sentences(truth)[0]}" if wrong else "Every attribute is right."
