"""Training of the video autoencoder: clips of several sizes and lengths, stills among them, each at its own size."""

import json
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kinora.config import digest, to_dict, write_json
from kinora.data.clips import ClipDataset
from kinora.errors import KinoraError
from kinora.files import atomic_folder
from kinora.media import enlarge, to_frames
from kinora.models.vae import VAE, VAEConfig, to_blocks
from kinora.progress import Progress
from kinora.report import Clip, Page
from kinora.training.checkpoints import Checkpoints, restore_trainer, trainer_tensors

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Shape = tuple[int, int, int]  # frames, height, width
BLOCKS_FOR_START = 50_000  # blocks that the principal components are measured on
CLIPS_FOR_STATISTICS = 512  # clips that the latents' mean and deviation are measured on
HISTORY_EVERY = 10  # steps
PIXELS_AT_ONCE = 2**20  # when measuring
CLIPS_SHOWN = 2  # of every size and length, enlarged SHOWN_FACTOR times
SHOWN_FACTOR = 4
TOLERATED_ERROR = 0.1  # error added to latents, in standard deviations, to see what the decoder makes of it


@dataclass(frozen=True)
class VAETraining:
    """How an autoencoder is trained.

    `pixels_per_step` pixels (frames x height x width) are in each step's batch, which is of one size and length.
    `kl_weight` weighs the Kullback-Leibler term, a mean over latent values, against the mean squared pixel error: it
    sets how much noise the decoder learns to bear. `muon_rate` is the learning rate of the matrices inside the
    residual blocks, `learning_rate` that of everything else; both rise over `warmup` steps, then fall to 0 as a cosine.
    `save_every` steps a checkpoint is kept.
    """

    model: VAEConfig = field(default_factory=VAEConfig)
    steps: int = 1000
    pixels_per_step: int = 8 * 17 * 32 * 32
    learning_rate: float = 2e-3
    muon_rate: float = 1e-2
    warmup: int = 50
    kl_weight: float = 5e-4
    save_every: int = 100
    seed: int = 0


def train_vae(
    dataset: ClipDataset, out: str | Path, config: VAETraining, checkpoints: str | Path | None = None
) -> tuple[dict[str, float], Page]:
    """Train an autoencoder on the training split and write it, with `training.json`, `training.jsonl`, `figures.json`.

    With `checkpoints`, a folder, training goes on from the last whole checkpoint there, and the result is the same as
    if it had never stopped.

    Returns:
        The report, and PSNR in decibels over unseen clips: `psnr_video`, `psnr_image`, one for every size, and
        `psnr_video_disturbed` (decoded from latents with an error of a tenth of their standard deviation).

    Raises:
        KinoraError: if the dataset has no clip to train on.
    """
    clips = load_clips(dataset, "train")
    if not clips:
        raise KinoraError(f"{dataset.path} has no clips in its training split; ingest more clips.")
    store = Checkpoints(checkpoints, digest([to_dict(config), dataset.digest])) if checkpoints is not None else None
    model, history = _train(clips, config, store)
    measure_latents(model, clips, config.seed)
    # A handful of real clips may leave none for validation: then the figures are of the clips it was trained on.
    split = "validation" if (dataset.clips["split"] == "validation").any() else "train"
    figures = measure(model, load_clips(dataset, split), config.seed)
    with atomic_folder(out) as folder:
        model.save(folder)
        write_json(folder / "training.json", config)
        write_json(folder / "figures.json", figures)
        (folder / "training.jsonl").write_text("".join(json.dumps(row) + "\n" for row in history))
    page = autoencoder_page(model, dataset, split, figures, history)
    if store is not None:
        store.clear()
    return figures, page


def load_clips(dataset: ClipDataset, split: str) -> dict[Shape, Tensor]:
    """Read the clips of a split into memory: one `uint8 [N, T, H, W, 3]` for every size and length."""
    rows = dataset.clips[dataset.clips["split"] == split]
    by_shape: dict[Shape, list[Tensor]] = defaultdict(list)
    for array in dataset.read(rows["clip_id"]):
        frames = torch.from_numpy(np.array(array))  # a copy: decoded stills cannot be written to
        by_shape[frames.shape[0], frames.shape[1], frames.shape[2]].append(frames)
    return {shape: torch.stack(clips) for shape, clips in sorted(by_shape.items())}


@torch.no_grad()
def measure_latents(model: VAE, clips: dict[Shape, Tensor], seed: int) -> None:
    """Set the model's mean and standard deviation of latents, a channel each, from clips of the training split."""
    generator = torch.Generator().manual_seed(seed)
    share = CLIPS_FOR_STATISTICS / sum(map(len, clips.values()))
    latents = []
    for frames in clips.values():
        count = min(len(frames), math.ceil(share * len(frames)))
        some = frames[torch.randperm(len(frames), generator=generator)[:count]]
        latents += [model.encode(video)[0].movedim(1, -1).flatten(0, 3) for video in _portions(some, model)]
    values = torch.cat(latents)  # [N, z]
    model.latent_mean.copy_(values.mean(0))
    model.latent_std.copy_(values.std(0).clamp_min(1e-4))


@torch.no_grad()
def measure(model: VAE, clips: dict[Shape, Tensor], seed: int) -> dict[str, float]:
    """Return mean PSNR over clips in decibels: `psnr_video`, `psnr_image`, `psnr_video_disturbed` and by size."""
    generator = torch.Generator().manual_seed(seed)
    figures: dict[str, float] = {}
    kinds: dict[str, list[Tensor]] = defaultdict(list)
    for (count, height, width), frames in clips.items():
        here = []
        for video in _portions(frames, model):
            latent = model.normalise(model.encode(video)[0])
            here.append(psnr(model.decode(model.denormalise(latent)), video))
            if count > 1:
                error = TOLERATED_ERROR * torch.randn(latent.shape, generator=generator).to(latent.device)
                kinds["psnr_video_disturbed"].append(psnr(model.decode(model.denormalise(latent + error)), video))
        kinds["psnr_video" if count > 1 else "psnr_image"] += here
        figures[f"psnr_{width}x{height}x{count}"] = float(torch.cat(here).mean())
    return {name: float(torch.cat(kinds[name]).mean()) for name in sorted(kinds, reverse=True)} | figures


def _portions(frames: Tensor, model: VAE) -> Iterator[Tensor]:
    """Yield clips `uint8 [N, T, H, W, 3]` as video tensors on the model's device, a few at a time."""
    count = max(1, PIXELS_AT_ONCE // math.prod(frames.shape[1:4]))
    for some in frames.split(count):
        yield to_video(some, model.latent_mean.device)


def to_video(frames: Tensor, device: torch.device) -> Tensor:
    """Turn `uint8 [B, T, H, W, 3]` into a video tensor `[B, 3, T, H, W]` in [-1, 1] on `device`."""
    return frames.to(device).permute(0, 4, 1, 2, 3).float() / 127.5 - 1


def psnr(video: Tensor, reference: Tensor) -> Tensor:
    """Return the peak signal-to-noise ratio of each clip, decibels `[B]`: 10 log10(peak^2 / mean squared error).

    Both are `[B, 3, T, H, W]` in [-1, 1], so the peak-to-peak range is 2; values outside are clipped, as on writing.
    """
    error = (video.clamp(-1, 1) - reference).square().mean(dim=(1, 2, 3, 4))
    return 10 * torch.log10(4 / error.clamp_min(1e-10))


def _train(
    clips: dict[Shape, Tensor], config: VAETraining, store: Checkpoints | None
) -> tuple[VAE, list[dict[str, float]]]:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    generator = torch.Generator().manual_seed(config.seed)  # draws everything, so that its state is all of chance
    torch.manual_seed(config.seed)  # the weights' first values
    model = VAE(config.model)
    model.start_from_principal_components(_some_blocks(clips, config.model, generator))
    model.to(device)
    optimizers = _optimizers(model, config)
    history: list[dict[str, float]] = []
    first = 0
    if store is not None and (last := store.last()) is not None:
        restore_trainer(last.tensors, model, optimizers, generator)
        first, history = last.step, last.values["history"]

    recent: list[Tensor] = []
    with Progress("train autoencoder", config.steps) as progress:
        progress.update(first)
        for step in range(first + 1, config.steps + 1):
            _set_rates(optimizers, _schedule(step, config))
            video = to_video(_batch(clips, config.pixels_per_step, generator), device)
            recent.append(_step(model, optimizers, video, config.kl_weight, generator))
            if step % HISTORY_EVERY == 0 or step == config.steps:
                loss, error = torch.stack(recent).mean(0).tolist()
                history.append({"step": step, "loss": loss, "psnr": 10 * math.log10(4 / error)})
                recent.clear()
                progress.update(step, psnr=history[-1]["psnr"])
            if store is not None and step % config.save_every == 0 and step < config.steps:
                store.save(step, trainer_tensors(model, optimizers, generator), {"history": history})
    return model.eval(), history


def _step(
    model: VAE, optimizers: Sequence[torch.optim.Optimizer], video: Tensor, kl_weight: float, chance: torch.Generator
) -> Tensor:
    """Take one step on `video [B, 3, T, H, W]`; return its loss and mean squared error, `[2]`."""
    with torch.autocast(video.device.type, torch.bfloat16):
        mean, log_variance = (moment.float() for moment in model.encode(video))
        noise = torch.randn(mean.shape, generator=chance).to(mean.device)
        decoded = model.decode(mean + (0.5 * log_variance).exp() * noise)  # the reparameterisation, 1312.6114 eq. 4
    error = F.mse_loss(decoded.float(), video)
    divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean()  # 1312.6114, appendix B
    loss = error + kl_weight * divergence
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for optimizer in optimizers:
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return torch.stack([loss.detach(), error.detach()])


def _optimizers(model: VAE, config: VAETraining) -> list[torch.optim.Optimizer]:
    """Muon (https://kellerjordan.github.io/posts/muon) for the blocks' matrices, AdamW for everything else."""
    matrices = [p for name, p in model.named_parameters() if ".blocks." in name and p.ndim == 2]
    taken = {id(p) for p in matrices}
    others = [p for p in model.parameters() if id(p) not in taken]
    optimizers: list[torch.optim.Optimizer] = [
        torch.optim.Muon(matrices, lr=config.muon_rate, weight_decay=0.0, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(others, lr=config.learning_rate, betas=(0.9, 0.98), weight_decay=0.0, fused=True),
    ]
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["initial_lr"] = group["lr"]
    return optimizers


def _schedule(step: int, config: VAETraining) -> float:
    """Return the share of the learning rate at `step` (from 1): a linear rise, then half a cosine to 0."""
    if step <= config.warmup:
        return step / config.warmup
    return 0.5 + 0.5 * math.cos(math.pi * (step - config.warmup) / max(1, config.steps - config.warmup))


def _set_rates(optimizers: Sequence[torch.optim.Optimizer], share: float) -> None:
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"] * share


def _batch(clips: dict[Shape, Tensor], pixels: int, generator: torch.Generator) -> Tensor:
    """Draw clips `uint8 [B, T, H, W, 3]` of one shape, about `pixels` in all; every pixel is as likely as any other."""
    shapes = list(clips)
    sizes = torch.tensor([float(len(clips[shape]) * math.prod(shape)) for shape in shapes])
    shape = shapes[int(torch.multinomial(sizes, 1, generator=generator))]
    count = min(max(1, round(pixels / math.prod(shape))), len(clips[shape]))
    batch = clips[shape][torch.randint(len(clips[shape]), (count,), generator=generator)]
    mirrored = torch.rand(count, generator=generator) < 0.5  # left and right look alike: twice the clips
    return torch.where(mirrored[:, None, None, None, None], batch.flip(3), batch)


def _some_blocks(clips: dict[Shape, Tensor], config: VAEConfig, generator: torch.Generator) -> Tensor:
    """Draw blocks `[N, D]` from all shapes alike, to measure their principal components on."""
    drawn = []
    for frames in clips.values():
        some = frames[torch.randperm(len(frames), generator=generator)[:64]]
        drawn.append(to_blocks(to_video(some, torch.device("cpu")), config).flatten(0, 3))
    blocks = torch.cat(drawn)
    return blocks[torch.randperm(len(blocks), generator=generator)[:BLOCKS_FOR_START]]


def autoencoder_page(
    model: VAE, dataset: ClipDataset, split: str, figures: dict[str, float], history: Sequence[dict[str, float]]
) -> Page:
    """Return the report: figures, the course of training, and clips of every size beside their reconstruction."""
    seen = "unseen clips" if split == "validation" else "the clips it was trained on (there are no others)"
    c = model.config
    page = Page("Autoencoder", f"Blocks of {c.temporal} frames x {c.spatial} x {c.spatial} pixels become "
                f"{c.latent_channels} numbers each, and back. The figures are of {seen}.")  # fmt: skip
    titles = {
        "psnr_video": "dB on video",
        "psnr_image": "dB on stills",
        "psnr_video_disturbed": "dB, latents disturbed",
    }
    page.figures({titles[name]: f"{figures[name]:.1f}" for name in titles if name in figures})
    page.text(
        'PSNR is the mean over clips. "Disturbed" adds an error of a tenth of a standard deviation to every latent '
        "value first: generated latents are never exact, so the decoder has to bear that."
    )
    page.heading("From top to bottom: original, reconstruction, difference (four times as strong)")
    page.clips(_comparisons(model, dataset, split))
    page.heading("By size")
    page.table(
        [
            {"width x height x frames": name.removeprefix("psnr_"), "PSNR, dB": f"{value:.2f}"}
            for name, value in figures.items()
            if name not in titles
        ]
    )
    page.heading("The course of training")
    return page.plot(_curve(history), "PSNR of the training batches, with the noise of the variational posterior.")


@torch.no_grad()
def _comparisons(model: VAE, dataset: ClipDataset, split: str) -> Iterator[Clip]:
    shape = ["frames", "height", "width"]
    rows = dataset.clips[dataset.clips["split"] == split].sort_values(shape, kind="stable")
    for clip_id in rows.groupby(shape).head(CLIPS_SHOWN)["clip_id"]:
        original = np.array(dataset.frames(clip_id))
        count, height, width = original.shape[:3]
        video = to_video(torch.from_numpy(original)[None], model.latent_mean.device)
        decoded = model.decode(model.encode(video)[0])
        difference = (4 * (decoded - video).abs() - 1).clamp(-1, 1)  # black where there is none
        line = np.full((count, 1, width, 3), 255, np.uint8)  # between the panels
        panels = [original, line, to_frames(decoded[0]), line, to_frames(difference[0])]
        label = f"{width}x{height}, " + (f"{count} frames" if count > 1 else "still")
        fps = float(dataset.row(clip_id)["fps"])
        note = f"{float(psnr(decoded, video)):.1f} dB"
        yield Clip(enlarge(np.concatenate(panels, axis=1), SHOWN_FACTOR), fps, label, note)


def _curve(history: Sequence[dict[str, float]]) -> "Figure":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3))
    axes = figure.add_subplot()
    axes.plot([row["step"] for row in history], [row["psnr"] for row in history], linewidth=1)
    axes.set_xlabel("step")
    axes.set_ylabel("PSNR, dB")
    axes.grid(alpha=0.3)
    return figure
