"""Writing latents: shards of safetensors as clips come, then the index and the manifest that make them a dataset.

`kinora.data.latents` says what lies where.
"""

import json
import os
import shutil
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa
import torch
from safetensors.torch import load_file, save
from torch import Tensor

from kinora.config import write_json
from kinora.errors import KinoraError
from kinora.files import atomic_write, file_digest

MANIFEST, INDEX, SHARDS, FORMAT = "latents.json", "index.arrow", "shards", 3
BYTES_PER_SHARD, CLIPS_PER_SHARD = 64 * 2**20, 4096  # at most, but for one clip that is larger
ROWS_PER_BATCH = 8192
PLACE = pa.struct(
    {
        "dtype": pa.string(),
        "shape": pa.list_(pa.int32()),
        "offset": pa.int64(),
        "bytes": pa.int64(),
        "crc32": pa.uint32(),
    }
)
# A clip's texts, by the columns of the clip table, and what a frozen text encoder's embedding of each is called.
TEXTS = {
    "caption": "text",
    "short_caption": "short_text",
    "written_caption": "written_text",
    "written_short_caption": "written_short_text",
}
SCHEMA = pa.schema(
    {
        "clip_id": pa.string(), **dict.fromkeys(TEXTS, pa.string()), "split": pa.string(),
        "kind": pa.string(), "width": pa.int32(), "height": pa.int32(), "frames": pa.int32(), "fps": pa.float64(),
        "shard": pa.int32(), "latent": PLACE, **dict.fromkeys(TEXTS.values(), PLACE),
    }
)  # fmt: skip
COLUMNS = SCHEMA.names[: SCHEMA.names.index("shard")]  # that whoever writes a clip gives


class LatentWriter:
    """Writes a latent dataset clip by clip, in the memory of one shard; use it in a `with`, at whose end it is whole.

    Args:
        path: the folder, which is replaced as a whole.
        config: says how the latents were made, for whoever reads them.
        going_on_from: names what is being written, so that an interrupted writing of the same goes on: the shards that
            it finished are kept beside `path`, and `written` says how many clips they hold. "" keeps nothing.
    """

    def __init__(self, path: str | Path, config: dict[str, Any], going_on_from: str = ""):
        self.path, self.config, self._kept = Path(path), config, bool(going_on_from)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if going_on_from:
            self._folder = self.path.with_name(f".{self.path.name}.{going_on_from[:20]}")
        else:
            self._folder = Path(tempfile.mkdtemp(prefix=f".{self.path.name}.", dir=self.path.parent))
        (self._folder / SHARDS).mkdir(parents=True, exist_ok=True)
        for unfinished in (self._folder / SHARDS).glob(".*"):
            unfinished.unlink()
        finished = sorted((self._folder / SHARDS).glob("[0-9]*.safetensors"))
        self._shards = [_described(path, len(_header(path)[1])) for path in finished]
        self.written = sum(shard["clips"] for shard in self._shards)
        self._rows: list[dict[str, Any]] = []
        self._tensors: dict[str, Tensor] = {}
        self._bytes = 0

    def __enter__(self) -> "LatentWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._finish()
        finally:
            if error is None or not self._kept:
                shutil.rmtree(self._folder, ignore_errors=True)

    def add(self, row: Mapping[str, Any], tensors: Tensor | Mapping[str, Tensor]) -> None:
        """Add a clip: a row with `COLUMNS`, and its latent `[z, t, h, w]`, alone or in {"latent": ..., "text": ...}.

        Texts that the row lacks are empty. Equal texts have one embedding, called as the first of them (`TEXTS`).
        """
        named = {"latent": tensors} if isinstance(tensors, Tensor) else dict(tensors)
        named["latent"] = named["latent"].half()
        checksums = {}
        if f"{row['clip_id']}/latent" in self._tensors:
            raise KinoraError(f"clip {row['clip_id']} is there twice; give every clip an identity of its own.")
        for name, tensor in named.items():
            tensor = tensor.detach().cpu().contiguous()
            self._tensors[f"{row['clip_id']}/{name}"] = tensor
            checksums[name] = zlib.crc32(tensor.view(torch.uint8).numpy().data)
            self._bytes += tensor.nbytes
        full = {**dict.fromkeys(TEXTS, ""), **row}
        self._rows.append({**{column: full[column] for column in COLUMNS}, "crc32": checksums})
        if self._bytes >= BYTES_PER_SHARD or len(self._rows) >= CLIPS_PER_SHARD:
            self._flush()

    def committed(self) -> Iterator[tuple[dict[str, Any], Tensor]]:
        """Yield the rows and latents of the clips that an interrupted writing left."""
        for shard in self._shards:
            tensors = load_file(self._folder / shard["name"])
            for row in _header(self._folder / shard["name"])[1]:
                yield row, tensors[f"{row['clip_id']}/latent"]

    def _flush(self) -> None:
        if not self._rows:
            return
        path = self._folder / shard_name(len(self._shards))
        with atomic_write(path) as temporary:
            temporary.write_bytes(save(self._tensors, {"clips": json.dumps(self._rows)}))
        self._shards.append(_described(path, len(self._rows)))
        self._rows, self._tensors, self._bytes = [], {}, 0

    def _finish(self) -> None:
        self._flush()
        with pa.OSFile(str(self._folder / INDEX), "wb") as file, pa.ipc.new_file(file, SCHEMA) as index:
            rows: list[dict[str, Any]] = []
            for number, shard in enumerate(self._shards):
                rows += _index_rows(self._folder / shard["name"], number)
                while len(rows) >= ROWS_PER_BATCH:
                    index.write_batch(pa.RecordBatch.from_pylist(rows[:ROWS_PER_BATCH], SCHEMA))
                    rows = rows[ROWS_PER_BATCH:]
            index.write_batch(pa.RecordBatch.from_pylist(rows, SCHEMA))
        described = {"bytes": (self._folder / INDEX).stat().st_size, "sha256": file_digest(self._folder / INDEX)}
        content = {"format": FORMAT, "config": self.config, "index": described, "shards": self._shards}
        write_json(self._folder / MANIFEST, content)
        os.chmod(self._folder, 0o755)
        if self.path.exists():
            shutil.rmtree(self.path)
        os.replace(self._folder, self.path)


def shard_name(number: int) -> str:
    """Return the name of a shard within the dataset."""
    return f"{SHARDS}/{number:05d}.safetensors"


def _header(path: Path) -> tuple[dict[str, Any], list[dict[str, Any]], int]:
    """Return a shard's tensors as its header describes them, its clips' rows, and where its data begins."""
    with open(path, "rb") as file:
        size = int.from_bytes(file.read(8), "little")
        tensors = json.loads(file.read(size))
    return tensors, json.loads(tensors.pop("__metadata__")["clips"]), 8 + size


def _described(path: Path, clips: int) -> dict[str, Any]:
    return {"name": f"{SHARDS}/{path.name}", "clips": clips, "bytes": path.stat().st_size, "sha256": file_digest(path)}


def _index_rows(path: Path, shard: int) -> Iterator[dict[str, Any]]:
    tensors, rows, begin = _header(path)
    for row in rows:
        checksums, places = row.pop("crc32"), {}
        for name, checksum in checksums.items():
            described = tensors[f"{row['clip_id']}/{name}"]
            first, last = described["data_offsets"]
            places[name] = {
                "dtype": described["dtype"], "shape": described["shape"], "offset": begin + first,
                "bytes": last - first, "crc32": checksum,
            }  # fmt: skip
        yield {**row, "shard": shard, **places}
