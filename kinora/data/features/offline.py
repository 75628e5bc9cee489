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
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from kinora.data.clips import PIECE, schema, table_writer
from kinora.data.columns import INSTANT, defaults
from kinora.data.features.definitions import FEATURES, STATE_COLUMNS
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
    empty, kind = defaults(columns), schema(columns)
    for path in files:
        try:
            older = {name: empty[name] for name in set(columns) - set(pq.read_schema(path).names)}
            for batch in ds.dataset(path, schema=kind).to_batches(batch_size=PIECE):
                if len(batch):
                    yield typed(batch.to_pandas().assign(**older), columns)
        except (OSError, ValueError, pa.ArrowException) as error:
            raise KinoraError(f"{path} is damaged ({error}); put back a copy of it.") from error


def latest_states(files: Iterable[Path]) -> pd.DataFrame:
    """Return the last known `state` of each clip and its `event_timestamp`, by `clip_id`."""
    columns = {name: STATE_COLUMNS[name] for name in ("clip_id", "state", "event_timestamp")}
    found = list(read_states(files, columns))
    if not found:
        return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in columns.items()}).set_index("clip_id")
    states = pd.concat(found, ignore_index=True).sort_values("event_timestamp", kind="stable")
    return states.drop_duplicates("clip_id", keep="last").set_index("clip_id")


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
