"""Encoding a clip dataset and its texts with a trained autoencoder."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from kinora.config import digest
from kinora.data.clips import ClipDataset, values_digest
from kinora.data.shards import FORMAT, TEXTS, LatentWriter
from kinora.files import file_digest
from kinora.media.tensors import to_tensor
from kinora.models.autoencoder import load_autoencoder
from kinora.models.hf_text_encoder import FrozenTextEncoder
from kinora.models.text_encoder import TextEncoderConfig
from kinora.progress import Progress

CLIPS_AT_ONCE, PIXELS_AT_ONCE = 16, 2**24  # whichever is fewer, and at least one clip
COLUMNS = ["clip_id", "uri", "split", "kind", "width", "height", "frames", "fps"]


def encode_latents(
    dataset: ClipDataset,
    captions: pd.DataFrame,
    vae: str | Path,
    out: str | Path,
    text: TextEncoderConfig | None = None,
) -> dict[str, float]:
    """Encode every clip of `dataset` and write a `LatentDataset` with all its texts.

    An encoding that was interrupted goes on, with the same arguments, after the last shard that it finished.

    Args:
        captions: a row a clip, with `clip_id` and the columns of `TEXTS` that there are (the published features); a
            clip without any is trained on without a sentence.
        vae: a folder that `load_autoencoder` reads.
        text: the text encoder of the transformer to be trained; what a frozen one makes of each text is kept as well.

    Returns:
        How many clips and latent values there are, how many clips have a text (`captioned`), and how far the training
        split's latents are from zero mean and unit variance (`latent_mean_off`, `latent_std_off`: the worst channel).

    Raises:
        KinoraError: if the autoencoder or the text encoder cannot be read.
    """
    model = load_autoencoder(vae).for_inference()
    frozen = FrozenTextEncoder(text.pretrained, text.max_words) if text is not None and text.kind == "hf" else None
    table = _table(dataset, captions)
    config = {
        "vae_digest": file_digest(Path(vae) / "model.safetensors"),
        "dataset_digest": dataset.digest,
        "latent_channels": model.config.latent_channels,
        "temporal": model.config.temporal,
        "spatial": model.config.spatial,
        "text": frozen.description() if frozen is not None else None,
    }
    texts = values_digest(table[["clip_id", *TEXTS]]).hex()
    statistics = _Statistics(model.config.latent_channels)
    with LatentWriter(out, config, going_on_from=digest([FORMAT, config, texts])) as writer:
        for row, latent in writer.committed():
            statistics.add(row, latent)
        with Progress("encode latents", len(table), "clips") as progress:
            progress.update(writer.written)
            for some in _groups(table, writer.written):
                rows = [{str(name): value for name, value in row.items()} for row in some.to_dict("records")]
                video = torch.stack([to_tensor(frames) for frames in dataset.read_rows(rows)])
                embedded = _embedded(frozen, rows) if frozen is not None else [{}] * len(rows)
                for row, latent, beside in zip(rows, model.latents_of(video).half().cpu(), embedded, strict=True):
                    statistics.add(row, latent)
                    writer.add(row, {"latent": latent, **beside})
                progress.update(int(some.index[-1]) + 1)
    captioned = int((table[list(TEXTS)] != "").any(axis=1).sum())
    return {"clips": len(table), "captioned": captioned, **statistics.metrics()}


def _table(dataset: ClipDataset, captions: pd.DataFrame) -> pd.DataFrame:
    """Return a row a clip, with what is written of it; clips of one size and length, which go together, follow."""
    table = pd.concat(list(dataset.pieces(COLUMNS)), ignore_index=True)
    known = captions.set_index("clip_id")
    for name in TEXTS:
        table[name] = table["clip_id"].map(known[name]).fillna("") if name in known else ""
    return table.sort_values(["frames", "height", "width"], kind="stable", ignore_index=True)


def _embedded(encoder: FrozenTextEncoder, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Tensor]]:
    """Return what a frozen encoder makes of the texts of clips, each once, by the name of the first that it is."""
    named = [{row[name]: TEXTS[name] for name in reversed(TEXTS) if row[name]} for row in rows]
    sentences = list({text: None for some in named for text in some})
    vectors = dict(zip(sentences, encoder.encode(sentences), strict=True))
    return [{name: vectors[text].bfloat16() for text, name in some.items()} for some in named]


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
