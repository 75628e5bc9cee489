"""Training of the captioner, on the clips of a dataset that arrived with a caption by a person or a simulator."""

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kinora.captioning.accuracy import Accuracy, accuracy
from kinora.captioning.caption import Captioning, mistakes, truth_note
from kinora.config import digest, to_dict, write_json
from kinora.data.clips import ClipDataset
from kinora.files import atomic_folder
from kinora.models.captioner import PAD, SPECIAL, Captioner, CaptionerConfig, FrameSample, sample_frames, split_sentence
from kinora.models.vocabulary import build_vocabulary
from kinora.progress import Progress
from kinora.report import Clip, Page
from kinora.training.checkpoints import Checkpoints, restore_trainer, trainer_tensors
from kinora.worlds import Attributes, WorldsConfig, draw_sample, parse

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SOURCES = ("human", "simulator")  # captions worth learning from; not the captioner's own
MIRRORED = (("left", "right"), ("leftward", "rightward"), ("leftwards", "rightwards"))
STILL_SHARE = 4  # one in so many of the clips that are simulated here is a still
UNSEEN = 100  # clips that accuracy is measured on at least; simulated ones make up the rest
SHIFT = 3  # pixels that clips are moved at most while training
HISTORY_EVERY = 10  # steps
CLIPS_SHOWN, WRONG_SHOWN = 24, 8


@dataclass(frozen=True)
class CaptionerTraining:
    """How a captioner is trained.

    Each step takes `batch` clips of one size. Where the dataset has fewer than `examples` captioned clips, simulated
    ones make up the rest. `learning_rate` rises over `warmup` steps, then falls to 0 as a cosine. `save_every` steps a
    checkpoint is kept.
    """

    model: CaptionerConfig = CaptionerConfig()  # noqa: RUF009
    steps: int = 600
    batch: int = 32
    learning_rate: float = 4e-3
    warmup: int = 40
    examples: int = 800
    save_every: int = 100
    seed: int = 0


@dataclass(frozen=True)
class Example:
    """A clip with its caption: frames `uint8 [T, H, W, 3]`."""

    frames: np.ndarray
    fps: float
    caption: str


@dataclass(frozen=True)
class Group:
    """Clips of one size: frames `uint8 [B, F, H, W, 3]`, seconds `[B]`, word numbers `[B, N]`."""

    frames: Tensor
    seconds: Tensor
    words: Tensor


def train_captioner(
    dataset: ClipDataset,
    out: str | Path,
    config: CaptionerTraining,
    worlds: WorldsConfig,
    checkpoints: str | Path | None = None,
) -> dict[str, float]:
    """Train a captioner; write it with `training.json`, `figures.json`, `training.jsonl` and `report.html`.

    With `checkpoints`, a folder, training goes on from the last whole checkpoint there, and the result is the same as
    if it had never stopped.

    Returns:
        `examples`, `simulated_examples`, and on unseen clips `accuracy_<attribute>` and `measured_<attribute>`.
    """
    samples, captions, simulated = collect_samples(dataset, config, worlds)
    model_config = replace(config.model, vocabulary=build_vocabulary(map(split_sentence, captions), SPECIAL))
    identity = digest([to_dict(config), to_dict(worlds), dataset.digest])
    store = Checkpoints(checkpoints, identity) if checkpoints is not None else None
    model, history = _train(model_config, samples, captions, config, store)

    unseen = list(unseen_examples(dataset, worlds))
    writer = Captioning(model)
    written = writer.caption([e.frames for e in unseen], [e.fps for e in unseen])
    truths = [parse(e.caption) or Attributes(()) for e in unseen]
    measured = accuracy(zip(written, truths, strict=True))
    figures = {
        "examples": float(len(captions)), "simulated_examples": float(simulated), **measured.figures(),
    }  # fmt: skip
    with atomic_folder(out) as folder:
        model.save(folder)
        write_json(folder / "training.json", config)
        write_json(folder / "figures.json", figures)
        (folder / "training.jsonl").write_text("".join(json.dumps(row) + "\n" for row in history))
        captioner_page(figures, measured, unseen, written, truths, history).write(folder / "report.html")
    if store is not None:
        store.clear()
    return figures


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
        sample = draw_sample(worlds, chance, held_out=held_out, still=index % STILL_SHARE == 0)
        yield Example(sample.frames, worlds.fps, sample.caption)


def _train(
    model_config: CaptionerConfig,
    samples: Sequence[FrameSample],
    captions: Sequence[str],
    config: CaptionerTraining,
    store: Checkpoints | None,
) -> tuple[Captioner, list[dict[str, float]]]:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    generator = torch.Generator().manual_seed(config.seed)  # draws everything, so that its state is all of chance
    torch.manual_seed(config.seed)  # the weights' first values
    model = Captioner(model_config).to(device)
    optimizers = _optimizers(model, config.learning_rate)
    groups = _groups(model, samples, captions)
    mirror = _mirror(model)
    history: list[dict[str, float]] = []
    recent: list[float] = []  # losses of the steps since the last line of history
    first = 0
    if store is not None and (last := store.last()) is not None:
        restore_trainer(last.tensors, model, optimizers, generator)
        first, history, recent = last.step, last.values["history"], last.values["recent"]
    with Progress("train captioner", config.steps) as progress:
        progress.update(first)
        for step in range(first + 1, config.steps + 1):
            batch = _batch(groups, config.batch, mirror, generator)
            for optimizer in optimizers:
                for settings in optimizer.param_groups:
                    settings["lr"] = config.learning_rate * _schedule(step, config)
            recent.append(_step(model, optimizers, batch, device))
            if step % HISTORY_EVERY == 0 or step == config.steps:
                history.append({"step": step, "loss": float(np.mean(recent))})
                recent.clear()
                progress.update(step, loss=history[-1]["loss"])
            if store is not None and step % config.save_every == 0 and step < config.steps:
                store.save(step, trainer_tensors(model, optimizers, generator), {"history": history, "recent": recent})
    return model.eval(), history


def _step(model: Captioner, optimizers: Sequence[torch.optim.Optimizer], batch: Group, device: torch.device) -> float:
    words_BN = batch.words.to(device)
    logits_BNV = model(batch.frames.to(device), batch.seconds.to(device), words_BN[:, :-1])
    loss = F.cross_entropy(logits_BNV.flatten(0, 1), words_BN[:, 1:].flatten(), ignore_index=PAD)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for optimizer in optimizers:
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return loss.item()


def _optimizers(model: Captioner, rate: float) -> list[torch.optim.Optimizer]:
    """Muon (https://kellerjordan.github.io/posts/muon) for the matrices between hidden layers, AdamW for the rest."""
    inner = ("frame_projection.", "pool.", "decoder.")
    matrices = [p for name, p in model.named_parameters() if name.startswith(inner) and p.ndim == 2]
    taken = {id(p) for p in matrices}
    others = [p for p in model.parameters() if id(p) not in taken]
    return [
        torch.optim.Muon(matrices, lr=rate, weight_decay=0.0, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(others, lr=rate, betas=(0.9, 0.98), weight_decay=0.01, fused=True),
    ]


def _schedule(step: int, config: CaptionerTraining) -> float:
    """Return the share of the learning rate at `step` (from 1): a linear rise times half a cosine to 0."""
    return min(1.0, step / config.warmup) * (0.5 + 0.5 * math.cos(math.pi * (step - 1) / config.steps))


def _groups(model: Captioner, samples: Sequence[FrameSample], captions: Sequence[str]) -> list[Group]:
    by_shape: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for index, sample in enumerate(samples):
        by_shape[sample.frames.shape].append(index)
    return [
        Group(
            torch.from_numpy(np.stack([samples[i].frames for i in members])),
            torch.tensor([samples[i].seconds for i in members]),
            model.tokenize([captions[i] for i in members]),
        )
        for _, members in sorted(by_shape.items())
    ]


def _mirror(model: Captioner) -> Tensor:
    """Return for every word's number `[V]` the number of the word that a mirrored clip is described with."""
    swapped = torch.arange(len(model.config.vocabulary))
    for one, other in MIRRORED:
        if one in model.token_ids and other in model.token_ids:
            swapped[model.token_ids[one]], swapped[model.token_ids[other]] = (
                model.token_ids[other],
                model.token_ids[one],
            )
    return swapped


def _batch(groups: Sequence[Group], size: int, mirror: Tensor, generator: torch.Generator) -> Group:
    """Draw clips of one size, every clip as likely as any other, half of them mirrored, all shifted a little."""
    shares = torch.tensor([float(len(group.seconds)) for group in groups])
    group = groups[int(torch.multinomial(shares, 1, generator=generator))]
    chosen = torch.randint(len(group.seconds), (size,), generator=generator)
    mirrored = torch.rand(size, generator=generator) < 0.5
    frames, words = _shift(group.frames[chosen], generator), group.words[chosen]
    return Group(
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
    figures: dict[str, float],
    measured: Accuracy,
    unseen: Sequence[Example],
    written: Sequence[str],
    truths: Sequence[Attributes],
    history: Sequence[dict[str, float]],
) -> Page:
    """Return the report: accuracy by attribute, unseen clips with what was written, and the course of training."""
    simulated = figures["simulated_examples"]
    own = f", {simulated:.0f} of them simulated because the dataset has too few captions" if simulated else ""
    page = Page("Captioner", f"Learned from {figures['examples']:.0f} captioned clips{own}.")
    page.figures({f"{name} right": f"{share:.1%}" for name, share in measured.shares().items()})
    page.heading("Attributes that are right, on unseen clips")
    page.table(
        measured.rows(),
        f"Each caption is parsed and compared with that of its clip, {len(unseen)} in all; a still has no motion.",
    )
    page.heading("What was written")
    return page.clips(_shown(unseen, written, truths)).heading("The course of training").plot(_curve(history))


def _shown(unseen: Sequence[Example], written: Sequence[str], truths: Sequence[Attributes]) -> Iterable[Clip]:
    triples = list(zip(unseen, written, truths, strict=True))
    wrong = [t for t in triples if mistakes(t[1], t[2])][:WRONG_SHOWN]
    right = [t for t in triples if not mistakes(t[1], t[2])]
    # Evenly over the unseen, so that stills and videos of every size are among them.
    right_shown = right[:: max(1, len(right) // CLIPS_SHOWN)][: CLIPS_SHOWN - len(wrong)]
    for example, caption, truth in [*wrong, *right_shown]:
        failed = bool(mistakes(caption, truth))
        yield Clip(example.frames, example.fps or 1.0, caption, truth_note(caption, truth), failed)


def _curve(history: Sequence[dict[str, float]]) -> "Figure":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3))
    axes = figure.add_subplot()
    axes.semilogy([row["step"] for row in history], [row["loss"] for row in history], linewidth=1)
    axes.set_xlabel("step")
    axes.set_ylabel("cross-entropy of the next word, nats")
    axes.grid(alpha=0.3)
    return figure
