"""Encoding a clip dataset and its texts with a trained autoencoder.

Clips of one size and length go together, so that neither dataset nor texts are read in their own order. Of each clip
some 50 bytes are held; its texts lie in a file of SQLite, by the clip's place in the order of encoding.
"""

import hashlib
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from kinora.config import digest
from kinora.data.clips import PIECE, ClipDataset, in_pieces, values_digest
from kinora.data.shards import FORMAT, TEXTS, LatentWriter
from kinora.files import file_digest
from kinora.media.tensors import to_tensor
from kinora.models.autoencoder import load_autoencoder
from kinora.models.hf_text_encoder import FrozenTextEncoder
from kinora.models.text_encoder import TextEncoderConfig
from kinora.progress import Progress

CLIPS_AT_ONCE, PIXELS_AT_ONCE = 16, 2**24  # whichever is fewer, and at least one clip
COLUMNS = ["clip_id", "uri", "split", "kind", "width", "height", "frames", "fps"]
SIZE = ["frames", "height", "width"]


def encode_latents(
    dataset: ClipDataset,
    captions: pd.DataFrame | Iterable[pd.DataFrame],
    vae: str | Path,
    out: str | Path,
    text: TextEncoderConfig | None = None,
) -> dict[str, float]:
    """Encode every clip of `dataset` and write a `LatentDataset` with all its texts.

    An encoding that was interrupted goes on, with the same arguments, after the last shard that it finished.

    Args:
        captions: a row a clip, with `clip_id` and the columns of `TEXTS` that there are (the published features), whole
            or in pieces, in any order; a clip without any is trained on without a sentence.
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
    config = {
        "vae_digest": file_digest(Path(vae) / "model.safetensors"),
        "dataset_digest": dataset.digest,
        "latent_channels": model.config.latent_channels,
        "temporal": model.config.temporal,
        "spatial": model.config.spatial,
        "text": frozen.description() if frozen is not None else None,
    }
    statistics = _Statistics(model.config.latent_channels)
    with tempfile.TemporaryDirectory() as scratch, closing(sqlite3.connect(Path(scratch) / "texts.db")) as texts:
        ordered = _Ordered(dataset, in_pieces(captions), texts)
        with LatentWriter(out, config, going_on_from=digest([FORMAT, config, ordered.digest])) as writer:
            for row, latent in writer.committed():
                statistics.add(row, latent)
            with Progress("encode latents", len(dataset), "clips") as progress:
                progress.update(writer.written)
                for rows in ordered.groups(writer.written):
                    video = torch.stack([to_tensor(frames) for frames in dataset.read_rows(rows)])
                    embedded = _embedded(frozen, rows) if frozen is not None else [{}] * len(rows)
                    for row, latent, beside in zip(rows, model.latents_of(video).half().cpu(), embedded, strict=True):
                        statistics.add(row, latent)
                        writer.add(row, {"latent": latent, **beside})
                    progress.update(progress.done + len(rows))
    return {"clips": len(dataset), "captioned": ordered.captioned, **statistics.metrics()}


class _Ordered:
    """The clips of a dataset with their texts, in the order of their sizes and lengths.

    digest: names the texts of all clips. captioned: how many clips have any.
    """

    def __init__(self, dataset: ClipDataset, captions: Iterable[pd.DataFrame], texts: sqlite3.Connection):
        self.dataset, self._texts = dataset, texts
        sizes = [piece.to_numpy(np.int32) for piece in dataset.pieces(SIZE)]
        self._sizes = np.concatenate([np.zeros((0, 3), np.int32), *sizes])
        self._order = np.lexsort(self._sizes.T[::-1]).astype(np.int32)
        rank = np.empty(len(self._order), np.int32)
        rank[self._order] = np.arange(len(rank), dtype=np.int32)
        texts.execute(f"CREATE TABLE texts (place INTEGER PRIMARY KEY, {', '.join(TEXTS)})")
        insert = f"INSERT INTO texts VALUES (?{', ?' * len(TEXTS)})"
        for piece in captions:
            places = dataset.rows.places(piece["clip_id"])
            some = piece.reindex(columns=list(TEXTS), fill_value="").fillna("")[places >= 0]
            texts.executemany(
                insert, zip(rank[places[places >= 0]].tolist(), *(some[name] for name in TEXTS), strict=True)
            )
        total, self.captioned = hashlib.sha256(), 0
        for rows in self._pieces(0, ["clip_id"]):
            total.update(values_digest(rows))
            self.captioned += int((rows[list(TEXTS)] != "").any(axis=1).sum())
        self.digest = total.hexdigest()

    def groups(self, first: int) -> Iterator[list[dict[str, Any]]]:
        """Yield, from a clip on, rows of one size and length, as many as may be in memory at once."""
        for piece in self._pieces(first, COLUMNS):
            for _, alike in piece.groupby(SIZE, sort=True):
                pixels = int(alike[SIZE].to_numpy()[0].prod())  # of one clip
                count = min(CLIPS_AT_ONCE, max(1, PIXELS_AT_ONCE // pixels))
                for start in range(0, len(alike), count):
                    some = alike.iloc[start : start + count].to_dict("records")
                    yield [{str(name): value for name, value in row.items()} for row in some]

    def _pieces(self, first: int, columns: list[str]) -> Iterator[pd.DataFrame]:
        """Yield rows from a place on, with all their texts."""
        select = f"SELECT place, {', '.join(TEXTS)} FROM texts WHERE place >= ? AND place < ?"
        for start in range(first, len(self._order), PIECE):
            rows = self.dataset.rows.read(self._order[start : start + PIECE], columns)
            found = self._texts.execute(select, (start, start + len(rows))).fetchall()
            texts = pd.DataFrame(found, columns=["place", *TEXTS]).set_index("place")
            yield rows.join(texts.reindex(range(start, start + len(rows)), fill_value="").reset_index(drop=True))


def _embedded(encoder: FrozenTextEncoder, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Tensor]]:
    """Return what a frozen encoder makes of the texts of clips, each once, by the name of the first that it is."""
    named = [{row[name]: TEXTS[name] for name in reversed(TEXTS) if row[name]} for row in rows]
    sentences = list({text: None for some in named for text in some})
    vectors = dict(zip(sentences, encoder.encode(sentences), strict=True))
    return [{name: vectors[text].bfloat16() for text, name in some.items()} for some in named]


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
