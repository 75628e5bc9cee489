"""Rows of a table of clips by their place or their clip_id, without the table: 12 bytes a row are held."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from kinora.errors import KinoraError

Hashes = npt.NDArray[np.uint64]


def hashed(texts: pd.Series) -> Hashes:
    """Return 64 bits of a hash of each text, by which clips are known: of a million, two are equal in 1 of 4e7 sets."""
    return np.asarray(pd.util.hash_array(texts.to_numpy(object), categorize=False), np.uint64)


class Rows:
    """The rows of the Parquet table at `path`; those that are asked for are read, with the groups that hold them."""

    def __init__(self, path: Path):
        self.path = path
        self._metadata = pq.read_metadata(path)
        groups = range(self._metadata.num_row_groups)
        self._starts = np.cumsum([0, *(self._metadata.row_group(group).num_rows for group in groups)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def read(
        self, places: Sequence[int] | npt.NDArray[np.integer], columns: Sequence[str] | None = None
    ) -> pd.DataFrame:
        """Return the rows at some places, in the order given, all columns or some.

        Raises:
            KinoraError: if the table is damaged.
        """
        wanted = np.asarray(places, np.int64)
        groups = np.searchsorted(self._starts, wanted, side="right") - 1
        found = [np.zeros(0, np.int64)]
        with self._file() as file:
            none = file.schema_arrow.empty_table()
            parts = [none.select(list(columns)) if columns else none]
            for group in np.unique(groups).tolist():
                here = np.flatnonzero(groups == group)
                whole = file.read_row_group(group, columns=columns and list(columns), use_threads=False)
                parts.append(whole.take(pa.array(wanted[here] - self._starts[group])))
                found.append(here)
        rows: pd.DataFrame = pa.concat_tables(parts).to_pandas()
        return rows.iloc[np.argsort(np.concatenate(found))].reset_index(drop=True)

    def place(self, clip_id: str) -> int | None:
        """Return where the row of a clip is, None if there is no such clip."""
        place = int(self.places(pd.Series([clip_id]))[0])
        return place if place >= 0 else None

    def places(self, clip_ids: pd.Series) -> npt.NDArray[np.int32]:
        """Return where the rows of clips are, -1 for those that are not there."""
        hashes, places = self._index
        if not len(hashes):
            return np.full(len(clip_ids), -1, np.int32)
        asked = hashed(clip_ids)
        first = np.searchsorted(hashes, asked).clip(max=len(hashes) - 1)
        return np.where(hashes[first] == asked, places[first], -1)

    def repeats(self) -> npt.NDArray[np.bool_]:
        """Say of each row, `[N]`, whether an earlier one has its clip_id."""
        hashes, places = self._index
        repeated = np.zeros(len(hashes), bool)
        repeated[places[1:][hashes[1:] == hashes[:-1]]] = True
        return repeated

    @cached_property
    def _index(self) -> tuple[Hashes, npt.NDArray[np.int32]]:
        """The hashes of all clip_ids, sorted, and the place of each row."""
        with self._file() as file:
            parts = [hashed(batch.to_pandas()["clip_id"]) for batch in file.iter_batches(2**16, columns=["clip_id"])]
        hashes = np.concatenate([np.zeros(0, np.uint64), *parts])
        order = np.argsort(hashes, kind="stable")
        return hashes[order], order.astype(np.int32)

    @contextmanager
    def _file(self) -> Iterator[pq.ParquetFile]:
        try:
            with pq.ParquetFile(self.path, metadata=self._metadata, pre_buffer=False) as file:
                yield file
        except (OSError, ValueError, pa.ArrowException) as error:
            raise KinoraError(f"{self.path} is damaged ({error}); make it again.") from error
