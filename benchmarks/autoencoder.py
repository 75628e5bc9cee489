"""How well a recipe's autoencoder reconstructs unseen clips, and what its training costs.

    python -m benchmarks.autoencoder [--recipe tiny]

Makes the recipe's simulated clips, trains on the training split, and measures 8-bit frames of the validation split
against the same model before training, which is the best linear autoencoder (principal components).
"""

import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import tyro

from kinora import recipes
from kinora.data.clips import ClipDataset
from kinora.data.ingest.config import IngestConfig
from kinora.data.ingest.dataset import ingest
from kinora.media.tensors import to_frames
from kinora.models.vae import VAE
from kinora.training.autoencoder import train_autoencoder
from kinora.training.autoencoder_trainer import AutoencoderTraining


def psnr(frames: np.ndarray, reference: np.ndarray) -> float:
    """Return the PSNR of `uint8` frames in decibels."""
    error = np.mean((frames.astype(float) - reference.astype(float)) ** 2)
    return float(10 * np.log10(255**2 / max(error, 1e-6)))


@torch.no_grad()
def reconstruct(model: VAE, video: torch.Tensor, error: float = 0.0) -> np.ndarray:
    """Return `video [3, T, H, W]` through the autoencoder, its latents disturbed by `error` standard deviations."""
    latent = model.normalise(model.encode(video[None])[0])
    latent = latent + error * torch.randn_like(latent)
    return to_frames(model.decode(model.denormalise(latent))[0])


def rows(model: VAE, dataset: ClipDataset) -> dict[tuple[str, float], list[float]]:
    """Return the PSNR of every validation clip by kind and by error of the latents."""
    torch.manual_seed(0)
    found: dict[tuple[str, float], list[float]] = {}
    for row in dataset.clips[dataset.clips["split"] == "validation"].itertuples():
        reference = dataset.frames(row.clip_id)
        for error in (0.0, 0.1, 0.2):
            decoded = reconstruct(model, dataset.video(row.clip_id), error)
            found.setdefault((row.kind, error), []).append(psnr(decoded, reference))
    return found


def measure(recipe: str = "tiny") -> str:
    """Return the benchmark as a section of Markdown."""
    chosen = recipes.get(recipe)
    with tempfile.TemporaryDirectory() as folder:
        dataset = ingest("worlds", Path(folder) / "clips", IngestConfig(chosen.ingest.worlds, chosen.ingest.simulated))
        began, cpu = time.time(), time.process_time()
        train_autoencoder(dataset, Path(folder) / "trained", chosen.autoencoder)
        wall, cpu = time.time() - began, time.process_time() - cpu
        trained = rows(VAE.load(Path(folder) / "trained"), dataset)
        train_autoencoder(dataset, Path(folder) / "linear", untrained(chosen.autoencoder))
        linear = rows(VAE.load(Path(folder) / "linear"), dataset)
    config = chosen.autoencoder
    lines = [
        f"## Autoencoder, recipe `{recipe}`",
        "",
        f"{config.steps} steps in {wall:.0f} s of wall time, {cpu:.0f} s of CPU time, {torch.get_num_threads()} "
        f"threads on {os.cpu_count()} cores; {config.model.latent_channels} latent channels. "
        "PSNR in dB, mean over unseen clips.",
        "",
        "| clips | count | linear (principal components) | trained | latents disturbed by 0.1 σ | by 0.2 σ |",
        "|---|---|---|---|---|---|",
    ]
    for kind in sorted({kind for kind, _ in trained}):
        values = [linear[kind, 0.0], trained[kind, 0.0], trained[kind, 0.1], trained[kind, 0.2]]
        lines.append(f"| {kind} | {len(values[0])} | " + " | ".join(f"{np.mean(v):.2f}" for v in values) + " |")
    return "\n".join(lines) + "\n"


def untrained(config: AutoencoderTraining) -> AutoencoderTraining:
    """Return a training of no steps: only the principal components are measured."""
    return replace(config, steps=0)


if __name__ == "__main__":
    print(tyro.cli(measure))
