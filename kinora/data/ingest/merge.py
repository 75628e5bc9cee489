"""All shards together become one dataset: copies are found, the rules of curation applied, clips held out.

Only what decisions need is held for all clips: where each lies and comes from, and a few numbers. Rows are read and
written in pieces. The result does not depend on how inputs were dealt to shards.

`clips` is a table of all clips in order of source and start: `shard` and `row` say where a clip's own row is, and
`first_snapshot` and `snapshots` where its fingerprint is among those of all shards; `file` and `clip` are beginnings of
digests; `reason` and `explanation` say why a clip is dropped, and are "" for those that are kept.
"""

import sqlite3
import tempfile
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pandas as pd

from kinora import storage
from kinora.config import to_dict
from kinora.data.clips import PIECE, ClipDataset, table
from kinora.data.columns import QUARANTINE_COLUMNS
from kinora.data.curation import curation_faults
from kinora.data.grid import Grid
from kinora.data.ingest.config import IngestConfig
from kinora.data.ingest.shards import CLIPS, FINGERPRINTS, REJECTED, Shards, among
from kinora.data.ingest.split import held_out
from kinora.data.near_duplicates import near_duplicates
from kinora.errors import KinoraError

TABLES_HELD = 8  # of shards, while rows are brought into order
HELD_COLUMNS = ["source", "source_start_s", "fps", "snapshots", "split"]


def merge(shards: Shards, out: Path, source: str, config: IngestConfig, grid: Grid, simulated: bool) -> ClipDataset:
    """Write the dataset of all shards' current inputs to `out`.

    Simulated clips are kept, but for one that is drawn again, on the side of the split that the worlds chose.

    Raises:
        KinoraError: if not one clip is left; `out` is as it was.
    """
    clips = _collect(shards, None if simulated else config)
    copies = table([], QUARANTINE_COLUMNS)
    if not simulated:
        copies = _drop_same_files(clips)
    _drop_same_clips(clips)  # two worlds may draw one picture: an empty one
    if not simulated:
        group = _drop_near_duplicates(clips, shards) if config.near_duplicates else clips["source"].factorize()[0]
        kept = (clips["reason"] == "").to_numpy()
        sources, video = clips["source"].factorize()[0][kept], (clips["fps"] > 0).to_numpy()[kept]
        held = np.zeros(len(clips), bool)
        held[kept] = held_out(group[kept], sources, video, config.validation_fraction, config.seed)
        clips["split"] = np.where(held, "validation", "train")
    rows = _Rows(shards, clips, "" if shards.folder == out.absolute() else shards.place)
    with (
        tempfile.TemporaryDirectory() as temporary,
        closing(sqlite3.connect(Path(temporary) / "rejected.db")) as rejected,
    ):
        _put_rejected(rejected, shards, rows, copies)
        if not (clips["reason"] == "").any():
            raise KinoraError(_nothing_usable(source, rejected))
        settings = {"source": source, "ingest": to_dict(config), "grid": to_dict(grid)}
        out.mkdir(parents=True, exist_ok=True)
        (out / "config.json").unlink(missing_ok=True)  # the tables of two datasets must not be taken for one
        return ClipDataset.write(out, rows.pieces(clips[clips["reason"] == ""]), _quarantine(rejected), settings)


def _collect(shards: Shards, config: IngestConfig | None) -> pd.DataFrame:
    """Return `clips`, of the source's current inputs; what breaks a rule of `config` is dropped already."""
    current, parts, first = shards.current(), [], 0
    for number, shard in enumerate(shards.committed()):
        rows = pd.read_parquet(shards.file(f"shards/{shard}/{CLIPS}"))
        rows = rows.assign(shard=number, row=range(len(rows)), reason="", explanation="")
        rows["first_snapshot"] = first + rows["snapshots"].cumsum() - rows["snapshots"]
        first += int(rows["snapshots"].sum())
        rows = rows[among(rows["input"].to_numpy(), current)]
        rows = rows.assign(file=_short(rows["file"]), clip=_short(rows["clip_id"]))
        if config is not None:
            faults = curation_faults(rows, config.curation)
            for name in ("reason", "explanation"):
                rows[name] = faults[name].reindex(rows.index, fill_value="")
        parts.append(rows[[*HELD_COLUMNS, "shard", "row", "first_snapshot", "file", "clip", "reason", "explanation"]])
    clips = pd.concat(parts, ignore_index=True)
    return clips.sort_values(["source", "source_start_s"], kind="stable", ignore_index=True)


def _short(digests: pd.Series) -> list[int]:
    return [int(text[:15] or "0", 16) for text in digests]


def _drop_same_files(clips: pd.DataFrame) -> pd.DataFrame:
    """Leave out all clips of a file that is the same as an earlier one; return a rejected input for each such file."""
    first = clips.groupby("file")["source"].transform("min")
    again = (first != clips["source"]) & (clips["file"] != 0)
    named = clips[again].assign(first=first[again]).drop_duplicates("source")
    clips.drop(index=clips.index[again], inplace=True)
    clips.reset_index(drop=True, inplace=True)
    said = "The file is the same, byte for byte, as "
    rejected = [
        {"source": row.source, "reason": "duplicate", "explanation": f"{said}{row.first}."}
        for row in named.itertuples()
    ]
    return table(rejected, QUARANTINE_COLUMNS)


def _drop_same_clips(clips: pd.DataFrame) -> None:
    """Drop every clip that is the same as an earlier one."""
    _, first_places, which = np.unique(clips["clip"], return_index=True, return_inverse=True)
    first_of = first_places[which]
    for place in np.flatnonzero(first_of != np.arange(len(clips))).tolist():
        first = clips.iloc[int(first_of[place])]
        said = f"The clip is the same, pixel for pixel, as {first['source']} at {first['source_start_s']:.2f} s."
        clips.loc[place, ["reason", "explanation"]] = ["duplicate", said]


def _drop_near_duplicates(clips: pd.DataFrame, shards: Shards) -> np.ndarray:
    """Drop every clip that is a copy of an earlier one; return the group of every clip, `int64 [N]`."""
    left = clips[clips["reason"] == ""]
    group = clips["source"].factorize()[0].astype(np.int64)
    if left.empty:
        return group
    with tempfile.TemporaryDirectory() as temporary:
        # On disk, because it is the one thing here that grows with the length of all footage.
        prints = _fingerprints(shards, Path(temporary) / "fingerprints")
        order = left.sort_values("first_snapshot", kind="stable")
        chosen = _chosen(prints, order, Path(temporary) / "chosen")
        numbers = (order[name].to_numpy() for name in ("source_start_s", "fps"))
        found = near_duplicates(chosen, order["snapshots"].to_numpy(), order["source"].tolist(), *numbers)
        del prints, chosen
    for place, first in zip(order.index, found.copy_of, strict=True):
        if first >= 0:
            original = order.iloc[first]
            said = f"It shows the same as {original['source']} at {original['source_start_s']:.2f} s, in another copy."
            clips.loc[place, ["reason", "explanation"]] = ["near_duplicate", said]
    group[order.index] = found.group
    return group


def _fingerprints(shards: Shards, path: Path) -> np.ndarray:
    """Put the fingerprints of all shards one after the other, in a file; return them, mapped, `uint64 [S, 8]`."""
    with open(path, "wb") as file:
        for shard in shards.committed():
            np.load(shards.file(f"shards/{shard}/{FINGERPRINTS}"), allow_pickle=False).tofile(file)
    return _mapped(path)


def _chosen(prints: np.ndarray, clips: pd.DataFrame, path: Path) -> np.ndarray:
    """Return the fingerprints of some clips, one after the other, mapped from a file."""
    with open(path, "wb") as file:
        for first, count in zip(clips["first_snapshot"], clips["snapshots"], strict=True):
            prints[first : first + count].tofile(file)
    return _mapped(path)


def _mapped(path: Path) -> np.ndarray:
    if not path.stat().st_size:
        return np.empty((0, 8), np.uint64)
    return np.memmap(path, np.uint64, "r").reshape(-1, 8)


class _Rows:
    """The whole rows of clips, read from the shards' tables, a few of which are held."""

    def __init__(self, shards: Shards, clips: pd.DataFrame, base: str):
        self.shards, self.clips, self.base = shards, clips, base
        self._ids = shards.committed()
        self._tables: OrderedDict[int, pd.DataFrame] = OrderedDict()

    def pieces(self, clips: pd.DataFrame) -> Iterator[pd.DataFrame]:
        """Yield the rows of some of the clips, in order, with the split that was decided."""
        for start in range(0, len(clips), PIECE):
            some = clips.iloc[start : start + PIECE]
            parts = [
                self._table(number).iloc[part["row"]].set_axis(part.index)
                for number in np.unique(some["shard"]).tolist()
                for part in [some[some["shard"] == number]]
            ]
            yield pd.concat(parts).loc[some.index].assign(split=some["split"])

    def _table(self, number: int) -> pd.DataFrame:
        if number not in self._tables:
            shard = self._ids[number]
            rows = pd.read_parquet(self.shards.file(f"shards/{shard}/{CLIPS}"))
            place = storage.join(self.base, f"shards/{shard}") if self.base else f"shards/{shard}"
            self._tables[number] = rows.assign(uri=[f"{place}/{uri}" for uri in rows["uri"]])
            if len(self._tables) > TABLES_HELD:
                self._tables.popitem(last=False)
        self._tables.move_to_end(number)
        return self._tables[number]


def _put_rejected(rejected: sqlite3.Connection, shards: Shards, rows: _Rows, copies: pd.DataFrame) -> None:
    """Put all rejected inputs and dropped clips into a table `rejected`, on disk, which brings them into order."""
    names = ", ".join(QUARANTINE_COLUMNS)
    rejected.execute(f"CREATE TABLE rejected ({names})")

    def put(part: pd.DataFrame) -> None:
        values = part[list(QUARANTINE_COLUMNS)].itertuples(index=False, name=None)
        rejected.executemany(f"INSERT INTO rejected VALUES (?{', ?' * (len(QUARANTINE_COLUMNS) - 1)})", values)

    put(copies)
    current = shards.current()
    for shard in shards.committed():
        part = pd.read_parquet(shards.file(f"shards/{shard}/{REJECTED}"))
        put(part[among(part["input"].to_numpy(), current)])
    dropped = rows.clips[rows.clips["reason"] != ""]
    for whole in rows.pieces(dropped):
        some = dropped.loc[whole.index]
        put(whole.assign(reason=some["reason"], explanation=some["explanation"].str.cat(_captions(whole))))
    # A file that is the same as an earlier one is told once, not also for what is wrong with a part of both.
    named = [(name,) for name in copies["source"]]
    rejected.execute("CREATE TABLE copies (source PRIMARY KEY)")
    rejected.executemany("INSERT OR IGNORE INTO copies VALUES (?)", named)
    rejected.execute("DELETE FROM rejected WHERE reason <> 'duplicate' AND source IN (SELECT source FROM copies)")


def _quarantine(rejected: sqlite3.Connection) -> Iterator[pd.DataFrame]:
    """Yield what was rejected, by source and start."""
    found = rejected.execute("SELECT * FROM rejected ORDER BY source, source_start_s, reason, rowid")
    while some := found.fetchmany(PIECE):
        yield pd.DataFrame(some, columns=list(QUARANTINE_COLUMNS))


def _captions(dropped: pd.DataFrame) -> list[str]:
    """Return what is to be said of the captions of dropped clips, so that they are not lost silently."""
    return [f" Its caption was: {caption}" if caption else "" for caption in dropped["caption"]]


def _nothing_usable(source: str, rejected: sqlite3.Connection) -> str:
    """Return the sentence for a source of which nothing can be used."""
    reasons = rejected.execute("SELECT count(*), reason FROM rejected GROUP BY reason ORDER BY 1 DESC, 2")
    counts = ", ".join(f"{count} {reason}" for count, reason in reasons)
    first = next(_quarantine(rejected)).iloc[0]
    return (
        f"nothing in {source} can be used ({counts}; {first['source']}: {first['explanation'].rstrip('.')}); "
        "give a source with videos or images that play."
    )
