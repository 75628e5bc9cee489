"""Our autoencoder beside those of Wan and CogVideoX (diffusers): equal latents, clips, loss and seconds of training.

    KINORA_MEDIA=FOLDER python -m benchmarks.autoencoder_peers [--cpu-seconds 150] [--seed 0]

All are shrunk to about as many parameters, turn 4 frames of 8x8 pixels into 16 numbers, and are trained from scratch on
the same excerpts of real clips with the same loss (mean absolute error and a little KL) for the same CPU time of one
thread, the optimizer's own included. Ours learns with Muon and Adam, as it always does; the others with AdamW at the
best of `RATES`, each of which has a trial of its own that is not counted. PSNR and SSIM are of other clips. Seconds are
CPU time, so that what else the machine does matters little.
"""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
import tyro
from torch import Tensor, nn

from kinora.media import read_video
from kinora.models.vae import VAE, Level, VAEConfig, to_blocks
from kinora.training.autoencoder_losses import kl_divergence
from kinora.training.autoencoder_trainer import HIDDEN, AutoencoderTraining
from kinora.training.optimizers import build_optimizers, set_learning_rates
from kinora.training.reconstruction import psnr, ssim
from kinora.worlds import WorldsConfig, draw_sample

MEDIA = "KINORA_MEDIA"  # names a folder of short real clips, which are no part of the project
FRAMES, SHORTER_SIDE = 33, 96  # that are kept of each clip, and their size
CROP_FRAMES, CROP_SIDE, BATCH = 9, 48, 4
MEASURED_FRAMES = 9
HELD_OUT = 6  # one in so many clips
MAX_GRADIENT_NORM = 1.0
KL_WEIGHT = 1e-4
WARMUP = 0.05  # share of the training
RATES, TRIAL = (1e-3, 3e-3), 0.2  # of AdamW; the share of the training that is spent on trying each
OURS = VAEConfig(
    latent_channels=16,
    spatial=8,
    temporal=4,
    width=96,
    encoder_blocks=2,
    decoder_blocks=4,
    finer=(Level(spatial=4, temporal=2, width=48, encoder_blocks=1, decoder_blocks=2),),
)

Moments = tuple[Tensor, Tensor]


@dataclass
class Contestant:
    """An autoencoder: what encodes `[B, 3, T, H, W]` to mean and log variance, what decodes, and its optimizers."""

    name: str
    network: nn.Module
    encode: Callable[[Tensor], Moments]
    decode: Callable[[Tensor], Tensor]
    optimizers: list[torch.optim.Optimizer]
    set_rate: Callable[[float], None]  # to a share of the learning rate

    @property
    def parameters(self) -> int:
        """How many weights there are."""
        return sum(weight.numel() for weight in self.network.parameters())


def ours(clips: list[Tensor], config: VAEConfig = OURS) -> Contestant:
    """Return ours, begun from principal components as always."""
    model, training = VAE(config), AutoencoderTraining(model=config)
    some = [to_blocks(batch, config).flatten(0, 3) for batch, _ in zip(batches(clips, 99), range(40), strict=False)]
    model.initialise_from_pca(torch.cat(some))
    optimizers = build_optimizers(model, HIDDEN, training)
    groups = [group for optimizer in optimizers for group in optimizer.param_groups]
    return Contestant(
        "ours", model, model.encode, model.decode, optimizers, lambda rate: set_learning_rates(groups, training, rate)
    )


def wan(rate: float) -> Contestant:
    """Return Wan's, with a width of 8 instead of 96."""
    from diffusers import AutoencoderKLWan

    network: Any = AutoencoderKLWan(base_dim=8, z_dim=16)

    def decode(latent: Tensor) -> Tensor:
        """Decode as the network does, but for its clipping, whose gradient is 0."""
        network.clear_cache()
        x, frames = network.post_quant_conv(latent), []
        for number in range(latent.shape[2]):
            network._conv_idx = [0]
            frames.append(
                network.decoder(
                    x[:, :, number : number + 1],
                    feat_cache=network._feat_map,
                    feat_idx=network._conv_idx,
                    first_chunk=number == 0,
                )
            )
        network.clear_cache()
        return torch.cat(frames, dim=2)

    return _peer("Wan", network, decode, rate)


def cogvideox(rate: float) -> Contestant:
    """Return CogVideoX's, with widths of 8 to 32 instead of 128 to 512."""
    from diffusers import AutoencoderKLCogVideoX

    network: Any = AutoencoderKLCogVideoX(
        down_block_types=("CogVideoXDownBlock3D",) * 4,
        up_block_types=("CogVideoXUpBlock3D",) * 4,
        block_out_channels=(8, 16, 16, 32),
        latent_channels=16,
        norm_num_groups=8,
    )
    return _peer("CogVideoX", network, lambda latent: network.decode(latent).sample, rate)


def _peer(name: str, network: Any, decode: Callable[[Tensor], Tensor], rate: float) -> Contestant:
    def encode(video: Tensor) -> Moments:
        posterior = network.encode(video).latent_dist
        return posterior.mean, posterior.logvar

    optimizer = torch.optim.AdamW(network.parameters(), rate, betas=(0.9, 0.98), weight_decay=0.0, fused=True)

    def set_rate(share: float) -> None:
        optimizer.param_groups[0]["lr"] = rate * share

    return Contestant(name, network, encode, decode, [optimizer], set_rate)


def batches(clips: list[Tensor], seed: int) -> Iterator[Tensor]:
    """Yield random excerpts `[BATCH, 3, CROP_FRAMES, CROP_SIDE, CROP_SIDE]` in [-1, 1], the same for all."""
    chance = np.random.default_rng(seed)
    while True:
        excerpts = []
        for _ in range(BATCH):
            clip = clips[chance.integers(len(clips))]
            t, y, x = (
                int(chance.integers(whole - part + 1))
                for whole, part in zip(clip.shape[:3], (CROP_FRAMES, CROP_SIDE, CROP_SIDE), strict=True)
            )
            excerpts.append(clip[t : t + CROP_FRAMES, y : y + CROP_SIDE, x : x + CROP_SIDE])
        yield to_video(torch.stack(excerpts))


def to_video(frames: Tensor) -> Tensor:
    """Turn `uint8 [B, T, H, W, 3]` into `[B, 3, T, H, W]` in [-1, 1]."""
    return frames.permute(0, 4, 1, 2, 3).float() / 127.5 - 1


def train(contestant: Contestant, clips: list[Tensor], cpu_seconds: float, seed: int) -> tuple[int, float]:
    """Train for so much CPU time; return the steps that were made and the mean loss of the last tenth of the time."""
    noise, steps, last = torch.Generator().manual_seed(seed), 0, list[float]()
    began = time.process_time()
    source = batches(clips, seed)
    while (spent := (time.process_time() - began) / cpu_seconds) < 1:
        video = next(source)
        mean, log_variance = contestant.encode(video)
        latent = mean + (0.5 * log_variance).exp() * torch.randn(mean.shape, generator=noise)
        error = F.l1_loss(contestant.decode(latent), video)
        torch.autograd.backward(error + KL_WEIGHT * kl_divergence(mean, log_variance))
        nn.utils.clip_grad_norm_(contestant.network.parameters(), MAX_GRADIENT_NORM)
        contestant.set_rate(min(spent / WARMUP, 0.5 + 0.5 * np.cos(np.pi * spent)))
        for optimizer in contestant.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        steps += 1
        if spent > 0.9 or not last:
            last.append(float(error.detach()))
    return steps, float(np.mean(last[1:] or last))


@torch.no_grad()
def measure_quality(contestant: Contestant, clips: list[Tensor]) -> dict[str, float]:
    """Return mean PSNR and SSIM of clips, and how many million pixels are encoded and decoded in a CPU second."""
    contestant.network.eval()
    found: dict[str, list[float]] = {"psnr": [], "ssim": [], "encode": [], "decode": []}
    for clip in clips:
        height, width = (side // 8 * 8 for side in clip.shape[1:3])
        video = to_video(clip[None, :MEASURED_FRAMES, :height, :width])
        began = time.process_time()
        latent = contestant.encode(video)[0]
        encoded = time.process_time()
        decoded = contestant.decode(latent)
        decoding = time.process_time() - encoded
        found["psnr"].append(float(psnr(decoded, video)))
        found["ssim"].append(float(ssim(decoded, video)))
        found["encode"].append(video.numel() / 3e6 / (encoded - began))
        found["decode"].append(video.numel() / 3e6 / decoding)
    average = {"psnr": np.mean, "ssim": np.mean, "encode": np.median, "decode": np.median}
    return {name: float(average[name](values)) for name, values in found.items()}


def read_clips(media: Path) -> tuple[list[Tensor], list[Tensor], str]:
    """Return clips `uint8 [T, H, W, 3]` to train on and others to measure on, and what they are."""
    files = sorted(media.glob("*.mp4"))
    if not files:
        print(f"{media} holds no clips (set {MEDIA} to a folder), so that clips of simulated worlds take their place.")
        worlds = WorldsConfig(sizes=((128, 96),), frames=(FRAMES,))
        clips = [
            draw_sample(worlds, np.random.default_rng([7, n]), held_out=False, image=False).frames for n in range(72)
        ]
        told = "clips of the simulated worlds"
    else:
        clips = [read_video(file, FRAMES, size=_shrunk)[0] for file in files]
        told = "short real clips"
    tensors = [torch.from_numpy(clip) for clip in clips if len(clip) >= MEASURED_FRAMES]
    measured = tensors[::HELD_OUT]
    trained = [clip for number, clip in enumerate(tensors) if number % HELD_OUT]
    return trained, measured, f"{len(trained)} {told}, {len(measured)} others to measure"


def _shrunk(width: int, height: int) -> tuple[int, int]:
    scale = SHORTER_SIDE / min(width, height)
    return max(SHORTER_SIDE, round(width * scale)), max(SHORTER_SIDE, round(height * scale))


def measure(
    media: Path | None = None,
    cpu_seconds: float = 150.0,
    seed: int = 0,
    only: tuple[str, ...] = ("ours", "Wan", "CogVideoX"),
) -> str:
    """Return the benchmark as a section of Markdown."""
    torch.set_num_threads(1)
    trained, measured, told = read_clips(media or Path(os.environ.get(MEDIA, "media")))
    lines = [
        "## Autoencoder beside Wan's and CogVideoX's",
        "",
        f"8x8x4 pixels to 16 numbers, {told}, {cpu_seconds:.0f} s of CPU time of one thread each, seed {seed}, "
        f"{os.getloadavg()[0]:.1f} processes waiting on {os.cpu_count()} cores. Speeds in million pixels a CPU second.",
        "",
        "| | parameters | rate | steps | PSNR, dB | SSIM | encode | decode |",
        "|---|---|---|---|---|---|---|---|",
    ]
    makers: dict[str, Callable[[float], Contestant]] = {"Wan": wan, "CogVideoX": cogvideox}
    for name in only:
        torch.manual_seed(seed)
        if name == "ours":
            contestant, rate = ours(trained), "its own"
        else:
            trials = {}
            for candidate in RATES:
                torch.manual_seed(seed)
                trials[candidate] = train(makers[name](candidate), trained, TRIAL * cpu_seconds, seed)[1]
            best = min(trials, key=lambda candidate: trials[candidate])
            torch.manual_seed(seed)
            contestant, rate = makers[name](best), f"{best:g}"
        steps, _ = train(contestant, trained, cpu_seconds, seed)
        q = measure_quality(contestant, measured)
        lines.append(
            f"| {name} | {contestant.parameters / 1e6:.2f} M | {rate} | {steps} | {q['psnr']:.2f} | {q['ssim']:.3f} "
            f"| {q['encode']:.2f} | {q['decode']:.2f} |"
        )
        print(lines[-1], flush=True)
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(tyro.cli(measure))
