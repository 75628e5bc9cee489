"""What an autoencoder learns from a batch of clips: the configuration, the loss and the step."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from kinora.data.clips import ClipDataset
from kinora.data.loader import Loader
from kinora.errors import KinoraError, UsageError
from kinora.media.tensors import to_frames
from kinora.models.precision import autocast, device
from kinora.models.vae import VAE, VAEConfig, to_blocks
from kinora.report import Clip
from kinora.training.autoencoder_losses import Adversary, ReconstructionLoss
from kinora.training.autoencoder_report import shape_name, stacked
from kinora.training.batches import clip_generator
from kinora.training.checkpoints import load_state, save_state
from kinora.training.config import TrainingConfig
from kinora.training.ema import EMA
from kinora.training.loop import Trainer
from kinora.training.optimizers import build_optimizers, take_step
from kinora.training.ranks import Ranks
from kinora.training.reconstruction import PIXELS_AT_ONCE, psnr, to_video
from kinora.training.video_batches import Excerpt, ExcerptReader, Excerpts, Limits

HIDDEN = r"\.(blocks|downs|ups)\."  # names of the matrices between hidden layers
CLIPS_FOR_PCA = 64  # clips of each size and length that the principal components are measured on
BLOCKS_FOR_PCA, VALUES_FOR_PCA = 50_000, 2**26  # blocks of all of them, and numbers in these, at most
HELD_OUT_PER_SHAPE = 4  # clips of each size and length that the held-out loss is measured on while training
STEP_OF_HELD_OUT = 2**32 - 1  # stands for the step where held-out clips' noise is drawn: no training reaches it
SAMPLES = 4  # clips that are reconstructed along the way
FRAMES_COMPARED = 4  # of each clip, by the perceptual term: neighbouring frames look alike
AVERAGE = "ema.safetensors"
BATCHES_AHEAD, READERS = 8, 4  # batches that are read before they are needed, and threads that read them


@dataclass(frozen=True, kw_only=True)
class AutoencoderTraining(TrainingConfig):
    """How an autoencoder is trained; see `TrainingConfig` for the rest.

    pretrained: the name of one (`kinora.models.hf`), which is then used as it is, and nothing is trained; `model` must
        have its latent channels and compression.
    pixels_per_step: pixels (frames x height x width) of each step's batch, which is of one size and length.
    crop_frames, crop_side: longer and larger clips are cut to so many frames and pixels each way, anywhere in them.
    squared_weight, absolute_weight: of the mean squared and the mean absolute pixel error. A term of weight 0 is not
        computed.
    kl_weight: of the Kullback-Leibler term, a mean over latent values: it sets how much noise the decoder learns to
        bear.
    perceptual_weight: of the difference in perceptual features, which are given beside the configuration.
    adversarial_weight: of the discriminator's judgement, as a share of the pull of the other terms on the decoder's
        last layer.
    adversarial_start: the step after which the discriminator begins to learn and to judge.
    discriminator_width: its channels.
    discriminator_learning_rate: its learning rate.
    ema_decay: of the moving average of the weights, which is what is measured and kept.
    """

    model: VAEConfig = field(default_factory=VAEConfig)
    pretrained: str = ""
    steps: int = 1000
    pixels_per_step: int = 8 * 17 * 32 * 32
    crop_frames: int = 17
    crop_side: int = 256
    squared_weight: float = 1.0
    absolute_weight: float = 0.0
    kl_weight: float = 5e-4
    perceptual_weight: float = 0.0
    adversarial_weight: float = 0.0
    adversarial_start: int = 0
    discriminator_width: int = 32
    discriminator_learning_rate: float = 2e-4
    ema_decay: float = 0.99
    learning_rate: float = 2e-3
    muon_learning_rate: float = 1e-2
    warmup_steps: int = 50

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("squared_weight", "absolute_weight", "kl_weight", "perceptual_weight", "adversarial_weight"):
            if getattr(self, name) < 0:
                raise UsageError(f"{name} is {getattr(self, name)}; give 0 or more.")
        if not (self.squared_weight or self.absolute_weight):
            raise UsageError("squared_weight and absolute_weight are both 0; pixels need one of them.")
        for name, least in (("crop_frames", 1), ("crop_side", self.model.spatial), ("pixels_per_step", 1)):
            if getattr(self, name) < least:
                raise UsageError(f"{name} is {getattr(self, name)}; give {least} or more.")
        if not 0 <= self.ema_decay < 1:
            raise UsageError(f"ema_decay is {self.ema_decay}; give 0 or more, and less than 1.")

    def limits(self) -> Limits:
        """Return what clips are cut to."""
        return Limits(self.crop_frames, self.crop_side, self.model.temporal, self.model.spatial)


@dataclass(frozen=True)
class Batch:
    """A rank's part of a step's clips.

    frames: `uint8 [B, T, H, W, 3]`.
    noise: of the posterior, standard normal, `[B, z, t, h, w]`.
    compared: frames `[F]` that the perceptual term looks at.
    share: B divided by the clips of all ranks; 0 where the clips are fewer than the ranks and this one has only an idle
        copy of the first.
    """

    frames: Tensor
    noise: Tensor
    compared: Tensor
    share: float


class AutoencoderTrainer(Trainer[Batch]):
    """An autoencoder, what judges it, its optimizers, and the clips that it learns from and is measured on.

    Every rank holds all weights. Gradients are summed over the ranks, each weighted by its share of the step's clips,
    so that a step is the same for any number of ranks.

    Raises:
        KinoraError: if the dataset has no clip to train on, or perceptual features are missing.
    """

    def __init__(self, config: AutoencoderTraining, dataset: ClipDataset, features: str | Path | None = None):
        self.config, self.device, self.ranks = config, device(), Ranks()
        self.reader = ExcerptReader(dataset)
        self.excerpts = Excerpts(dataset, "train", config.limits())
        if not len(self.excerpts):
            raise KinoraError(f"{dataset.path} has no clips in its training split; ingest more clips.")
        unseen = Excerpts(dataset, "validation", config.limits())
        self.has_held_out = bool(len(unseen))
        # A handful of real clips may leave none for validation: then samples are of the clips it was trained on.
        self.held_out = (unseen if self.has_held_out else self.excerpts).some(HELD_OUT_PER_SHAPE)
        torch.manual_seed(config.seed)  # the weights' first values
        self.model = VAE(config.model)
        if self.ranks.first:
            self.model.initialise_from_pca(self._some_blocks())
        self.model.to(self.device)
        self.ranks.copy_first(list(self.model.state_dict().values()))
        self.ema = EMA(self.model, config.ema_decay)
        self.optimizers = build_optimizers(self.model, HIDDEN, config)
        self.criterion = ReconstructionLoss(config, features).to(self.device)
        self.adversary = Adversary(config).to(self.device) if config.adversarial_weight else None
        self.loader: Loader[Batch] | None = None  # from the first step on: only then it is known which that is

    def batch(self, step: int) -> Batch:
        """Return this rank's part of a step's clips."""
        if self.loader is None:
            steps = ([partial(self._read, number)] for number in range(step, self.config.steps + 1))
            self.loader = Loader(steps, ahead=BATCHES_AHEAD, threads=READERS)
        return next(self.loader)[0]

    def step(self, step: int, batch: Batch, rate: float) -> dict[str, Tensor | float]:
        """Take one step on a batch, and one of the discriminator."""
        video = to_video(batch.frames, self.device)
        decoded, terms = self._reconstruct(video, batch.noise, batch.compared)
        loss = total = self.criterion.weighted(terms)
        adversary = self.adversary if step > self.config.adversarial_start else None
        if adversary is not None:
            terms["adversarial"] = adversary.judge(decoded)
            balance = adversary.balance(batch.share * loss, batch.share * terms["adversarial"], self.model, self.ranks)
            total = loss + self.config.adversarial_weight * balance * terms["adversarial"]
        norm = take_step(self.model, self.optimizers, batch.share * total, self.config, rate)
        self.ema.update(self.model)
        if adversary is not None:
            terms["discriminator"] = adversary.step(video, decoded.detach(), batch.share, self.ranks)
        # The mean over the ranks of what is logged is the mean over all clips.
        weight = batch.share * self.ranks.size
        logged = {"loss": loss, **terms, "error": F.mse_loss(decoded.detach(), video)}
        return {**{name: weight * value.detach() for name, value in logged.items()}, "gradient_norm": norm}

    def row(self, means: dict[str, float], steps_per_s: float) -> dict[str, float]:
        """Return the means, with the PSNR of what was decoded with the noise of the posterior for the error."""
        return {"psnr": _decibels(means.pop("error")), **means}

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Return loss and PSNR of a few held-out clips of every shape, of the averaged weights, with the same noise."""
        if not self.has_held_out:
            return {}
        sums = {"loss": 0.0, "error": 0.0, "pixels": 0.0}
        with self.ema.applied_to(self.model):
            for number in range(self.ranks.rank, len(self.held_out), self.ranks.size):
                batch = self._prepare(list(self.held_out.values())[number], STEP_OF_HELD_OUT, number)
                video = to_video(batch.frames, self.device)
                decoded, terms = self._reconstruct(video, batch.noise, batch.compared)
                pixels = batch.frames.numel() / 3
                sums["loss"] += pixels * float(self.criterion.weighted(terms))
                sums["error"] += pixels * float(F.mse_loss(decoded, video))
                sums["pixels"] += pixels
        means = self.ranks.mean(sums)
        return {
            "held_out_loss": means["loss"] / means["pixels"],
            "held_out_psnr": _decibels(means["error"] / means["pixels"]),
        }

    @torch.no_grad()
    def sample(self) -> list[Clip]:
        """Reconstruct the longest clip of every size, and one image, with the averaged weights (first rank)."""
        if not self.ranks.first:
            return []
        longest = {shape[1:]: shape for shape in sorted(self.held_out)}
        shapes = [*[shape for shape in self.held_out if shape[0] == 1][:1], *longest.values()]
        clips = []
        with self.ema.applied_to(self.model):
            for shape in list(dict.fromkeys(shapes))[:SAMPLES]:
                video = to_video(self.reader.stack(self.held_out[shape][:1]), self.device)
                decoded = self.model.decode(self.model.encode(video)[0])
                panels = stacked([to_frames(video[0]), to_frames(decoded[0])])
                clips.append(Clip(panels, 8.0, shape_name(shape), f"{float(psnr(decoded, video)):.1f} dB"))
        return clips

    def save(self, folder: Path) -> dict[str, Any]:
        """Write weights, their average and optimizer states (first rank: all have the same)."""
        if self.ranks.first:
            save_state(folder, *self._state())
            save_file(self.ema.weights, folder / AVERAGE)
        return {"ema_updates": self.ema.updates}

    def load(self, folder: Path, values: dict[str, Any]) -> None:
        """Put them back."""
        load_state(folder, *self._state())
        self.ema.restore(values["ema_updates"], load_file(folder / AVERAGE))

    def export(self, folder: Path) -> None:
        """Write the averaged weights as a model (first rank)."""
        if self.ranks.first:
            with self.ema.applied_to(self.model):
                self.model.save(folder)

    def close(self) -> None:
        """Read no more clips."""
        if self.loader is not None:
            self.loader.close()

    def _reconstruct(self, video: Tensor, noise: Tensor, compared: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the decoded video and the terms of the loss."""
        with autocast(self.device):
            mean, log_variance = (moment.float() for moment in self.model.encode(video))
            # The reparameterisation, https://arxiv.org/abs/1312.6114, eq. 4.
            decoded = self.model.decode(mean + (0.5 * log_variance).exp() * noise.to(self.device)).float()
            return decoded, self.criterion(decoded, video, mean, log_variance, compared)

    def _read(self, step: int) -> Batch:
        excerpts = self.excerpts.batch(self.config.pixels_per_step, self.config.seed, step)
        return self._prepare(excerpts, step, self.ranks.rank, self.ranks.size)

    def _prepare(self, excerpts: Sequence[Excerpt], step: int, rank: int = 0, ranks: int = 1) -> Batch:
        """Read a rank's part of the clips of a step, and draw their noise by their places in the step."""
        seed, shape = self.config.seed, excerpts[0].shape
        own = list(range(rank, len(excerpts), ranks))
        places = own or [0]
        latent = (self.config.model.latent_channels, *self.config.model.latent_shape(*shape))
        noise = [torch.randn(latent, generator=clip_generator(seed, step, place)) for place in places]
        compared = torch.randperm(shape[0], generator=clip_generator(seed, step, -1))[:FRAMES_COMPARED]
        frames = self.reader.stack([excerpts[place] for place in places])
        if self.device.type == "cuda":
            frames = frames.pin_memory()
        return Batch(frames, torch.stack(noise), compared, len(own) / len(excerpts))

    def _some_blocks(self) -> Tensor:
        """Draw blocks `[N, D]` from all shapes alike, to measure their principal components on."""
        model, chance = self.config.model, torch.Generator().manual_seed(self.config.seed)
        few = self.excerpts.some(CLIPS_FOR_PCA, self.config.seed)
        clips = sum(map(len, few.values()))
        count = min(BLOCKS_FOR_PCA, VALUES_FOR_PCA // model.block_values) // clips + 1  # of each clip
        drawn = []
        for excerpts in few.values():
            for frames in self.reader.portions(excerpts, PIXELS_AT_ONCE):
                blocks = to_blocks(to_video(frames, torch.device("cpu")), model).flatten(0, 3)
                drawn.append(blocks[torch.randperm(len(blocks), generator=chance)[: len(frames) * count]])
        return torch.cat(drawn)

    def _state(self) -> tuple[nn.Module, list[torch.optim.Optimizer]]:
        modules: dict[str, nn.Module] = {"autoencoder": self.model}
        optimizers = list(self.optimizers)
        if self.adversary is not None:
            modules["discriminator"] = self.adversary.discriminator
            optimizers.append(self.adversary.optimizer)
        return nn.ModuleDict(modules), optimizers


def _decibels(error: float) -> float:
    """Return the PSNR of a mean squared error between videos in [-1, 1]."""
    return 10 * math.log10(4 / max(error, 1e-10))
