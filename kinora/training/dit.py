"""Training of the diffusion transformer: configuration, the batches of every step, and the launch.

The work itself is done by `kinora.training.dit_worker`, in several processes that `kinora.training.launcher` starts.
"""

import json
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from kinora.config import digest, from_dict, read_json, to_dict, write_json
from kinora.data.latents import LatentDataset
from kinora.data.packing import Layout, layout_of, patch_grid, patchify
from kinora.diffusion.conditioning import conditioning_mask, draw_conditioning_frames
from kinora.diffusion.loss import velocity_loss
from kinora.diffusion.path import add_noise, sample_times, shift_time
from kinora.errors import KinoraError, UsageError
from kinora.files import atomic_folder
from kinora.models.dit import DiTConfig
from kinora.models.text_encoder import SPECIAL, TextEncoderConfig, split_words
from kinora.models.vocabulary import build_vocabulary
from kinora.models.world_model import WorldModel
from kinora.progress import Progress
from kinora.report import Page
from kinora.training.launcher import launch
from kinora.training.log import last_row


@dataclass(frozen=True)
class DiTTraining:
    """How the transformer is trained.

    tokens_per_step: of all processes together.
    image_share: share of the tokens that come from stills (images, and first frames of videos where there are none).
    conditioning_share: share of the videos for which some latent frames are given (image to video, extension).
    muon_lr, lr: learning rates of the matrices inside the blocks (Muon) and of all other weights (Adam).
    caption_dropout: share of the clips trained without text, for guidance.
    time_logit_mean, time_logit_std, time_shift: the distribution of training times, see `kinora.diffusion.path`.
    zero_stage: what ZeRO shards over the processes: 1 optimizer state, 2 gradients as well.
    checkpoints: how many are kept for evaluation, the untrained model included.
    """

    model: DiTConfig = field(default_factory=DiTConfig)
    text: TextEncoderConfig = field(default_factory=TextEncoderConfig)
    steps: int = 2200
    tokens_per_step: int = 2560
    image_share: float = 0.25
    conditioning_share: float = 0.2
    caption_dropout: float = 0.1
    muon_lr: float = 0.023
    lr: float = 2e-3
    warmup: int = 100
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.95)
    ema: float = 0.995
    time_logit_mean: float = 0.5
    time_logit_std: float = 1.0
    time_shift: float = 1.0
    processes: int = 2
    zero_stage: int = 1
    checkpoints: int = 3
    save_every: int = 500
    seed: int = 0

    def __post_init__(self) -> None:
        if self.zero_stage not in (1, 2):
            raise UsageError(
                f"zero_stage is {self.zero_stage}; this version shards optimizer state (1) and gradients (2)."
            )

    def rate(self, step: int) -> float:
        """Return the share of the learning rates at a step: a linear rise over `warmup` steps, then a fall to zero."""
        if step < self.warmup:
            return (step + 1) / self.warmup
        return (self.steps - step) / max(self.steps - self.warmup, 1)

    def milestones(self) -> list[int]:
        """Return the steps after which a checkpoint is kept, the first being 0 (untrained)."""
        count = max(self.checkpoints - 1, 1)
        return sorted({round(self.steps * i / count) for i in range(count + 1)})


@dataclass(frozen=True)
class TokenClip:
    """A clip ready to be packed: patch tokens `[L, D]`, its grid, latent frames a second, its caption."""

    tokens: Tensor
    grid: tuple[int, int, int]
    rate: float
    caption: str


@dataclass(frozen=True)
class Batch:
    """One packed step of one process: what `TrainingStep.forward` takes."""

    clean: Tensor  # [N, D]
    layout: Layout
    given: Tensor  # [N] bool
    times: Tensor  # [S]
    noise: Tensor  # [N, D]
    captions: list[str]  # [S], empty where dropped


class TrainingStep(WorldModel):
    """The model as it is trained: a batch in, the loss out."""

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the loss and, for reports, the squared error of the clean tokens."""
        text = self.text_encoder(self.text_encoder.tokenize(batch.captions))
        times_N1 = (batch.times[batch.layout.segments] * ~batch.given)[:, None]
        noisy = add_noise(batch.clean, batch.noise, times_N1)
        estimate = self.dit(noisy, batch.layout, batch.times, batch.given, text)
        return velocity_loss(estimate, batch.clean, batch.times, batch.given, batch.layout)


class Batches:
    """The batches of a run. Each is a function of (seed, process, step) alone, so a resumed run meets the same ones."""

    def __init__(self, clips: list[TokenClip], config: DiTTraining, process: int):
        videos = [clip for clip in clips if clip.grid[0] > 1]
        stills = [clip for clip in clips if clip.grid[0] == 1] or [first_frame(clip) for clip in videos]
        budget = config.tokens_per_step // config.processes
        still_budget = round(budget * config.image_share) if videos else budget
        self.pools = [(stills, still_budget), (videos, budget - still_budget)]
        self.config, self.process = config, process

    def at(self, step: int) -> Batch:
        """Return the batch of a step (0, 1, ...)."""
        config = self.config
        generator = torch.Generator().manual_seed((config.seed * 1_000_003 + step) * 1_009 + self.process)
        clips = [clip for pool, budget in self.pools for clip in draw(pool, budget, generator)]
        layout = layout_of([clip.grid for clip in clips], [clip.rate for clip in clips])
        clean = torch.cat([clips[i].tokens for i in layout.order]).float()
        given = conditioning_mask(
            layout, [draw_conditioning_frames(clip.grid[0], generator, config.conditioning_share) for clip in clips]
        )
        times = sample_times(len(clips), generator, config.time_logit_mean, config.time_logit_std)
        kept = torch.rand(len(clips), generator=generator) >= config.caption_dropout
        captions = [clips[i].caption if kept[i] else "" for i in layout.order]
        noise = torch.randn(clean.shape, generator=generator)
        return Batch(clean, layout, given, shift_time(times, config.time_shift), noise, captions)


def draw(pool: list[TokenClip], budget: int, generator: torch.Generator) -> list[TokenClip]:
    """Draw clips, with replacement, until their tokens reach the budget (at least one, if the budget is not 0)."""
    clips: list[TokenClip] = []
    while pool and budget > 0:
        clip = pool[int(torch.randint(len(pool), (1,), generator=generator))]
        if clips and len(clip.tokens) > budget:
            break
        clips.append(clip)
        budget -= len(clip.tokens)
    return clips


def first_frame(clip: TokenClip) -> TokenClip:
    """Return the first latent frame of a clip as a still: an image is a video of one frame."""
    _, rows, columns = clip.grid
    return TokenClip(clip.tokens[: rows * columns], (1, rows, columns), clip.rate, clip.caption)


def token_clips(dataset: LatentDataset, patch: int) -> list[TokenClip]:
    """Read every latent of a dataset as tokens."""
    clips = []
    for index in range(len(dataset)):
        clip = dataset[index]
        grid = patch_grid(clip.latent.shape, patch)
        clips.append(TokenClip(patchify(clip.latent, patch), grid, clip.fps / dataset.config["temporal"], clip.caption))
    return clips


def resolve(config: DiTTraining, dataset: LatentDataset) -> DiTTraining:
    """Fill what the data decides: the vocabulary and the latent channels."""
    text = replace(config.text, vocabulary=build_vocabulary(map(split_words, dataset.index["caption"]), SPECIAL))
    model = replace(config.model, latent_channels=dataset[0].latent.shape[0], text_width=text.width)
    return replace(config, text=text, model=model)


def train_dit(latents: str | Path, out: str | Path, config: DiTTraining, checkpoints: str | Path) -> list[str]:
    """Train the transformer on encoded latents; return the names of the checkpoint folders in `out`, oldest first.

    Args:
        latents: a latent dataset folder.
        out: receives `step-NNNNNN/` (EMA weights and configuration; `step-000000` is untrained), `training.jsonl`
            and `training.json`.
        config: the training configuration.
        checkpoints: where the state of training is kept while it runs; a run that was interrupted goes on from the
            last whole checkpoint there, provided that data and configuration are the same.

    Raises:
        KinoraError: if there is nothing to train on or a process fails.
    """
    dataset = LatentDataset.open(latents).of_split("train")
    if not len(dataset):
        raise KinoraError(f"{latents} has no latents of the split 'train'; ingest more clips.")
    config = resolve(config, dataset)
    run = Path(checkpoints) / digest({"config": to_dict(config), "latents": dataset.digest})[:16]
    write_json(run / "config.json", to_dict(config))
    if not (run / "exports" / checkpoint_name(config.steps)).exists():  # the last thing that training writes
        watch = _Watch(run / "training.jsonl", config.steps)
        with watch.progress:
            arguments = [str(Path(latents).resolve()), str(run.resolve())]
            launch("kinora.training.dit_worker", arguments, config.processes, watch.poll)
            watch.poll()
    shutil.rmtree(run / "state", ignore_errors=True)
    (run / "last").unlink(missing_ok=True)
    return _publish(run, Path(out), config)


def _publish(run: Path, out: Path, config: DiTTraining) -> list[str]:
    """Copy the finished checkpoints to `out`."""
    names = [checkpoint_name(step) for step in config.milestones()]
    with atomic_folder(out) as temporary:
        for name in names:
            shutil.copytree(run / "exports" / name, temporary / name)
        shutil.copy(run / "training.jsonl", temporary / "training.jsonl")
        write_json(temporary / "training.json", to_dict(config))
    return names


def checkpoint_name(step: int) -> str:
    """Return the folder name of the checkpoint after `step` steps."""
    return f"step-{step:06d}"


class _Watch:
    """Follows `training.jsonl`, which the first process writes, and shows it as progress."""

    def __init__(self, log: Path, steps: int):
        self.log, self.progress = log, Progress("train transformer", steps)

    def poll(self) -> None:
        row = last_row(self.log)
        if row is not None:
            figures = {name: row[name] for name in ("loss", "tokens_per_s") if isinstance(row.get(name), int | float)}
            self.progress.update(row["step"], **figures)


def training_page(out: str | Path) -> Page:
    """Return a report of a finished training: its figures and its loss curve."""
    from matplotlib.figure import Figure

    out = Path(out)
    config = from_dict(DiTTraining, read_json(out / "training.json"))
    rows = [json.loads(line) for line in (out / "training.jsonl").read_text().splitlines()]
    last = rows[-1]
    page = Page("Transformer training", "Rectified flow over packed spacetime patches of videos and stills.")
    page.figures(
        {
            "steps": f"{last['step']:,}",
            "tokens": f"{last['tokens']:,}",
            "tokens a second": f"{last['tokens'] / max(last['seconds'], 1e-9):,.0f}",
            "parameters": f"{last['parameters']:,}",
            "loss at the end": f"{last['loss']:.4f}",
            "processes": f"{config.processes}, ZeRO stage {config.zero_stage}",
        }
    )
    figure = Figure(figsize=(8, 3))
    axes = figure.subplots()
    axes.plot([row["step"] for row in rows], [row["loss"] for row in rows], label="velocity loss")
    axes.plot([row["step"] for row in rows], [row["error"] for row in rows], label="squared error of the clean latents")
    axes.set(xlabel="step", yscale="log")
    axes.legend()
    return page.plot(figure, "Means over the steps since the last point.")
