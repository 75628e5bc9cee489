"""The clip dataset: what ingest writes and every later step reads.

A folder with `clips.parquet` (one row a clip), `quarantine.parquet` (one row a rejected input), `captions.parquet`
(every version of every caption), `config.json` (the resolved configuration that made it) and media. An input is in
exactly one of the first two tables. A clip is an H.264 file in MP4 or a PNG named after the sha256 of its bytes, which
is its `clip_id`; a simulated clip has the simulator's record beside it, as `<clip_id>.json`. A derived dataset has
tables only; its `uri`s lead to the media of the first. Tables may be larger than memory: `ClipDataset.pieces` reads
them in pieces, and `ClipDataset.rows` some rows.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from kinora import config as configuration
from kinora import file_cache, storage
from kinora.config import read_json, write_json
from kinora.data.columns import CAPTION_COLUMNS, CLIP_COLUMNS, QUARANTINE_COLUMNS, defaults
from kinora.data.grid import Grid
from kinora.data.rows import Rows
from kinora.errors import KinoraError
from kinora.files import atomic_write
from kinora.media import open_video, read_image, read_video
from kinora.parallel import ordered_map

if TYPE_CHECKING:
    from torch import Tensor

PIECE = 4096  # rows that are read or written together
NOT_CONTENT = ("uri", "observed_at")  # where and when, which a digest of content leaves out


class ClipDataset:
    """A dataset of clips, in the folder `path`, made with the configuration `config`."""

    def __init__(self, path: Path, config: dict[str, Any]):
        self.path, self.config = path, config

    @classmethod
    def open(cls, path: str | Path) -> "ClipDataset":
        """Open the dataset in folder `path`.

        Raises:
            KinoraError: if the folder holds no whole dataset.
        """
        path = Path(path)
        try:
            for name, columns in TABLES.items():
                missing = [column for column in columns if column not in pq.read_schema(path / name).names]
                if missing:
                    raise KinoraError(
                        f"the clip dataset in {path} lacks the columns {', '.join(missing)} in {name}; make it again."
                    )
            return cls(path, read_json(path / "config.json"))
        except FileNotFoundError as error:
            raise KinoraError(f"{path} holds no clip dataset; make one with 'kinora ingest'.") from error
        except (OSError, ValueError, pa.ArrowException) as error:
            raise KinoraError(f"the clip dataset in {path} is damaged ({error}); make it again.") from error

    @classmethod
    def write(
        cls,
        path: str | Path,
        clips: pd.DataFrame | Iterable[pd.DataFrame],
        quarantine: pd.DataFrame | Iterable[pd.DataFrame],
        config: dict[str, Any],
        captions: pd.DataFrame | Iterable[pd.DataFrame] | None = None,
    ) -> "ClipDataset":
        """Write the tables, each whole or in pieces, beside the media in `path`; the last file makes the set whole.

        Without `captions` the versions are those that the clips have.
        """
        path = Path(path)
        write_table(path / "clips.parquet", clips, CLIP_COLUMNS)
        write_table(path / "quarantine.parquet", quarantine, QUARANTINE_COLUMNS)
        first = (captions_of(piece) for piece in read_pieces(path / "clips.parquet"))
        write_table(path / "captions.parquet", first if captions is None else captions, CAPTION_COLUMNS)
        write_json(path / "config.json", config)
        return cls.open(path)

    def derive(
        self,
        out: str | Path,
        clips: pd.DataFrame | Iterable[pd.DataFrame],
        quarantine: pd.DataFrame | Iterable[pd.DataFrame],
        config: dict[str, Any],
        base_uri: str | None = None,
        captions: pd.DataFrame | Iterable[pd.DataFrame] | None = None,
    ) -> "ClipDataset":
        """Write a dataset of tables only, whose `uri`s lead to this dataset's media.

        `base_uri` is where this dataset's folder can be found later, when `path` is only a passing copy of it. Without
        `captions` the versions are this dataset's.
        """
        base = base_uri or self.path.resolve().as_uri()

        def found(pieces: pd.DataFrame | Iterable[pd.DataFrame]) -> Iterator[pd.DataFrame]:
            for piece in in_pieces(pieces):
                yield piece.assign(uri=[storage.join(base, uri) if uri else "" for uri in piece["uri"]])

        known = read_pieces(self.path / "captions.parquet") if captions is None else captions
        return self.write(out, found(clips), found(quarantine), {"grid": self.grid, **config}, known)

    @cached_property
    def clips(self) -> pd.DataFrame:
        """All clips, a row each, with the columns of `CLIP_COLUMNS`: for small sets, 2 KB a clip."""
        return self._table("clips.parquet")

    @cached_property
    def quarantine(self) -> pd.DataFrame:
        """All rejected inputs, a row each, with the columns of `QUARANTINE_COLUMNS`: for small sets."""
        return self._table("quarantine.parquet")

    @property
    def captions(self) -> pd.DataFrame:
        """Every version of every caption, with the columns of `CAPTION_COLUMNS`, oldest first."""
        return self._table("captions.parquet")

    def pieces(self, columns: Sequence[str] | None = None, rows: int = PIECE) -> Iterator[pd.DataFrame]:
        """Read the clips in pieces of at most so many rows, all columns or some."""
        return read_pieces(self.path / "clips.parquet", columns, rows)

    def rejected(self, columns: Sequence[str] | None = None) -> Iterator[pd.DataFrame]:
        """Read the quarantine in pieces, all columns or some."""
        return read_pieces(self.path / "quarantine.parquet", columns)

    @cached_property
    def rows(self) -> Rows:
        """The rows of the clips, of which those that are asked for are read."""
        return Rows(self.path / "clips.parquet")

    def __len__(self) -> int:
        return int(pq.read_metadata(self.path / "clips.parquet").num_rows)

    def _table(self, name: str) -> pd.DataFrame:
        try:
            return pd.read_parquet(self.path / name)
        except (OSError, ValueError, pa.ArrowException) as error:
            raise KinoraError(f"the clip dataset in {self.path} is damaged ({error}); make it again.") from error

    def frames(self, clip_id: str, first: int = 0, count: int | None = None) -> np.ndarray:
        """Read one clip's frames `uint8 [T, H, W, 3]`, wherever its file is: all, or `count` from frame `first` on.

        Raises:
            KinoraError: if the dataset has no such clip, or its file is missing or broken.
        """
        return self.row_frames(self.row(clip_id), first, count)

    def row_frames(self, row: Mapping[Any, Any], first: int = 0, count: int | None = None) -> np.ndarray:
        """Read the frames of the clip of a row, as `frames` does, without looking it up in the whole table."""
        path = self.media(row["uri"])
        if row["kind"] == "image":
            return read_image(path)
        if first == 0 and count in (None, row["frames"]):
            return read_video(path)[0]
        with open_video(path) as video:
            stop = None if count is None else first + count
            return np.stack([frame.rgb() for frame in islice(video.frames(), first, stop)])

    def read(self, clip_ids: Iterable[str]) -> Iterator[np.ndarray]:
        """Read the frames of many clips, in order and several at once, which is quicker where media is far away."""
        return ordered_map(self.frames, clip_ids)

    def read_rows(self, rows: Iterable[Mapping[Any, Any]]) -> Iterator[np.ndarray]:
        """Read the frames of the clips of many rows, as `read` does."""
        return ordered_map(self.row_frames, rows)

    def video(self, clip_id: str) -> "Tensor":
        """Read one clip as a video tensor `float32 [3, T, H, W]` in [-1, 1]."""
        from kinora.media.tensors import to_tensor

        return to_tensor(self.frames(clip_id))

    def state(self, clip_id: str) -> dict[str, Any] | None:
        """Read the simulator's record of one clip; None for a clip that was not simulated."""
        return self.row_state(self.row(clip_id))

    def row_state(self, row: Mapping[Any, Any]) -> dict[str, Any] | None:
        """Read the simulator's record of the clip of a row, as `state` does, without the whole table."""
        uri = row["uri"]
        record = str(PurePosixPath(uri).with_suffix(".json")) if "://" not in uri else f"{uri.rpartition('.')[0]}.json"
        if not storage.uri_exists(storage.join(str(self.path), record)):
            return None
        state: dict[str, Any] = read_json(self.media(record))
        return state

    def media(self, uri: str) -> Path:
        """Return the local file of a clip's `uri`, fetched if it is far away."""
        return file_cache.local_copy(storage.join(str(self.path), uri))

    def row(self, clip_id: str) -> dict[Any, Any]:
        """Return one clip's row."""
        place = self.rows.place(clip_id)
        if place is None:
            raise KinoraError(f"the clip dataset in {self.path} has no clip {clip_id}.")
        return dict(self.rows.read([place]).iloc[0])

    @property
    def grid(self) -> Grid:
        """The sizes and lengths that the dataset was made for."""
        return configuration.from_dict(Grid, self.config.get("grid", {}))

    @cached_property
    def digest(self) -> str:
        """The sha256 of what the dataset holds, wherever it lies and whenever it was made."""
        total = hashlib.sha256()
        for name, columns in TABLES.items():
            for piece in read_pieces(self.path / name, list(columns)):
                total.update(name.encode() + values_digest(piece.drop(columns=list(NOT_CONTENT), errors="ignore")))
        return total.hexdigest()

    def describe(self) -> dict[str, float]:
        """Count the clips by kind and split, the captions, the seconds of video and the rejected inputs."""
        names = ("clips", "videos", "images", "train", "validation", "captioned", "seconds")
        counts = dict.fromkeys(names, 0.0)
        for piece in self.pieces(["kind", "split", "caption", "duration_s"]):
            kind, split = piece["kind"], piece["split"]
            sums = (
                len(piece),
                (kind == "video").sum(),
                (kind == "image").sum(),
                (split == "train").sum(),
                (split == "validation").sum(),
                (piece["caption"] != "").sum(),
                piece["duration_s"].sum(),
            )
            for name, value in zip(names, sums, strict=True):
                counts[name] += float(value)
        return counts | {"quarantined": float(pq.read_metadata(self.path / "quarantine.parquet").num_rows)}


TABLES: dict[str, dict[str, str]] = {
    "clips.parquet": CLIP_COLUMNS,
    "quarantine.parquet": QUARANTINE_COLUMNS,
}


def read_pieces(path: Path, columns: Sequence[str] | None = None, rows: int = PIECE) -> Iterator[pd.DataFrame]:
    """Read a Parquet file in pieces of at most so many rows, all columns or some.

    Raises:
        KinoraError: if it is damaged.
    """
    try:
        # What is read ahead (`pre_buffer`) would stay until the end: the whole file.
        with pq.ParquetFile(path, pre_buffer=False) as file:
            for batch in file.iter_batches(rows, columns=None if columns is None else list(columns)):
                yield batch.to_pandas()
    except (OSError, ValueError, pa.ArrowException) as error:
        raise KinoraError(f"{path} is damaged ({error}); make it again.") from error


@contextmanager
def table_writer(path: Path, columns: Mapping[str, str]) -> Iterator[Callable[[pd.DataFrame], None]]:
    """Write a table piece by piece, with the columns and types of one of ours; whole at the end of the block.

    However it comes in pieces, it is stored in groups of `PIECE` rows, so that equal tables are equal in every piece.
    """
    kind = schema(columns)
    with atomic_write(path) as temporary, pq.ParquetWriter(temporary, kind) as writer:
        waiting = kind.empty_table()

        def write(piece: pd.DataFrame) -> None:
            nonlocal waiting
            typed = piece[list(columns)].astype(dict(columns))
            waiting = pa.concat_tables([waiting, pa.Table.from_pandas(typed, kind, preserve_index=False)])
            while len(waiting) >= PIECE:
                writer.write_table(waiting.slice(0, PIECE))
                waiting = waiting.slice(PIECE)

        yield write
        writer.write_table(waiting)


def write_table(path: Path, pieces: pd.DataFrame | Iterable[pd.DataFrame], columns: Mapping[str, str]) -> None:
    """Write a table, whole or in pieces, with the columns and types of one of ours."""
    with table_writer(path, columns) as write:
        for piece in in_pieces(pieces):
            write(piece)


def schema(columns: Mapping[str, str]) -> pa.Schema:
    """Return the Arrow schema of a table of ours."""
    kinds = {"object": pa.string(), "int64": pa.int64(), "float64": pa.float64()}
    return pa.schema([(name, kinds.get(kind, pa.timestamp("us", "UTC"))) for name, kind in columns.items()])


def values_digest(piece: pd.DataFrame) -> bytes:
    """Return the sha256 over the names, types and values of a table, which must have texts and numbers only."""
    total = hashlib.sha256()
    for name in piece:
        values = piece[name]
        total.update(f"{name}\0{values.dtype.kind}\0{len(values)}\0".encode())
        if values.dtype.kind == "O":
            texts = [str(text).encode() for text in values]
            total.update(np.array([len(text) for text in texts], "<i8").tobytes() + b"".join(texts))
        else:
            total.update(values.to_numpy().astype("<i8" if values.dtype.kind in "iuMb" else "<f8").tobytes())
    return total.digest()


def captions_of(clips: pd.DataFrame) -> pd.DataFrame:
    """Return the captions that clips have as a table of versions, written when the clips were observed."""
    some = clips[clips["caption"] != ""]
    return some.assign(written_at=some["observed_at"])[list(CAPTION_COLUMNS)]


def table(rows: Iterable[Mapping[str, Any]], columns: Mapping[str, str]) -> pd.DataFrame:
    """Make a table of rows, even of none, with the columns and types of one of ours; what a row lacks is empty."""
    empty = defaults(columns)
    return pd.DataFrame([{**empty, **row} for row in rows], columns=list(columns)).astype(dict(columns))


def in_pieces(pieces: pd.DataFrame | Iterable[pd.DataFrame]) -> Iterable[pd.DataFrame]:
    """Return the pieces of a table that comes whole or in pieces."""
    return [pieces] if isinstance(pieces, pd.DataFrame) else pieces
