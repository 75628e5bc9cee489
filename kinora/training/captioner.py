"""Training of the captioner, on the clips of a dataset that arrived with a caption by a person or a simulator."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from kinora.captioning.accuracy import Accuracy, accuracy
from kinora.captioning.caption import CaptionGenerator, accuracy_note, wrong_attributes
from kinora.config import digest, to_dict
from kinora.data.clips import ClipDataset
from kinora.files import atomic_folder
from kinora.models.captioner import PAD, SPECIAL, Captioner, CaptionerConfig, FrameSample, sample_frames, split_sentence
from kinora.models.precision import device
from kinora.models.vocabulary import build_vocabulary
from kinora.progress import Progress
from kinora.report import Clip, Page
from kinora.training.checkpoints import Checkpoints, load_state, open_checkpoints, save_state
from kinora.training.config import TrainingConfig, TrainingResult
from kinora.training.loop import Trainer, fit
from kinora.training.optimizers import build_optimizers, take_step
from kinora.training.report import course_metrics, training_page, write_result
from kinora.worlds import Attributes, WorldsConfig, draw_sample, parse

T = TypeVar("T")
HIDDEN = r"^(frame_projection|pool|decoder)\."  # names of the matrices between hidden layers
SOURCES = ("human", "simulator")  # captions worth learning from; not the captioner's own
MIRRORED = (("left", "right"), ("leftward", "rightward"), ("leftwards", "rightwards"))
IMAGE_SHARE = 4  # one in so many of the clips that are simulated here is an image
UNSEEN = 100  # clips that accuracy is measured on at least; simulated ones make up the rest
SHIFT = 3  # pixels that clips are moved at most while training
HELD_OUT = 128  # clips that the held-out loss is measured on while training, at most
SAMPLES = 4  # clips that are captioned along the way
CLIPS_SHOWN, WRONG_SHOWN = 24, 8


@dataclass(frozen=True, kw_only=True)
class CaptionerTraining(TrainingConfig):
    """How a captioner is trained; see `TrainingConfig` for the rest.

    batch_size: clips of each step, all of one size.
    examples: captioned clips to learn from at least; where the dataset has fewer, simulated ones make up the rest.
    """

    model: CaptionerConfig = field(default_factory=CaptionerConfig)
    steps: int = 600
    batch_size: int = 32
    examples: int = 800
    learning_rate: float = 4e-3
    muon_learning_rate: float = 4e-3
    warmup_steps: int = 40
    weight_decay: float = 0.01


@dataclass(frozen=True)
class Example:
    """A clip with its caption: frames `uint8 [T, H, W, 3]`."""

    frames: np.ndarray
    fps: float
    caption: str


@dataclass(frozen=True)
class CaptionedBatch:
    """Clips of one size: frames `uint8 [B, F, H, W, 3]`, seconds `[B]`, token ids of their captions `[B, N]`."""

    frames: Tensor
    seconds: Tensor
    words: Tensor


def train_captioner(
    dataset: ClipDataset,
    out: str | Path,
    config: CaptionerTraining,
    checkpoints: str | Path | None = None,
    *,
    worlds: WorldsConfig,
) -> TrainingResult:
    """Train a captioner and write it to `out`, with what `TrainingResult` lists.

    With `checkpoints`, a folder, an interrupted training goes on from its last whole state there, and the result is the
    same as if it had never stopped. `worlds` simulates clips where the dataset has too few captions.

    Returns:
        The result, with `examples`, `simulated_examples`, and on unseen clips `accuracy_<attribute>` and
        `measured_<attribute>` among its metrics.
    """
    samples, captions, simulated = collect_samples(dataset, config, worlds)
    vocabulary = build_vocabulary(map(split_sentence, captions), SPECIAL)
    resolved = replace(config, model=replace(config.model, vocabulary=vocabulary))
    unseen = list(unseen_examples(dataset, worlds))
    with open_checkpoints(checkpoints, digest([to_dict(config), to_dict(worlds), dataset.digest])) as state:
        trainer = CaptionerTrainer(resolved, samples, captions, unseen)
        with Progress("train captioner", config.steps) as progress:
            fit(trainer, config, state, progress)
        written = trainer.generator.caption([e.frames for e in unseen], [e.fps for e in unseen])
        truths = [parse(e.caption) or Attributes(()) for e in unseen]
        measured = accuracy(zip(written, truths, strict=True))
        counts = {"examples": float(len(captions)), "simulated_examples": float(simulated)}
        metrics = {**measured.metrics(), **counts, **course_metrics(state)}
        page = captioner_page(metrics, measured, unseen, written, truths, state)
        with atomic_folder(out) as folder:
            trainer.model.eval().save(folder)
            write_result(folder, resolved, metrics, state, page)
    return TrainingResult(Path(out), metrics)


def collect_samples(
    dataset: ClipDataset, config: CaptionerTraining, worlds: WorldsConfig
) -> tuple[list[FrameSample], list[str], int]:
    """Return frames of all clips to learn from, their captions, and how many of them were simulated for the purpose."""
    samples, captions = [], []
    for example in _captioned(dataset, "train"):
        samples.append(sample_frames(example.frames, example.fps, config.model))
        captions.append(example.caption)
    simulated = max(0, config.examples - len(captions))
    for example in _simulated(worlds, simulated, held_out=False):
        samples.append(sample_frames(example.frames, example.fps, config.model))
        captions.append(example.caption)
    return samples, captions, simulated


def unseen_examples(dataset: ClipDataset, worlds: WorldsConfig) -> Iterator[Example]:
    """Yield captioned clips of the validation split whose attributes are known, and simulated ones if these are few."""
    count = 0
    for example in _captioned(dataset, "validation"):
        if parse(example.caption) is not None:
            yield example
            count += 1
    yield from _simulated(worlds, max(0, UNSEEN - count), held_out=worlds.held_out > 0)


def _captioned(dataset: ClipDataset, split: str) -> Iterator[Example]:
    clips = dataset.clips
    rows = clips[(clips["split"] == split) & (clips["caption"] != "") & clips["caption_source"].isin(SOURCES)]
    for frames, fps, caption in zip(dataset.read(rows["clip_id"]), rows["fps"], rows["caption"], strict=True):
        yield Example(frames, fps, caption)


def _simulated(worlds: WorldsConfig, count: int, *, held_out: bool) -> Iterator[Example]:
    for index in range(count):
        # Not the seeds of the dataset's own simulated clips, which may be among the unseen.
        chance = np.random.default_rng([worlds.seed, 2 + held_out, index])
        sample = draw_sample(worlds, chance, held_out=held_out, image=index % IMAGE_SHARE == 0)
        yield Example(sample.frames, sample.fps, sample.caption)


class CaptionerTrainer(Trainer[CaptionedBatch]):
    """A captioner, its optimizers, and the clips that it learns from and is measured on."""

    def __init__(
        self,
        config: CaptionerTraining,
        samples: Sequence[FrameSample],
        captions: Sequence[str],
        unseen: Sequence[Example],
    ):
        self.config, self.device = config, device()
        self.random = torch.Generator().manual_seed(config.seed)  # draws all, so that its state is the random state
        torch.manual_seed(config.seed)  # the weights' first values
        self.model = Captioner(config.model).to(self.device)
        self.optimizers = build_optimizers(self.model, HIDDEN, config)
        self.batches = group_by_size(self.model, samples, captions)
        self.mirror = _mirror(self.model)
        self.generator = CaptionGenerator(self.model)
        some = _evenly(unseen, HELD_OUT)
        self.shown = _evenly(some, SAMPLES)
        self.held_out = group_by_size(
            self.model, [sample_frames(e.frames, e.fps, config.model) for e in some], [e.caption for e in some]
        )

    def batch(self, step: int) -> CaptionedBatch:
        """Draw clips of one size."""
        return _draw_batch(self.batches, self.config.batch_size, self.mirror, self.random)

    def step(self, step: int, batch: CaptionedBatch, rate: float) -> dict[str, Tensor | float]:
        """Take one step on a batch of clips."""
        loss = self._cross_entropy(batch, "mean")
        norm = take_step(self.model, self.optimizers, loss, self.config, rate)
        return {"loss": loss, "gradient_norm": norm}

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Return the cross-entropy of the next word over unseen clips."""
        words = sum(int((batch.words[:, 1:] != PAD).sum()) for batch in self.held_out)
        total = sum(float(self._cross_entropy(batch, "sum")) for batch in self.held_out)
        return {"held_out_loss": total / max(words, 1)}

    def sample(self) -> list[Clip]:
        """Caption a few unseen clips."""
        written = self.generator.caption([e.frames for e in self.shown], [e.fps for e in self.shown])
        return [
            _shown_clip(*pair, parse(pair[0].caption) or Attributes(()))
            for pair in zip(self.shown, written, strict=True)
        ]

    def save(self, folder: Path) -> dict[str, Any]:
        """Write weights, optimizer states and random state."""
        save_state(folder, self.model, self.optimizers, self.random)
        return {}

    def load(self, folder: Path, values: dict[str, Any]) -> None:
        """Put them back."""
        load_state(folder, self.model, self.optimizers, self.random)

    def _cross_entropy(self, batch: CaptionedBatch, reduction: str) -> Tensor:
        words_BN = batch.words.to(self.device)
        logits_BNV = self.model(batch.frames.to(self.device), batch.seconds.to(self.device), words_BN[:, :-1])
        return F.cross_entropy(
            logits_BNV.flatten(0, 1), words_BN[:, 1:].flatten(), ignore_index=PAD, reduction=reduction
        )


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


def _mirror(model: Captioner) -> Tensor:
    """Return for every token id `[V]` the id of the word that describes the clip when it is mirrored."""
    swapped = torch.arange(len(model.config.vocabulary))
    for one, other in MIRRORED:
        if one in model.token_ids and other in model.token_ids:
            swapped[model.token_ids[one]], swapped[model.token_ids[other]] = (
                model.token_ids[other],
                model.token_ids[one],
            )
    return swapped


def _draw_batch(
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


def _shift(frames_BFHWC: Tensor, generator: torch.Generator) -> Tensor:
    """Move the picture by a few pixels, the same for all frames; the border is repeated. No caption tells places."""
    dy, dx = torch.randint(-SHIFT, SHIFT + 1, (2,), generator=generator).tolist()
    height, width = frames_BFHWC.shape[2:4]
    rows = (torch.arange(height) + dy).clamp(0, height - 1)
    columns = (torch.arange(width) + dx).clamp(0, width - 1)
    return frames_BFHWC[:, :, rows][:, :, :, columns]


def captioner_page(
    metrics: dict[str, float],
    measured: Accuracy,
    unseen: Sequence[Example],
    written: Sequence[str],
    truths: Sequence[Attributes],
    checkpoints: Checkpoints,
) -> Page:
    """Return the report: accuracy by attribute, the course of training, and unseen clips with what was written."""
    simulated = metrics["simulated_examples"]
    own = f", {simulated:,.0f} of them simulated because the dataset has too few captions" if simulated else ""
    page = training_page(
        "Captioner",
        f"Learned from {metrics['examples']:,.0f} captioned clips{own}.",
        {f"{name} right": f"{share:.1%}" for name, share in measured.shares().items()},
        checkpoints,
        "cross-entropy of the next word, nats",
        "The captions of the same unseen clips at several steps; those with a wrong attribute are marked.",
    )
    page.heading("Attributes that are right, on unseen clips")
    page.table(
        measured.rows(),
        f"Each caption is parsed and compared with that of its clip, {len(unseen)} in all; an image has no motion.",
    )
    page.heading("Captions of the finished model")
    return page.clips(_shown(unseen, written, truths))


def _shown(unseen: Sequence[Example], written: Sequence[str], truths: Sequence[Attributes]) -> Iterable[Clip]:
    triples = list(zip(unseen, written, truths, strict=True))
    wrong = [t for t in triples if wrong_attributes(t[1], t[2])][:WRONG_SHOWN]
    right = [t for t in triples if not wrong_attributes(t[1], t[2])]
    # Evenly over the unseen, so that images and videos of every size are among them.
    return [_shown_clip(*triple) for triple in [*wrong, *_evenly(right, CLIPS_SHOWN - len(wrong))]]


def _shown_clip(example: Example, caption: str, truth: Attributes) -> Clip:
    failed = bool(wrong_attributes(caption, truth))
    return Clip(example.frames, example.fps or 1.0, caption, accuracy_note(caption, truth), failed)


def _evenly(items: Sequence[T], count: int) -> Sequence[T]:
    """Return about `count` of the items, from the first to nearly the last."""
    return items[:: max(1, len(items) // count)][:count]
