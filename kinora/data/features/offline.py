"""The offline store: the states of clips as a Parquet dataset, a file a publication, never rewritten.

`clips/<publication>.parquet` holds the states that a publication found new or changed; `sets/<set>.parquet` names, for
each clip of a published dataset, the instant since which its state was known. A clip and an instant name one state, so
that whatever is published later, or at the same time elsewhere, a set's states stay the same.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from kinora.data.clips import PIECE, table_writer
from kinora.data.columns import INSTANT, defaults
from kinora.data.features.definitions import FEATURES, STATE_COLUMNS
from kinora.data.rows import hashed
from kinora.errors import KinoraError

SET_COLUMNS = {"clip_id": "object", "event_timestamp": INSTANT}
# The first instant at which an input was seen is no change of the clip.
COMPARED = tuple(name for name in FEATURES if name != "observed_at")


def state_of(clips: pd.DataFrame) -> np.ndarray:
    """Return a hash `int64 [N]` of each row's features."""
    compared = typed(clips, {name: STATE_COLUMNS[name] for name in COMPARED})
    return pd.util.hash_pandas_object(compared, index=False).to_numpy().view(np.int64)


def read_states(files: Iterable[Path], columns: Mapping[str, str] = STATE_COLUMNS) -> Iterator[pd.DataFrame]:
    """Read the states in files, in pieces, some columns or all; a column that a file is older than is empty.

    Raises:
        KinoraError: if a file is damaged.
    """
    empty = defaults(columns)
    for path in files:
        try:
            # What is read ahead (`pre_buffer`) would stay until the end: the whole file.
            with pq.ParquetFile(path, pre_buffer=False) as file:
                here = [name for name in columns if name in file.schema_arrow.names]
                older = {name: empty[name] for name in columns if name not in here}
                for batch in file.iter_batches(PIECE, columns=here):
                    yield typed(batch.to_pandas().assign(**older), columns)
        except (OSError, ValueError, pa.ArrowException) as error:
            raise KinoraError(f"{path} is damaged ({error}); put back a copy of it.") from error


class Latest:
    """The last known state of each clip: a hash of its clip_id, its `state` and its `event_timestamp`, 24 bytes."""

    def __init__(self, files: Iterable[Path]):
        self._known = np.zeros((3, 0), np.int64)
        found, waiting = [self._known], 0
        for piece in read_states(
            files, {name: STATE_COLUMNS[name] for name in ("clip_id", "state", "event_timestamp")}
        ):
            stamps = piece["event_timestamp"].to_numpy("datetime64[us]").view(np.int64)
            found.append(np.stack([hashed(piece["clip_id"]).view(np.int64), piece["state"].to_numpy(), stamps]))
            waiting += len(piece)
            if waiting > max(self._known.shape[1], 16 * PIECE):  # of a clip that changed often the last state is kept
                found, waiting = [self._fold(found)], 0
        self._fold(found)

    def __len__(self) -> int:
        return self._known.shape[1]

    @property
    def newest(self) -> pd.Timestamp:
        """The last instant at which a state was found, 1970 where there is none."""
        return pd.Timestamp(int(self._known[2].max(initial=0)), unit="us", tz="UTC")

    def of(self, clip_ids: pd.Series) -> pd.DataFrame:
        """Return `state` and `event_timestamp` of clips, and whether they are `known`, a row each."""
        if not len(self):
            return pd.DataFrame({"state": 0, "event_timestamp": pd.NaT, "known": False}, index=clip_ids.index)
        asked = hashed(clip_ids).view(np.int64)
        places = np.searchsorted(self._known[0], asked).clip(max=len(self) - 1)
        rows = {"state": self._known[1][places], "event_timestamp": _instants(self._known[2][places]).to_numpy()}
        return pd.DataFrame(rows | {"known": self._known[0][places] == asked}, index=clip_ids.index)

    def _fold(self, found: list[np.ndarray]) -> np.ndarray:
        every = np.concatenate(found, axis=1)
        every = every[:, np.lexsort((every[2], every[0]))]
        last = np.append(every[0, 1:] != every[0, :-1], True)[: every.shape[1]]
        self._known = np.ascontiguousarray(every[:, last])
        return self._known


def _instants(microseconds: np.ndarray) -> pd.Series:
    return pd.Series(microseconds.astype("datetime64[us]")).dt.tz_localize("UTC")


def deal(pieces: Iterable[pd.DataFrame], columns: Mapping[str, str], paths: list[Path]) -> None:
    """Write the rows of a table into as many files as there are paths, all rows of a clip into the same one."""
    with ExitStack() as stack:
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
        writers = [stack.enter_context(table_writer(path, columns)) for path in paths]
        for piece in pieces:
            places = pd.util.hash_array(piece["clip_id"].to_numpy(object)) % np.uint64(len(paths))
            for place in np.unique(places):
                writers[int(place)](piece[places == place])


def typed(rows: pd.DataFrame, columns: Mapping[str, str]) -> pd.DataFrame:
    """Return the columns of a table in our types."""
    kinds: dict[str, Any] = dict(columns)
    return rows[list(kinds)].astype(kinds)
