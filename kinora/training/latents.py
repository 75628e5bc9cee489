"""Encoding a captioned clip dataset with a trained autoencoder."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from kinora.config import digest
from kinora.data.clips import ClipDataset
from kinora.data.shards import LatentWriter
from kinora.errors import KinoraError
from kinora.files import file_digest
from kinora.media.tensors import to_tensor
from kinora.models.autoencoder import load_autoencoder
from kinora.models.hf_text_encoder import FrozenTextEncoder
from kinora.models.text_encoder import TextEncoderConfig
from kinora.progress import Progress

CLIPS_AT_ONCE, PIXELS_AT_ONCE = 16, 2**24  # whichever is fewer, and at least one clip


def encode_latents(
    dataset: ClipDataset,
    captions: pd.DataFrame,
    vae: str | Path,
    out: str | Path,
    text: TextEncoderConfig | None = None,
) -> dict[str, float]:
    """Encode every clip of `dataset` and write a `LatentDataset` with its caption.

    An encoding that was interrupted goes on, with the same arguments, after the last shard that it finished.

    Args:
        captions: a row a clip, with `clip_id`, `caption` and `short_caption` (the published features).
        vae: a folder that `load_autoencoder` reads.
        text: the text encoder of the transformer to be trained; what a frozen one makes of a caption is kept as well.

    Returns:
        How many clips and latent values there are, and how far the training split's latents are from zero mean and
        unit variance (`latent_mean_off`, `latent_std_off`: the worst channel).

    Raises:
        KinoraError: if a clip has no caption, or the text encoder cannot be read.
    """
    model = load_autoencoder(vae).for_inference()
    frozen = FrozenTextEncoder(text.pretrained, text.max_words) if text is not None and text.kind == "hf" else None
    texts = captions.set_index("clip_id")[["caption", "short_caption"]]
    table = dataset.clips.drop(columns=["caption", "short_caption"]).join(texts, on="clip_id")
    uncaptioned = table["caption"].isna() | (table["caption"] == "")
    if uncaptioned.any():
        raise KinoraError(
            f"{uncaptioned.sum()} of {len(table)} clips have no caption; caption the dataset before encoding."
        )
    table["short_caption"] = table["short_caption"].fillna(table["caption"])
    # Clips of one size and length are encoded together.
    table = table.sort_values(["frames", "height", "width"], kind="stable").reset_index(drop=True)
    config = {
        "vae_digest": file_digest(Path(vae) / "model.safetensors"),
        "dataset_digest": dataset.digest,
        "latent_channels": model.config.latent_channels,
        "temporal": model.config.temporal,
        "spatial": model.config.spatial,
        "text": frozen.description() if frozen is not None else None,
    }
    same = digest({"config": config, "texts": table[["clip_id", "caption", "short_caption"]].to_csv(index=False)})
    statistics = _Statistics(model.config.latent_channels)
    with LatentWriter(out, config, going_on_from=same) as writer:
        for row, latent in writer.committed():
            statistics.add(row, latent)
        with Progress("encode latents", len(table), "clips") as progress:
            progress.update(writer.written)
            for some in _groups(table, writer.written):
                video = torch.stack([to_tensor(frames) for frames in dataset.read(some["clip_id"])])
                latents = model.latents_of(video).half().cpu()
                embedded = frozen.encode(some["caption"].tolist()) if frozen is not None else None
                for place, (values, latent) in enumerate(zip(some.to_dict("records"), latents, strict=True)):
                    row = {str(name): value for name, value in values.items()}
                    statistics.add(row, latent)
                    beside = {"text": embedded[place].bfloat16()} if embedded is not None else {}
                    writer.add(row, {"latent": latent, **beside})
                progress.update(int(some.index[-1]) + 1)
    return {"clips": len(table), **statistics.metrics()}


def _groups(table: pd.DataFrame, first: int) -> Iterator[pd.DataFrame]:
    """Yield, from row `first` on, rows of one size and length, as many as may be in memory at once."""
    for _, alike in table.iloc[first:].groupby(["frames", "height", "width"], sort=True):
        pixels = int(alike[["frames", "height", "width"]].to_numpy()[0].prod())  # of one clip
        count = min(CLIPS_AT_ONCE, max(1, PIXELS_AT_ONCE // pixels))
        for start in range(0, len(alike), count):
            yield alike.iloc[start : start + count]


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
