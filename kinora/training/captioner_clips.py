"""The captioned clips of a dataset: those that a captioner learns from, is calibrated on, and is measured on."""

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from kinora.captioning.accuracy import accuracy_note, is_unfounded, unfounded_words, wrong_attributes
from kinora.data.clips import ClipDataset
from kinora.data.rows import hashed
from kinora.models.captioner import Captioner, CaptionerConfig, FrameSample, sample_frames
from kinora.worlds import Attributes, WorldsConfig, draw_sample, parse

T = TypeVar("T")
COLUMNS = ("uri", "kind", "frames", "fps", "source", "caption", "caption_source")
SOURCES = ("human", "simulator")  # captions worth learning from; not a captioner's own
IMAGE_SHARE = 4  # one in so many of the clips that are simulated here is an image
UNSEEN = 100  # clips that a captioner of simulated worlds is calibrated on, and measured on, at least
MOST_UNSEEN = 1000  # ... and any captioner at most
SHIFT = 3  # pixels that clips are moved at most while training
MIRRORED = (("left", "right"), ("leftward", "rightward"), ("leftwards", "rightwards"))


@dataclass(frozen=True)
class Example:
    """A clip with its caption: frames `uint8 [T, H, W, 3]`, and what it shows where a simulator knows."""

    frames: np.ndarray
    fps: float
    caption: str
    truth: Attributes | None = None

    def is_wrong(self, written: str) -> bool:
        """Say whether another caption says what this clip does not show, or of a simulated one not all of it."""
        if self.truth is not None:
            return bool(wrong_attributes(written, self.truth))
        return is_unfounded(written, self.caption)

    def note(self, written: str) -> str:
        """Say in one line whether another caption is right, and what would be."""
        if self.truth is not None:
            return accuracy_note(written, self.truth)
        unfounded = unfounded_words(written, self.caption)
        lead = f"Not in the person's caption: {', '.join(unfounded)}. That is: " if unfounded else "The person's: "
        return lead + self.caption


@dataclass(frozen=True)
class Captioned:
    """Samples of clips' frames with their captions, of so many inputs, and how many were simulated for the purpose."""

    samples: list[FrameSample]
    captions: list[str]
    inputs: int = 0
    simulated: int = 0


@dataclass(frozen=True)
class CaptionedBatch:
    """Clips of one size: frames `uint8 [B, F, H, W, 3]`, seconds `[B]`, token ids of their captions `[B, N]`."""

    frames: Tensor
    seconds: Tensor
    words: Tensor


def captioned_clips(
    dataset: ClipDataset, config: CaptionerConfig, worlds: WorldsConfig, least: int, most: int
) -> Captioned:
    """Return the captioned training clips, evenly `most` at most.

    Of a simulated dataset there are `least` or more: others are simulated for the purpose. Clips of a person are
    learned from captions that people brought, alone.
    """
    found = Captioned([], [])
    captioned, are_simulated = _captioned(dataset, "train")
    rows = _evenly(dataset, captioned, most)
    simulated = max(0, least - len(rows)) if are_simulated else 0
    for example in [*_examples(dataset, rows), *_simulated(worlds, simulated, seed=2, held_out=False)]:
        found.samples.append(sample_frames(example.frames, example.fps, config))
        found.captions.append(example.caption)
    return replace(found, inputs=rows["source"].nunique() + simulated, simulated=simulated)


def unseen_examples(dataset: ClipDataset, worlds: WorldsConfig) -> tuple[list[Example], list[Example]]:
    """Return captioned clips of the validation split: those to calibrate on, and others to measure on.

    Clips of one source are in one of the two, and one of each source is calibrated on, because what is wrong in one of
    them is likely wrong in the next. A simulated dataset has `UNSEEN` of both or more.
    """
    captioned, are_simulated = _captioned(dataset, "validation")
    parts = []
    for seed, some in (
        (3, captioned[captioned["first"]].drop_duplicates("source")),
        (4, captioned[~captioned["first"]]),
    ):
        examples = list(_examples(dataset, _evenly(dataset, some, MOST_UNSEEN)))
        if are_simulated:
            more = max(0, UNSEEN - len(examples))
            examples += _simulated(worlds, more, seed=seed, held_out=worlds.held_out > 0)
        parts.append(examples)
    return parts[0], parts[1]


def group_by_size(model: Captioner, samples: Sequence[FrameSample], captions: Sequence[str]) -> list[CaptionedBatch]:
    """Put clips of equal size and captions of them together."""
    by_shape: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for index, sample in enumerate(samples):
        by_shape[sample.frames.shape].append(index)
    return [
        CaptionedBatch(
            torch.from_numpy(np.stack([samples[i].frames for i in members])),
            torch.tensor([samples[i].seconds for i in members]),
            model.tokenize([captions[i] for i in members]),
        )
        for _, members in sorted(by_shape.items())
    ]


def mirrored_words(model: Captioner) -> Tensor:
    """Return for every token id `[V]` the id of the word that describes the clip when it is mirrored."""
    swapped = torch.arange(len(model.config.vocabulary))
    for one, other in MIRRORED:
        if one in model.token_ids and other in model.token_ids:
            swapped[model.token_ids[one]], swapped[model.token_ids[other]] = (
                model.token_ids[other],
                model.token_ids[one],
            )
    return swapped


def draw_batch(
    groups: Sequence[CaptionedBatch], size: int, mirror: Tensor, generator: torch.Generator
) -> CaptionedBatch:
    """Draw clips of one size, every clip as likely as any other, half of them mirrored, all shifted a little."""
    shares = torch.tensor([float(len(group.seconds)) for group in groups])
    group = groups[int(torch.multinomial(shares, 1, generator=generator))]
    chosen = torch.randint(len(group.seconds), (size,), generator=generator)
    mirrored = torch.rand(size, generator=generator) < 0.5
    frames, words = _shift(group.frames[chosen], generator), group.words[chosen]
    return CaptionedBatch(
        torch.where(mirrored[:, None, None, None, None], frames.flip(3), frames),
        group.seconds[chosen],
        torch.where(mirrored[:, None], mirror[words], words),
    )


def evenly(items: Sequence[T], count: int) -> Sequence[T]:
    """Return about `count` of the items, from the first to nearly the last."""
    return items[:: max(1, len(items) // count)][:count]


def _captioned(dataset: ClipDataset, split: str) -> tuple[pd.DataFrame, bool]:
    """Find the clips of a split whose captions are worth learning from, without holding a text of them.

    Returns:
        of each the place of its row, a hash of its `source`, and whether that is in the `first` half of all; and
        whether all captions are a simulator's, so that more of the same can be simulated.
    """
    writers: set[str] = set()
    parts, start = [], 0
    for piece in dataset.pieces(["source", "split", "caption", "caption_source"]):
        captioned = (piece["caption"] != "") & piece["caption_source"].isin(SOURCES)
        writers.update(piece["caption_source"][captioned])
        sources = piece["source"][captioned & (piece["split"] == split)]
        first = [hashlib.sha256(source.encode()).digest()[0] % 2 == 0 for source in sources]
        columns = {"place": start + sources.index, "source": hashed(sources), "first": np.array(first, bool)}
        parts.append(pd.DataFrame(columns))
        start += len(piece)
    return pd.concat(parts), writers == {"simulator"}


def _evenly(dataset: ClipDataset, clips: pd.DataFrame, most: int) -> pd.DataFrame:
    """Read the rows of evenly `most` at most of the clips that were found."""
    chosen = np.unique(np.linspace(0, len(clips) - 1, min(len(clips), most)).round().astype(int))
    return dataset.rows.read(clips["place"].to_numpy()[chosen], COLUMNS)


def _examples(dataset: ClipDataset, rows: pd.DataFrame) -> Iterator[Example]:
    records = rows.to_dict("records")
    for frames, row in zip(dataset.read_rows(records), records, strict=True):
        truth = parse(row["caption"]) if row["caption_source"] == "simulator" else None
        yield Example(frames, row["fps"], row["caption"], truth)


def _simulated(worlds: WorldsConfig, count: int, *, seed: int, held_out: bool) -> Iterator[Example]:
    for index in range(count):
        # Not the seeds of the dataset's own simulated clips, which may be among the unseen.
        chance = np.random.default_rng([worlds.seed, seed, index])
        sample = draw_sample(worlds, chance, held_out=held_out, image=index % IMAGE_SHARE == 0)
        yield Example(sample.frames, sample.fps, sample.caption, sample.attributes)


def _shift(frames_BFHWC: Tensor, generator: torch.Generator) -> Tensor:
    """Move the picture by a few pixels, the same for all frames; the border is repeated. No caption tells places."""
    dy, dx = torch.randint(-SHIFT, SHIFT + 1, (2,), generator=generator).tolist()
    height, width = frames_BFHWC.shape[2:4]
    rows = (torch.arange(height) + dy).clamp(0, height - 1)
    columns = (torch.arange(width) + dx).clamp(0, width - 1)
    return frames_BFHWC[:, :, rows][:, :, :, columns]
