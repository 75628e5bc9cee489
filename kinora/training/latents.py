"""Encoding a captioned clip dataset with a trained autoencoder."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from kinora.data.clips import ClipDataset
from kinora.data.latents import LatentDataset
from kinora.errors import KinoraError
from kinora.files import file_digest
from kinora.media import to_tensor
from kinora.models.autoencoder import Autoencoder, load_autoencoder
from kinora.progress import Progress

CLIPS_AT_ONCE = 16


def encode_latents(dataset: ClipDataset, captions: pd.DataFrame, vae: str | Path, out: str | Path) -> dict[str, float]:
    """Encode every clip of `dataset` and write a `LatentDataset` with its caption.

    Args:
        captions: a row a clip, with `clip_id`, `caption` and `short_caption` (the published features).
        vae: a folder that `load_autoencoder` reads.

    Returns:
        How many clips and latent values there are, and how far the training split's latents are from zero mean and
        unit variance (`latent_mean_off`, `latent_std_off`: the worst channel).

    Raises:
        KinoraError: if a clip has no caption.
    """
    model = load_autoencoder(vae).for_inference()
    texts = captions.set_index("clip_id")[["caption", "short_caption"]]
    table = dataset.clips.drop(columns=["caption", "short_caption"]).join(texts, on="clip_id")
    uncaptioned = table["caption"].isna() | (table["caption"] == "")
    if uncaptioned.any():
        raise KinoraError(
            f"{uncaptioned.sum()} of {len(table)} clips have no caption; caption the dataset before encoding."
        )
    table["short_caption"] = table["short_caption"].fillna(table["caption"])
    statistics = _Statistics(model.config.latent_channels)
    config = {
        "vae_digest": file_digest(Path(vae) / "model.safetensors"),
        "dataset_digest": dataset.digest,
        "latent_channels": model.config.latent_channels,
        "temporal": model.config.temporal,
        "spatial": model.config.spatial,
    }
    written = LatentDataset.write(out, _encoded(dataset, table, model, statistics), config)
    return {"clips": len(written), **statistics.metrics()}


def _encoded(
    dataset: ClipDataset, table: pd.DataFrame, model: Autoencoder, statistics: "_Statistics"
) -> Iterator[tuple[dict[str, Any], Tensor]]:
    """Yield index rows and latents, clips of one size and length together."""
    done = 0
    with Progress("encode latents", len(table), "clips") as progress:
        for _, group in table.groupby(["frames", "height", "width"], sort=True):
            for start in range(0, len(group), CLIPS_AT_ONCE):
                some = group.iloc[start : start + CLIPS_AT_ONCE]
                video = torch.stack([to_tensor(frames) for frames in dataset.read(some["clip_id"])])
                latents = model.latents_of(video).cpu()
                rows = [{str(name): value for name, value in row.items()} for row in some.to_dict("records")]
                for row, latent in zip(rows, latents, strict=True):
                    statistics.add(row, latent)
                    yield row, latent
                done += len(some)
                progress.update(done)


class _Statistics:
    """Sums over the latents of the training split."""

    def __init__(self, channels: int):
        self.count = self.values = 0
        self.total, self.squares = torch.zeros(channels).double(), torch.zeros(channels).double()

    def add(self, row: dict[str, Any], latent: Tensor) -> None:
        self.values += latent.numel()
        if row["split"] == "train":
            flat = latent.flatten(1).double()  # [z, t*h*w]
            self.count += flat.shape[1]
            self.total += flat.sum(1)
            self.squares += flat.square().sum(1)

    def metrics(self) -> dict[str, float]:
        mean = self.total / max(1, self.count)
        deviation = (self.squares / max(1, self.count) - mean.square()).clamp_min(0).sqrt()
        return {
            "latent_values": self.values,
            "latent_mean_off": float(mean.abs().max()),
            "latent_std_off": float((deviation - 1).abs().max()),
        }
