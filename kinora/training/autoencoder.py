"""Training of the video autoencoder: clips of several sizes and lengths, images among them, each at its own size."""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from kinora.config import digest, to_dict
from kinora.data.clips import ClipDataset
from kinora.errors import KinoraError
from kinora.files import atomic_folder
from kinora.media import enlarge, to_frames
from kinora.models.precision import autocast, device
from kinora.models.vae import VAE, VAEConfig, to_blocks
from kinora.progress import Progress
from kinora.report import Clip, Page
from kinora.training.checkpoints import Checkpoints, load_state, open_checkpoints, save_state
from kinora.training.config import TrainingConfig, TrainingResult
from kinora.training.loop import Trainer, fit
from kinora.training.optimizers import build_optimizers, take_step
from kinora.training.report import course_metrics, training_page, write_result

Shape = tuple[int, int, int]  # frames, height, width
HIDDEN = r"\.blocks\."  # names of the matrices between hidden layers
BLOCKS_FOR_PCA = 50_000  # blocks that the principal components are measured on
CLIPS_FOR_STATISTICS = 512  # clips that the latents' mean and deviation are measured on
PIXELS_AT_ONCE = 2**20  # when measuring
HELD_OUT_PER_SHAPE = 4  # clips of each size and length that the held-out loss is measured on while training
SAMPLES = 4  # clips that are reconstructed along the way
CLIPS_SHOWN = 2  # of every size and length, enlarged SHOWN_FACTOR times
SHOWN_FACTOR = 4
LATENT_ERROR = 0.1  # error added to latents, in standard deviations, to see what the decoder makes of it
TITLES = {
    "psnr_video": "PSNR of videos",
    "psnr_image": "PSNR of images",
    "psnr_video_disturbed": "PSNR, latents disturbed",
}


@dataclass(frozen=True, kw_only=True)
class AutoencoderTraining(TrainingConfig):
    """How an autoencoder is trained; see `TrainingConfig` for the rest.

    pixels_per_step: pixels (frames x height x width) of each step's batch, which is of one size and length.
    kl_weight: of the Kullback-Leibler term, a mean over latent values, against the mean squared pixel error: it sets
        how much noise the decoder learns to bear.
    """

    model: VAEConfig = field(default_factory=VAEConfig)
    steps: int = 1000
    pixels_per_step: int = 8 * 17 * 32 * 32
    kl_weight: float = 5e-4
    learning_rate: float = 2e-3
    muon_learning_rate: float = 1e-2
    warmup_steps: int = 50


def train_autoencoder(
    dataset: ClipDataset, out: str | Path, config: AutoencoderTraining, checkpoints: str | Path | None = None
) -> TrainingResult:
    """Train an autoencoder on the training split and write it to `out`, with what `TrainingResult` lists.

    With `checkpoints`, a folder, an interrupted training goes on from its last whole state there, and the result is the
    same as if it had never stopped.

    Returns:
        The result, with PSNR in decibels over unseen clips among its metrics: `psnr_video`, `psnr_image`, one for every
        size, and `psnr_video_disturbed` (decoded from latents with an error of a tenth of their standard deviation).

    Raises:
        KinoraError: if the dataset has no clip to train on.
    """
    clips = load_clips(dataset, "train")
    if not clips:
        raise KinoraError(f"{dataset.path} has no clips in its training split; ingest more clips.")
    # A handful of real clips may leave none for validation: then the metrics are of the clips it was trained on.
    split = "validation" if (dataset.clips["split"] == "validation").any() else "train"
    unseen = load_clips(dataset, split)
    with open_checkpoints(checkpoints, digest([to_dict(config), dataset.digest])) as state:
        trainer = AutoencoderTrainer(config, clips, unseen, split == "validation")
        with Progress("train autoencoder", config.steps) as progress:
            fit(trainer, config, state, progress)
        model = trainer.model.eval()
        measure_latents(model, clips, config.seed)
        metrics = {**measure(model, unseen, config.seed), **course_metrics(state)}
        with atomic_folder(out) as folder:
            model.save(folder)
            write_result(folder, config, metrics, state, autoencoder_page(model, dataset, split, metrics, state))
    return TrainingResult(Path(out), metrics)


class AutoencoderTrainer(Trainer[Tensor]):
    """An autoencoder, its optimizers, and the clips that it learns from and is measured on."""

    def __init__(
        self,
        config: AutoencoderTraining,
        clips: dict[Shape, Tensor],
        unseen: dict[Shape, Tensor],
        has_held_out: bool,
    ):
        self.config, self.clips, self.unseen, self.has_held_out = config, clips, unseen, has_held_out
        self.device = device()
        self.generator = torch.Generator().manual_seed(config.seed)  # draws all, so that its state is the random state
        torch.manual_seed(config.seed)  # the weights' first values
        self.model = VAE(config.model)
        self.model.initialise_from_pca(_some_blocks(clips, config.model, self.generator))
        self.model.to(self.device)
        self.optimizers = build_optimizers(self.model, HIDDEN, config)

    def batch(self, step: int) -> Tensor:
        """Draw clips `[B, 3, T, H, W]` of one size and length."""
        return to_video(_batch(self.clips, self.config.pixels_per_step, self.generator), self.device)

    def step(self, step: int, batch: Tensor, rate: float) -> dict[str, Tensor | float]:
        """Take one step on a batch of clips."""
        loss, error = elbo(self.model, batch, self.config.kl_weight, self.generator)
        norm = take_step(self.model, self.optimizers, loss, self.config, rate)
        return {"loss": loss, "gradient_norm": norm, "error": error}

    def row(self, means: dict[str, float], steps_per_s: float) -> dict[str, float]:
        """Return the means, with the PSNR of what was decoded with the noise of the posterior for the error."""
        return {"psnr": _decibels(means.pop("error")), **means}

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Return loss and PSNR of a few held-out clips of every shape, always with the same noise."""
        if not self.has_held_out:
            return {}
        noise, sums, pixels = torch.Generator().manual_seed(self.config.seed), torch.zeros(2), 0
        for shape, frames in self.unseen.items():
            some = frames[:HELD_OUT_PER_SHAPE]
            loss, error = elbo(self.model, to_video(some, self.device), self.config.kl_weight, noise)
            size = len(some) * math.prod(shape)
            sums, pixels = sums + size * torch.stack([loss, error]).cpu(), pixels + size
        loss_mean, error_mean = (sums / pixels).tolist()
        return {"held_out_loss": loss_mean, "held_out_psnr": _decibels(error_mean)}

    @torch.no_grad()
    def sample(self) -> list[Clip]:
        """Reconstruct the longest clip of every size, and one image."""
        longest = {shape[1:]: shape for shape in sorted(self.unseen)}
        shapes = [*[shape for shape in self.unseen if shape[0] == 1][:1], *longest.values()]
        clips = []
        for shape in list(dict.fromkeys(shapes))[:SAMPLES]:
            video = to_video(self.unseen[shape][:1], self.device)
            decoded = self.model.decode(self.model.encode(video)[0])
            panels = _stacked([to_frames(video[0]), to_frames(decoded[0])])
            clips.append(Clip(panels, 8.0, _shape_name(shape), f"{float(psnr(decoded, video)):.1f} dB"))
        return clips

    def save(self, folder: Path) -> dict[str, Any]:
        """Write weights, optimizer states and random state."""
        save_state(folder, self.model, self.optimizers, self.generator)
        return {}

    def load(self, folder: Path, values: dict[str, Any]) -> None:
        """Put them back."""
        load_state(folder, self.model, self.optimizers, self.generator)


def elbo(model: VAE, video: Tensor, kl_weight: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return the loss of `video [B, 3, T, H, W]`, a weighted evidence lower bound, and its mean squared pixel error."""
    with autocast(video.device):
        mean, log_variance = (moment.float() for moment in model.encode(video))
        noise = torch.randn(mean.shape, generator=generator).to(mean.device)
        decoded = model.decode(mean + (0.5 * log_variance).exp() * noise)  # the reparameterisation, 1312.6114 eq. 4
    error = F.mse_loss(decoded.float(), video)
    divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean()  # 1312.6114, appendix B
    return error + kl_weight * divergence, error


def load_clips(dataset: ClipDataset, split: str) -> dict[Shape, Tensor]:
    """Read the clips of a split into memory: one `uint8 [N, T, H, W, 3]` for every size and length."""
    rows = dataset.clips[dataset.clips["split"] == split]
    by_shape: dict[Shape, list[Tensor]] = defaultdict(list)
    for array in dataset.read(rows["clip_id"]):
        frames = torch.from_numpy(np.array(array))  # a copy: decoded images cannot be written to
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
                error = LATENT_ERROR * torch.randn(latent.shape, generator=generator).to(latent.device)
                kinds["psnr_video_disturbed"].append(psnr(model.decode(model.denormalise(latent + error)), video))
        kinds["psnr_video" if count > 1 else "psnr_image"] += here
        figures[f"psnr_{width}x{height}x{count}"] = float(torch.cat(here).mean())
    return {name: float(torch.cat(kinds[name]).mean()) for name in sorted(kinds, reverse=True)} | figures


def _portions(frames: Tensor, model: VAE) -> Iterator[Tensor]:
    """Yield clips `uint8 [N, T, H, W, 3]` as video tensors on the model's device, a few at a time."""
    count = max(1, PIXELS_AT_ONCE // math.prod(frames.shape[1:4]))
    for some in torch.split(frames, count):
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
    return blocks[torch.randperm(len(blocks), generator=generator)[:BLOCKS_FOR_PCA]]


def autoencoder_page(
    model: VAE, dataset: ClipDataset, split: str, metrics: dict[str, float], checkpoints: Checkpoints
) -> Page:
    """Return the report: figures, the course of training, and clips of every size beside their reconstruction."""
    seen = "unseen clips" if split == "validation" else "the clips it was trained on (there are no others)"
    c = model.config
    page = training_page(
        "Autoencoder",
        f"Blocks of {c.temporal} frames x {c.spatial} x {c.spatial} pixels become {c.latent_channels} numbers each, "
        f"and back. The figures are of {seen}.",
        {TITLES[name]: f"{metrics[name]:.1f} dB" for name in TITLES if name in metrics},
        checkpoints,
        "squared error + weighted KL",
        f"The same clips at several steps ({seen}): the original, and below it the reconstruction.",
        {"psnr": "PSNR of training batches, dB", "held_out_psnr": "PSNR of held-out clips, dB"},
    )
    page.text(
        "The curves show the PSNR of clips that are decoded with the noise of the variational posterior; the figures "
        'on top are without it. "Disturbed" adds an error of a tenth of a standard deviation to every latent first: '
        "generated latents are never exact, so the decoder has to bear that."
    )
    page.heading("Reconstructions")
    page.clips(
        _comparisons(model, dataset, split), "From top to bottom: original, reconstruction, difference (times four)."
    )
    page.heading("By size")
    return page.table(
        [
            {"width x height x frames": name.removeprefix("psnr_"), "PSNR": f"{value:.2f} dB"}
            for name, value in metrics.items()
            if name.startswith("psnr_") and name not in TITLES
        ]
    )


@torch.no_grad()
def _comparisons(model: VAE, dataset: ClipDataset, split: str) -> Iterator[Clip]:
    columns = ["frames", "height", "width"]
    rows = dataset.clips[dataset.clips["split"] == split].sort_values(columns, kind="stable")
    for clip_id in rows.groupby(columns).head(CLIPS_SHOWN)["clip_id"]:
        original = np.array(dataset.frames(clip_id))
        video = to_video(torch.from_numpy(original)[None], model.latent_mean.device)
        decoded = model.decode(model.encode(video)[0])
        difference = (4 * (decoded - video).abs() - 1).clamp(-1, 1)  # black where there is none
        panels = _stacked([original, to_frames(decoded[0]), to_frames(difference[0])])
        count, height, width = original.shape[:3]
        note = f"{float(psnr(decoded, video)):.1f} dB"
        fps = float(dataset.row(clip_id)["fps"])
        yield Clip(enlarge(panels, SHOWN_FACTOR), fps, _shape_name((count, height, width)), note)


def _stacked(panels: Sequence[np.ndarray]) -> np.ndarray:
    """Put clips `uint8 [T, H, W, 3]` of one shape below each other, a white line between them."""
    line = np.full((panels[0].shape[0], 1, panels[0].shape[2], 3), 255, np.uint8)
    return np.concatenate([part for panel in panels for part in (panel, line)][:-1], axis=1)


def _shape_name(shape: Shape) -> str:
    count, height, width = shape
    return f"{width}x{height}, " + (f"{count} frames" if count > 1 else "image")


def _decibels(error: float) -> float:
    """Return the PSNR of a mean squared error between videos in [-1, 1]."""
    return 10 * math.log10(4 / max(error, 1e-10))
