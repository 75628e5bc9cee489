"""Training of the captioner, on the clips of a dataset that arrived with a caption by a person or a simulator."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from kinora.captioning.abstention import (
    MOST_KNOWN,
    AbstentionConfig,
    Calibration,
    Familiar,
    calibrate,
    save_abstention,
    silent,
)
from kinora.captioning.trained import appearances, draft, strangeness
from kinora.config import digest, to_dict
from kinora.data.clips import ClipDataset
from kinora.files import atomic_folder
from kinora.models.captioner import PAD, SPECIAL, Captioner, CaptionerConfig, sample_frames, split_sentence
from kinora.models.precision import device
from kinora.models.vocabulary import build_vocabulary
from kinora.progress import Progress
from kinora.report import Clip
from kinora.training.captioner_clips import (
    Captioned,
    CaptionedBatch,
    Example,
    captioned_clips,
    draw_batch,
    evenly,
    group_by_size,
    mirrored_words,
    unseen_examples,
)
from kinora.training.captioner_origin import learn_origin
from kinora.training.captioner_report import captioner_page, measure
from kinora.training.checkpoints import load_state, open_checkpoints, save_state
from kinora.training.config import TrainingConfig, TrainingResult
from kinora.training.loop import Trainer, fit
from kinora.training.optimizers import build_optimizers, take_step
from kinora.training.report import course_metrics, write_result
from kinora.worlds import WorldsConfig

HIDDEN = r"^(frame_projection|pool|decoder)\."  # names of the matrices between hidden layers
LEAST_USES = 2  # of a word in the captions, to be learned: what was said once is not known from anything else
HELD_OUT = 128  # clips that the held-out loss is measured on while training, at most
MOST_ORIGIN_STEPS = 1600  # of the network that tells what is foreign, which is small and learns all the while
SAMPLES = 4  # clips that are captioned along the way


@dataclass(frozen=True, kw_only=True)
class CaptionerTraining(TrainingConfig):
    """How a captioner is trained; see `TrainingConfig` for the rest.

    batch_size: clips of each step, all of one size.
    passes: over the captions at most; where there are few, fewer steps are taken than `steps`.
    examples: captioned clips to learn from at least, where the dataset is simulated; others are simulated for it.
    most_examples: captioned clips to learn from at most; they are kept in memory, 20 KB each with the model's own
        `frames` and `side`, 60 KB with 8 frames of 48 pixels.
    abstention: when the captioner may speak.
    """

    model: CaptionerConfig = field(default_factory=lambda: CaptionerConfig(grid=4, max_words=64))
    steps: int = 600
    batch_size: int = 32
    passes: int = 40
    examples: int = 800
    most_examples: int = 100_000
    abstention: AbstentionConfig = field(default_factory=AbstentionConfig)
    learning_rate: float = 4e-3
    muon_learning_rate: float = 4e-3
    warmup_steps: int = 40
    weight_decay: float = 0.01


def train_captioner(
    dataset: ClipDataset,
    out: str | Path,
    config: CaptionerTraining,
    checkpoints: str | Path | None = None,
    *,
    worlds: WorldsConfig,
) -> TrainingResult:
    """Train a captioner and write it to `out`, with what `TrainingResult` lists and when it speaks (`abstention`).

    With `checkpoints`, a folder, an interrupted training goes on from its last whole state there, and the result is the
    same as if it had never stopped. `worlds` simulates clips where a simulated dataset has too few captions. Where a
    person's has too few, there is a captioner all the same, which never speaks.

    Returns:
        The result, with `examples`, `simulated_examples`, `speaks` (0 or 1) and `calibrated_on` among its metrics, and
        on unseen clips `coverage` and `spoken_wrong`, `accuracy_<attribute>` and `measured_<attribute>`,
        `word_precision`, `word_recall` and `measured_words`.
    """
    learned = captioned_clips(dataset, config.model, worlds, config.examples, config.most_examples)
    resolved = replace(
        config,
        model=replace(config.model, vocabulary=learned_vocabulary(learned.captions)),
        steps=min(config.steps, config.passes * len(learned.captions) // config.batch_size),
    )
    calibrating, unseen = unseen_examples(dataset, worlds)
    with open_checkpoints(checkpoints, digest([to_dict(config), to_dict(worlds), dataset.digest])) as state:
        trainer = CaptionerTrainer(resolved, learned, unseen)
        with Progress("train captioner", resolved.steps) as progress:
            fit(trainer, resolved, state, progress)
        calibration, familiar = trainer.calibrate(calibrating)
        measured = measure(trainer.model, calibration, familiar, unseen)
        metrics = {
            **measured.metrics(),
            "speaks": float(not calibration.silence),
            "calibrated_on": float(calibration.clips),
            "examples": float(len(learned.captions)),
            "simulated_examples": float(learned.simulated),
            **course_metrics(state),
        }
        with atomic_folder(out) as folder:
            trainer.model.eval().save(folder)
            save_abstention(folder, calibration, familiar)
            write_result(folder, resolved, metrics, state, captioner_page(metrics, measured, calibration, state))
    return TrainingResult(Path(out), metrics)


def learned_vocabulary(captions: Sequence[str]) -> tuple[str, ...]:
    """Return the words that captions use often enough to be learned; all others are unknown, and never said."""
    sentences = [split_sentence(caption) for caption in captions]
    uses = Counter(word for sentence in sentences for word in sentence)
    return build_vocabulary(([word for word in words if uses[word] >= LEAST_USES] for words in sentences), SPECIAL)


class CaptionerTrainer(Trainer[CaptionedBatch]):
    """A captioner, its optimizers, and the clips that it learns from and is measured on."""

    def __init__(self, config: CaptionerTraining, learned: Captioned, unseen: Sequence[Example]):
        self.config, self.device, self.learned = config, device(), learned
        self.random = torch.Generator().manual_seed(config.seed)  # draws all, so that its state is the random state
        torch.manual_seed(config.seed)  # the weights' first values
        self.model = Captioner(config.model).to(self.device)
        self.optimizers = build_optimizers(self.model, HIDDEN, config)
        self.batches = group_by_size(self.model, learned.samples, learned.captions)
        self.mirror = mirrored_words(self.model)
        some = evenly(unseen, HELD_OUT)
        self.shown = evenly(some, SAMPLES)
        self.held_out = group_by_size(
            self.model, [sample_frames(e.frames, e.fps, config.model) for e in some], [e.caption for e in some]
        )

    def batch(self, step: int) -> CaptionedBatch:
        """Draw clips of one size."""
        return draw_batch(self.batches, self.config.batch_size, self.mirror, self.random)

    def step(self, step: int, batch: CaptionedBatch, rate: float) -> dict[str, Tensor | float]:
        """Take one step on a batch of clips."""
        loss = self._cross_entropy(batch, "mean")
        norm = take_step(self.model, self.optimizers, loss, self.config, rate)
        return {"loss": loss, "gradient_norm": norm}

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Return the cross-entropy of the next word over unseen clips; nothing where there are none."""
        words = sum(int((batch.words[:, 1:] != PAD).sum()) for batch in self.held_out)
        total = sum(float(self._cross_entropy(batch, "sum")) for batch in self.held_out)
        return {"held_out_loss": total / words} if words else {}

    def sample(self) -> list[Clip]:
        """Write what it would say of a few unseen clips, sure or not."""
        samples = [sample_frames(e.frames, e.fps, self.config.model) for e in self.shown]
        return [
            Clip(e.frames, e.fps or 1.0, one.caption, e.note(one.caption), e.is_wrong(one.caption))
            for e, one in zip(self.shown, draft(self.model, samples), strict=True)
        ]

    def calibrate(self, examples: Sequence[Example]) -> tuple[Calibration, Familiar]:
        """Return when the trained captioner speaks, found on clips that it did not learn from, and what it knows."""
        config, inputs = self.config.abstention, self.learned.inputs
        too_few = inputs < config.least_captions
        steps = 0 if too_few else min(MOST_ORIGIN_STEPS, 2 * self.config.steps)
        origin = learn_origin(self.learned.samples, steps, self.config.seed)
        familiar = Familiar.of(appearances(self.model, evenly(self.learned.samples, MOST_KNOWN)), origin)
        if too_few:
            few = f"the dataset has captions of {inputs:,} inputs to learn from, and it takes {config.least_captions:,}"
            return silent(few, config), familiar
        drafts = draft(self.model, [sample_frames(e.frames, e.fps, self.config.model) for e in examples])
        wrong = [e.is_wrong(one.caption) for e, one in zip(examples, drafts, strict=True)]
        return calibrate([one.confidence for one in drafts], wrong, strangeness(familiar, drafts), config), familiar

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
