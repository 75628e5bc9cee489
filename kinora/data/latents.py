"""A dataset of latents: what the transformer trains on, encoded once.

A folder with `index.parquet` (one row a clip), `config.json` and `shards/*.safetensors`, which hold each clip's latent
under its `clip_id`: float16 `[z, t, h, w]`, of zero mean and unit variance a channel over the training split.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from kinora.config import read_json, write_json
from kinora.errors import KinoraError
from kinora.files import atomic_folder, folder_digest

INDEX_COLUMNS = (
    "clip_id", "caption", "short_caption", "split", "kind", "width", "height", "frames", "fps", "shard",
)  # fmt: skip
CLIPS_PER_SHARD = 512


@dataclass(frozen=True)
class LatentClip:
    """One encoded clip: latent `float32 [z, t, h, w]`, its captions, and frames per second of the original."""

    clip_id: str
    latent: Tensor
    caption: str
    short_caption: str
    fps: float
    kind: str


class LatentDataset:
    """Encoded clips by number. `index` may be narrowed (`of_split`) without touching the files."""

    def __init__(self, path: Path, index: pd.DataFrame, config: dict[str, Any]):
        self.path, self.index, self.config = path, index.reset_index(drop=True), config

    @classmethod
    def open(cls, path: str | Path) -> "LatentDataset":
        """Open what `write` wrote.

        Raises:
            KinoraError: if the folder holds no whole latent dataset.
        """
        path = Path(path)
        if not (path / "index.parquet").is_file() or not (path / "config.json").is_file():
            raise KinoraError(f"{path} holds no latents; encode a clip dataset with a trained autoencoder first.")
        return cls(path, pd.read_parquet(path / "index.parquet"), read_json(path / "config.json"))

    @classmethod
    def write(
        cls, path: str | Path, clips: Iterable[tuple[Mapping[str, Any], Tensor]], config: dict[str, Any]
    ) -> "LatentDataset":
        """Write clips, each an index row (without `shard`) and a latent `[z, t, h, w]`, whole or not at all.

        Shards are filled as clips arrive, so that the whole set is never in memory.
        """
        path = Path(path)
        with atomic_folder(path) as temporary:
            (temporary / "shards").mkdir()
            rows: list[dict[str, Any]] = []
            for number, shard in enumerate(_chunks(clips, CLIPS_PER_SHARD)):
                name = f"shards/{number:05d}.safetensors"
                tensors = {row["clip_id"]: z.half().contiguous() for row, z in shard}
                (temporary / name).write_bytes(save(tensors))  # `save_file` lets only the owner read
                rows.extend({**row, "shard": name} for row, _ in shard)
            pd.DataFrame(rows, columns=list(INDEX_COLUMNS)).to_parquet(temporary / "index.parquet", index=False)
            write_json(temporary / "config.json", config)
        return cls.open(path)

    def of_split(self, split: str) -> "LatentDataset":
        """Return only the clips of one split, "train" or "validation"."""
        return LatentDataset(self.path, self.index[self.index["split"] == split], self.config)

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, number: int) -> LatentClip:
        row = self.index.iloc[number]
        latent = self._shards[row["shard"]].get_tensor(row["clip_id"]).float()
        return LatentClip(row["clip_id"], latent, row["caption"], row["short_caption"], float(row["fps"]), row["kind"])

    def name(self, number: int) -> str:
        """Return the identity of a clip, for a sentence about it."""
        return str(self.index["clip_id"].iloc[number])

    def shapes(self) -> list[tuple[int, int, int]]:
        """Return (t, h, w) of every latent without reading it."""
        temporal, spatial = self.config["temporal"], self.config["spatial"]
        columns = self.index[["frames", "height", "width"]].itertuples(index=False)
        return [(1 + (t - 1) // temporal, h // spatial, w // spatial) for t, h, w in columns]

    @property
    def digest(self) -> str:
        """Name the dataset's content."""
        return folder_digest(self.path)

    @cached_property
    def _shards(self) -> dict[str, Any]:
        # Opened files are memory-mapped: a latent is read when it is asked for.
        names = self.index["shard"].unique()
        return {name: safe_open(self.path / name, framework="pt") for name in names}


def _chunks(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk
