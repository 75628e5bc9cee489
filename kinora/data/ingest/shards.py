"""The shards of an ingest: which inputs each holds, and what became of them; each is there whole or not at all.

A place (a folder, or an `s3://` prefix) holds
    `current.npy`           the keys of the inputs that the source has now, sorted: `int64 [N]`
    `planned/<id>.parquet`  the inputs of a shard, which stay its own
    `shards/<id>/`          what became of them: media, and the three tables below
    `committed/<id>`        says that the shard is whole
A shard's id begins with a digest of how inputs are read: shards that were read otherwise are none.
"""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from kinora.data.clips import table, table_writer
from kinora.data.columns import CLIP_COLUMNS, QUARANTINE_COLUMNS
from kinora.data.ingest.reading import Reading
from kinora.data.ingest.sources import Item, key
from kinora.files import atomic_folder, atomic_write
from kinora.storage import Store, open_store, split_uri

ITEM_COLUMNS = dict.fromkeys(("name", "stamp", "caption", "caption_from", "problem", "explanation"), "object")
# Beside a clip's row: the key of its input, the digest of that file, and rows of its fingerprint.
ROW_COLUMNS = CLIP_COLUMNS | {"input": "int64", "file": "object", "snapshots": "int64"}
REJECTED_COLUMNS = QUARANTINE_COLUMNS | {"input": "int64"}
CLIPS, REJECTED, FINGERPRINTS, MEDIA = "clips.parquet", "quarantine.parquet", "fingerprints.npy", "media"


class Shards:
    """The shards at a place that were read as `reading`, a digest, says."""

    def __init__(self, place: str, reading: str):
        self.place, self._prefix = place, reading[:8]
        self._store: Store = open_store(place)
        scheme, _, path = split_uri(place)
        self.folder = Path(path).absolute() if scheme == "file" else None
        self._fetched = tempfile.TemporaryDirectory() if self.folder is None else None

    def plan(self, items: Iterable[Item], size: int) -> tuple[int, int]:
        """Deal the inputs of a source that no shard has yet to new shards of at most `size`.

        Returns:
            How many inputs the source has, and how many of them are in no shard that is committed.
        """
        committed = set(self.committed())
        known = {shard: np.array([key(item) for item in self.items(shard)], np.int64) for shard in self.planned()}
        taken = np.sort(np.concatenate([np.empty(0, np.int64), *known.values()]))
        current: list[np.ndarray] = []
        new: list[Item] = []
        stream = iter(items)
        while some := list(islice(stream, max(size, 1024))):
            keys = np.array([key(item) for item in some], np.int64)
            current.append(keys)
            new += [item for item, there in zip(some, among(keys, taken), strict=True) if not there]
            while len(new) >= size:
                self._plan_shard(new[:size])
                new = new[size:]
        if new:
            self._plan_shard(new)
        now = np.unique(np.concatenate(current)) if current else np.empty(0, np.int64)
        with tempfile.TemporaryDirectory() as temporary:
            np.save(Path(temporary) / "current.npy", now)
            self._store.put_file(Path(temporary) / "current.npy", "current.npy")
        done = np.concatenate([np.empty(0, np.int64), *(known[shard] for shard in committed & set(known))])
        return len(now), int((~among(now, np.sort(done))).sum())

    def _plan_shard(self, items: Sequence[Item]) -> None:
        names = hashlib.sha256(np.array([key(item) for item in items], "<i8").tobytes()).hexdigest()[:16]
        with tempfile.TemporaryDirectory() as temporary:
            path = Path(temporary) / "items.parquet"
            with table_writer(path, ITEM_COLUMNS) as write:
                write(table([asdict(item) for item in items], ITEM_COLUMNS))
            self._store.put_file(path, f"planned/{self._prefix}-{names}.parquet")

    def planned(self) -> list[str]:
        """Return the ids of all shards, whether they have been read or not."""
        return self._ids("planned", ".parquet")

    def committed(self) -> list[str]:
        """Return the ids of the shards that are whole."""
        return self._ids("committed", "")

    def items(self, shard: str) -> list[Item]:
        """Return the inputs of a shard."""
        rows = pq.read_table(self.file(f"planned/{shard}.parquet")).to_pylist()
        return [Item(**row) for row in rows]

    def current(self) -> np.ndarray:
        """Return the keys of the inputs that the source has now, sorted, `int64 [N]`."""
        return np.asarray(np.load(self.file("current.npy"), allow_pickle=False))

    @contextmanager
    def commit(self, shard: str) -> Iterator[Path]:
        """Yield a folder for what becomes of a shard; at the end of the block the shard is there, whole."""
        if self.folder is not None:
            with atomic_folder(self.folder / "shards" / shard) as folder:
                yield folder
        else:
            with tempfile.TemporaryDirectory() as temporary:
                yield Path(temporary)
                self._store.put_folder(temporary, f"shards/{shard}")
        with tempfile.TemporaryDirectory() as temporary:
            mark = Path(temporary) / "mark"
            mark.write_text(json.dumps({"committed": datetime.now(UTC).isoformat()}))
            self._store.put_file(mark, f"committed/{shard}")

    def file(self, name: str) -> Path:
        """Return a file of the place on this disk; one from S3 is fetched, and kept as long as this object."""
        if self.folder is not None:
            return self.folder / name
        assert self._fetched is not None
        copy = Path(self._fetched.name) / name
        if not copy.exists() or name == "current.npy":
            copy.parent.mkdir(parents=True, exist_ok=True)
            self._store.get_file(name, copy)
        return copy

    def with_current(self) -> list[str]:
        """Return the ids of the whole shards that hold an input which the source still has."""
        now = self.current()
        return [s for s in self.committed() if among(np.array([key(i) for i in self.items(s)], np.int64), now).any()]

    def keep_only(self, shards: Iterable[str]) -> None:
        """Remove all shards but these: those of another reader, and of inputs that the source no longer has."""
        kept = set(shards)
        for kind in ("committed", "planned", "shards"):
            if self.folder is not None and not (self.folder / kind).is_dir():
                continue
            for name in {found.split("/")[1] for found in self._store.list(kind)}:
                if name.removesuffix(".parquet") not in kept:
                    if self.folder is not None and kind == "shards":
                        shutil.rmtree(self.folder / kind / name, ignore_errors=True)
                    else:
                        self._store.delete(f"{kind}/{name}")

    def remove_unfinished(self) -> None:
        """Remove what an ingest that was killed was in the middle of. Nobody else may be reading shards meanwhile."""
        if self.folder is not None:
            for path in (self.folder / "shards").glob(".*"):
                shutil.rmtree(path, ignore_errors=True)

    def _ids(self, kind: str, ending: str) -> list[str]:
        if self.folder is not None and not (self.folder / kind).is_dir():
            return []
        names = (name.removeprefix(f"{kind}/").removesuffix(ending) for name in self._store.list(kind))
        return sorted(name for name in names if name.startswith(f"{self._prefix}-"))


class ShardWriter:
    """Collects what becomes of the inputs of one shard, in order, and writes its tables into `folder`."""

    def __init__(self, folder: Path):
        self.folder, self.media = folder, folder / MEDIA
        self.media.mkdir()
        self._rows: list[dict[str, Any]] = []
        self._rejected: list[dict[str, Any]] = []
        self._fingerprints: list[np.ndarray] = []
        self._now = datetime.now(UTC)

    def add(self, item: Item, reading: Reading) -> None:
        """Add what became of an input."""
        prints = reading.fingerprints or [np.empty((0, 8), np.uint64)] * len(reading.rows)
        for row, one in zip(reading.rows, prints, strict=True):
            beside = {"input": key(item), "file": reading.digest, "snapshots": len(one), "observed_at": self._now}
            self._rows.append(row | beside)
            self._fingerprints.append(one)
        self._rejected += [row | {"input": key(item)} for row in reading.rejected]

    def finish(self) -> None:
        """Write the tables."""
        for name, rows, columns in ((CLIPS, self._rows, ROW_COLUMNS), (REJECTED, self._rejected, REJECTED_COLUMNS)):
            with table_writer(self.folder / name, columns) as write:
                write(table(rows, columns))
        with atomic_write(self.folder / FINGERPRINTS) as temporary:
            np.save(temporary, np.concatenate([np.empty((0, 8), np.uint64), *self._fingerprints]))


def among(keys: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Say which keys `[N]` are among the sorted `known` ones."""
    if not len(known):
        return np.zeros(len(keys), bool)
    places = np.searchsorted(known, keys).clip(max=len(known) - 1)
    return np.asarray(known[places] == keys)
