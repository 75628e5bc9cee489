"""A dataset of latents: what the transformer trains on, encoded once and read a clip at a time, from disk or S3.

A folder (or `s3://bucket/prefix`) with

- `shards/*.safetensors`: each clip's tensors, named `<clip_id>/latent` and, where a frozen encoder embedded its texts,
  `<clip_id>/text`, `<clip_id>/written_text`, ... (`TEXTS`). A latent is float16 `[z, t, h, w]`, of zero mean and unit
  variance a channel over the training split. The header's metadata holds the clips' rows, so that each shard says by
  itself what is in it;
- `index.arrow`: one row a clip, with the shard, the offset, the size and the CRC-32 of each of its tensors. It is
  mapped into memory, so that a million clips weigh little in a process;
- `latents.json`: the configuration, and size and sha256 of the index and of every shard. It is written last: without
  it there is no dataset. Its own digest names the content, so that nothing is hashed again.
"""

import hashlib
import math
import tempfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
from torch import Tensor

from kinora.config import read_json
from kinora.data.shards import FORMAT, INDEX, MANIFEST, ROWS_PER_BATCH, SCHEMA, SHARDS, TEXTS, LatentWriter, shard_name
from kinora.errors import KinoraError
from kinora.file_cache import cache_folder
from kinora.files import file_digest
from kinora.storage import open_store, split_uri

DTYPES = {"F16": torch.float16, "BF16": torch.bfloat16, "F32": torch.float32}


@dataclass(frozen=True)
class LatentClip:
    """One encoded clip: latent `float32 [z, t, h, w]`, one of its texts, and frames per second of the original.

    caption: the text that it was read with, "" where it has none.
    text: the embedding `[L, d]` of that, where it was encoded beside the latent.
    """

    clip_id: str
    latent: Tensor
    caption: str
    fps: float
    kind: str
    text: Tensor | None = None


class LatentDataset:
    """Encoded clips by number; `of_split` narrows them without touching the files.

    uri: where they lie, an absolute path or `s3://...`.
    config: how they were made.
    digest: names their content.
    """

    def __init__(
        self, uri: str, batches: list[pa.RecordBatch], config: dict[str, Any], digest: str, rows: npt.NDArray[np.int32]
    ):
        self.uri, self.config, self.digest = uri, config, digest
        self._store, self._batches, self._rows = open_store(uri), batches, rows

    @classmethod
    def open(cls, uri: str | Path) -> "LatentDataset":
        """Open what `write` wrote, in a folder or where such a folder was stored.

        Raises:
            KinoraError: if there is no whole latent dataset.
        """
        uri = str(uri) if "://" in str(uri) else str(Path(uri).absolute())
        store = open_store(uri)
        if split_uri(uri)[0] == "file":
            folder = Path(split_uri(uri)[2])
            manifest, digest = _manifest(folder / MANIFEST, uri)
            index = folder / INDEX
        else:
            with tempfile.TemporaryDirectory() as temporary:
                copy = Path(temporary) / MANIFEST
                if store.exists(MANIFEST):
                    store.get_file(MANIFEST, copy)
                manifest, digest = _manifest(copy, uri)
            index = cache_folder() / f"latents-{manifest['index'][:20]}.arrow"
            if not index.is_file():
                store.get_file(INDEX, index)
        missing = manifest["shards"] - set(store.list(SHARDS) if manifest["shards"] else ())
        if missing:
            raise KinoraError(
                f"the latents in {uri} are not whole: {min(missing)} is missing; copy or encode them again."
            )
        if not index.is_file() or file_digest(index) != manifest["index"]:
            raise KinoraError(f"the latents in {uri} are damaged: {INDEX} is not what was written; encode them again.")
        try:
            reader = pa.ipc.open_file(pa.memory_map(str(index)))
            batches = [reader.get_batch(number) for number in range(reader.num_record_batches)]
            for batch in batches:
                batch.validate(full=True)  # offsets within their bounds, whoever wrote them
        except pa.ArrowException as error:
            raise KinoraError(f"the latents in {uri} are damaged: {INDEX} ({error}); encode them again.") from error
        if reader.schema != SCHEMA or any(batch.num_rows != ROWS_PER_BATCH for batch in batches[:-1]):
            raise KinoraError(f"the latents in {uri} are damaged: {INDEX} has another form; encode them again.")
        rows = np.arange(sum(batch.num_rows for batch in batches), dtype=np.int32)
        return cls(uri, batches, manifest["config"], digest, rows)

    @classmethod
    def write(
        cls,
        path: str | Path,
        clips: Iterable[tuple[Mapping[str, Any], Tensor | Mapping[str, Tensor]]],
        config: dict[str, Any],
    ) -> "LatentDataset":
        """Write clips as `LatentWriter.add` takes them, whole or not at all."""
        with LatentWriter(path, config) as writer:
            for row, tensors in clips:
                writer.add(row, tensors)
        return cls.open(path)

    def of_split(self, split: str) -> "LatentDataset":
        """Return only the clips of one split, "train" or "validation"."""
        chosen = np.fromiter((value == split for value in self.values("split")), bool, len(self))
        return LatentDataset(self.uri, self._batches, self.config, self.digest, self._rows[chosen])

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, number: int) -> LatentClip:
        return self.read([number])[0]

    def read(self, numbers: Sequence[int], texts: Sequence[str] | None = None) -> list[LatentClip]:
        """Read clips by number, each with one of its texts; from S3 several at once.

        Args:
            numbers: which clips.
            texts: for each, the name in `TEXTS` of the text that it comes with; all with `caption` where none is named.

        Raises:
            KinoraError: if what is read is not what was written, or the store does not answer.
        """
        rows = [self._row(number) for number in numbers]
        names = texts or ["caption"] * len(rows)
        embeddings = [_embedding(row, name) for row, name in zip(rows, names, strict=True)]
        parts = [("latent", embedding) for embedding in embeddings]
        wanted = [(row, part) for row, some in zip(rows, parts, strict=True) for part in some if row[part] is not None]
        ranges = [(shard_name(row["shard"]), row[part]["offset"], row[part]["bytes"]) for row, part in wanted]
        tensors: dict[tuple[str, str], Tensor] = {}
        for (row, part), data in zip(wanted, self._store.get_ranges(ranges), strict=True):
            tensors[row["clip_id"], part] = self._tensor(row, part, data)
        return [
            LatentClip(
                row["clip_id"],
                tensors[row["clip_id"], "latent"].float(),
                row[name],
                row["fps"],
                row["kind"],
                tensors.get((row["clip_id"], embedding)),
            )
            for row, name, embedding in zip(rows, names, embeddings, strict=True)
        ]

    def texts(self, number: int) -> dict[str, str]:
        """Return all texts of a clip by their names in `TEXTS`, "" for those that it has not."""
        row = self._row(number)
        return {name: row[name] for name in TEXTS}

    def sentences(self, names: Sequence[str]) -> Iterator[str]:
        """Yield the texts of every clip that have these names in `TEXTS`, those that are equal once a clip."""
        for some in zip(*(self.values(name) for name in names), strict=True):
            yield from {text: None for text in some if text}

    def name(self, number: int) -> str:
        """Return the identity of a clip, for a sentence about it."""
        return str(self._row(number)["clip_id"])

    def values(self, column: str) -> Iterator[Any]:
        """Yield a column of the index, a row a clip."""
        for batch, rows in self._by_batch():
            yield from batch.column(column).take(pa.array(rows)).to_pylist()

    def shapes(self) -> npt.NDArray[np.int32]:
        """Return (t, h, w) of every latent, `[n, 3]`, without reading it."""
        found = [np.zeros((0, 3), np.int32)]
        for batch, rows in self._by_batch():
            shapes = batch.column("latent").field("shape").flatten().to_numpy().reshape(-1, 4)
            found.append(shapes[rows, 1:])
        return np.concatenate(found)

    def _by_batch(self) -> Iterator[tuple[pa.RecordBatch, npt.NDArray[np.int32]]]:
        """Yield the batches of the index, each with those of its rows that are of this dataset."""
        edges = np.searchsorted(self._rows, np.arange(len(self._batches) + 1) * ROWS_PER_BATCH)
        for number, batch in enumerate(self._batches):
            yield batch, self._rows[edges[number] : edges[number + 1]] - number * ROWS_PER_BATCH

    def _row(self, number: int) -> dict[str, Any]:
        batch, row = divmod(int(self._rows[number]), ROWS_PER_BATCH)
        values: dict[str, Any] = self._batches[batch].slice(row, 1).to_pylist()[0]
        return values

    def _tensor(self, row: Mapping[str, Any], name: str, data: bytes) -> Tensor:
        place = row[name]
        dtype = DTYPES.get(place["dtype"])
        if (
            dtype is None
            or not len(data) == place["bytes"] == math.prod(place["shape"]) * dtype.itemsize
            or zlib.crc32(data) != place["crc32"]
        ):
            raise KinoraError(
                f"the {name} of clip {row['clip_id']} is damaged: {self.uri}/{shard_name(row['shard'])} does not hold "
                "what was written; copy that file again from where it is whole, or encode the clips again."
            )
        return torch.frombuffer(bytearray(data), dtype=dtype).reshape(place["shape"])


def _embedding(row: Mapping[str, Any], name: str) -> str:
    """Return what the embedding of one of a clip's texts is called: as that of the first text that is equal to it."""
    return next(TEXTS[first] for first in TEXTS if row[first] == row[name])


def _manifest(path: Path, uri: str) -> tuple[dict[str, Any], str]:
    """Read `latents.json`; return its content and its digest."""
    if not path.is_file():
        if (path.parent / "index.parquet").is_file():
            raise KinoraError(
                f"the latents in {uri} are of an earlier version of Kinora; "
                "encode the clips again with 'kinora encode'."
            )
        raise KinoraError(f"{uri} holds no latents; encode a clip dataset with a trained autoencoder first.")
    try:
        manifest = read_json(path)
        if manifest["format"] != FORMAT:
            raise KinoraError(
                f"the latents in {uri} are of format {manifest['format']}, and this version of Kinora reads {FORMAT}; "
                "encode the clips again with 'kinora encode'."
            )
        names = {shard["name"] for shard in manifest["shards"]}
        content = {"config": dict(manifest["config"]), "index": str(manifest["index"]["sha256"]), "shards": names}
    except (ValueError, KeyError, TypeError) as error:
        raise KinoraError(f"the latents in {uri} are damaged: {MANIFEST} cannot be read; encode them again.") from error
    return content, hashlib.sha256(path.read_bytes()).hexdigest()
