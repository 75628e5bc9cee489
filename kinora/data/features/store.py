"""The feature store under an artifact root: published by the pipeline, joined by training, asked by the endpoint.

What is published is files that are never rewritten (`kinora/data/features/offline.py`). The registry, the online store
and the index of prompts follow from them. On a disk they lie beside them; of an `s3://` root, every machine keeps a
copy of the files in its cache and makes its own of the rest, so that nobody writes what somebody else writes too.
"""

import fcntl
import hashlib
import os
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from kinora.data.clips import ClipDataset, read_pieces, table_writer
from kinora.data.features.definitions import (
    CLIPS,
    FEATURES,
    KNOWN_CLIPS,
    ONLINE_FEATURES,
    PUBLICATIONS,
    SOURCE,
    STATE_COLUMNS,
    answered,
    online_is_shared,
    open_feast,
)  # fmt: skip
from kinora.data.features.offline import SET_COLUMNS, Latest, deal, read_states, state_of, typed
from kinora.data.features.prompts import KnownPrompt, indexed_publications, nearest_prompts, write_prompts
from kinora.errors import KinoraError
from kinora.file_cache import cache_folder
from kinora.files import friendly_os_errors
from kinora.storage import Store, open_store, split_uri

if TYPE_CHECKING:
    from feast import FeatureStore

PLACE, SETS = "features", "sets"  # under the artifact root, and in it
JOINED = 20_000  # states that Feast joins at once, which takes about 0.5 GB
ASKED = 1000  # clips that are looked up at once
SECONDS_BETWEEN_TRIES = 1.0  # of an online store that did not answer: each takes seconds, and others wait for it
TRAINED = {name: STATE_COLUMNS[name] for name in ("clip_id", *FEATURES)}


class Features:
    """The feature store in `folder`; `remote` is the store that it is a copy of, if it is one."""

    def __init__(self, artifact_root: str, folder: Path, remote: Store | None):
        self.artifact_root, self.folder, self._remote = artifact_root, folder, remote
        self._failure, self._next_try = "", 0.0

    @classmethod
    def open(cls, artifact_root: str) -> "Features":
        """Open the feature store under an artifact root; it need not be there yet.

        Raises:
            UsageError: if that is no place we can store to.
            KinoraError: if its S3 server does not answer or refuses.
        """
        scheme, _, path = split_uri(artifact_root)
        if scheme == "file":
            return cls(artifact_root, Path(path).absolute() / PLACE, None)
        name = hashlib.sha256(artifact_root.rstrip("/").encode()).hexdigest()[:20]
        return cls(artifact_root, cache_folder() / f"{PLACE}-{name}", open_store(artifact_root))

    def publish(self, dataset: ClipDataset) -> str:
        """Publish the clips of a dataset: what is new or changed is appended, dated now; return the set's name.

        The same dataset again appends nothing.

        Raises:
            KinoraError: if the place cannot be written to, or a server does not answer.
        """
        name = dataset.digest[:20]
        with self._alone():
            self._fetch()
            if not self._set_file(name).is_file():
                self._append(dataset, name)
            # Who asks brings an online store of his own up to date.
            if self._remote is None or online_is_shared():
                self._serve()
        return name

    def training_set(self, name: str) -> pd.DataFrame:
        """Return a published set exactly as it was: `clip_id` and `FEATURES`, a row a clip, in no order.

        Raises:
            KinoraError: if there is no such set, or a part of it is missing or damaged.
        """
        none = pd.DataFrame(columns=list(TRAINED)).astype(TRAINED)
        return pd.concat([none, *self.training_pieces(name)], ignore_index=True)

    def training_pieces(self, name: str) -> Iterator[pd.DataFrame]:
        """Yield a published set as `training_set` returns it, in pieces of about `JOINED` rows at most.

        Each piece is Feast's point-in-time join of some of the set's clips, at the instants that the set names.
        """
        if not self._set_file(name).is_file():
            with self._alone():
                self._fetch()
        if not self._set_file(name).is_file():
            raise KinoraError(f"{self.artifact_root} has no published set {name}; publish its dataset's features.")
        with tempfile.TemporaryDirectory() as scratch:
            total = sum(len(piece) for piece in read_states(self._states(), {"clip_id": "object"}))
            folders = [Path(scratch) / str(number) for number in range(1 + total // JOINED)]
            deal(read_states(self._states()), STATE_COLUMNS, [folder / SOURCE / "0.parquet" for folder in folders])
            deal(read_pieces(self._set_file(name)), SET_COLUMNS, [folder / "set.parquet" for folder in folders])
            for folder in folders:
                asked = pd.read_parquet(folder / "set.parquet")
                if len(asked):
                    yield self._joined(name, asked, folder)

    def online(self, clip_ids: Iterable[str]) -> list[dict[str, Any] | None]:
        """Look clips up in the online store: `ONLINE_FEATURES` of each as last known, None for an unknown one.

        Raises:
            KinoraError: if the online store does not answer, or did not just now.
        """
        if time.monotonic() < self._next_try:
            raise KinoraError(self._failure)
        ids, found = list(clip_ids), []
        for start in range(0, len(ids), ASKED):
            some = ids[start : start + ASKED]
            try:
                answer = self._looked_up(KNOWN_CLIPS, ONLINE_FEATURES, "clip_id", some)
            except KinoraError as error:
                self._failure, self._next_try = str(error), time.monotonic() + SECONDS_BETWEEN_TRIES
                raise
            rows = [{name: answer[name][row] for name in ONLINE_FEATURES} for row in range(len(some))]
            found += [row if row["kind"] is not None else None for row in rows]
        return found

    def nearest_prompts(self, text: str, limit: int = 5) -> list[KnownPrompt]:
        """Return the training captions nearest to a text, nearest first: see `kinora/data/features/prompts.py`."""
        return nearest_prompts(self._prompts, text, limit)

    def refresh(self) -> bool:
        """Bring this machine's copy, the online store and the prompts up to date; say whether anything is published."""
        with self._alone():
            self._fetch()
            return self._serve()

    @property
    def _prompts(self) -> Path:
        return self.folder / "prompts.db"

    @cached_property
    def _feast(self) -> "FeatureStore":
        return open_feast(self.folder)

    def _set_file(self, name: str) -> Path:
        return self.folder / SETS / f"{name}.parquet"

    def _states(self) -> list[Path]:
        """Return the files of the publications that are here, in order."""
        return sorted((self.folder / SOURCE).glob("*.parquet"))

    def _append(self, dataset: ClipDataset, name: str) -> None:
        latest = Latest(self._states())
        # A clock that is behind must not date a state before the one that it follows.
        instant = pd.Timestamp(datetime.now(UTC)).as_unit("us")
        if instant <= latest.newest:
            instant = latest.newest + pd.Timedelta(1, "us")
        publication = f"{instant.strftime('%Y%m%dT%H%M%S.%fZ')}-{name}"
        with friendly_os_errors(self.folder), tempfile.TemporaryDirectory(prefix=".new-", dir=self.folder) as scratch:
            states, members, changed = Path(scratch) / "states.parquet", Path(scratch) / "set.parquet", 0
            with table_writer(states, STATE_COLUMNS) as append, table_writer(members, SET_COLUMNS) as name_member:
                for piece in dataset.pieces(["clip_id", *FEATURES]):
                    rows = piece.assign(state=state_of(piece), dataset=name, created_timestamp=instant)
                    before = latest.of(rows["clip_id"])
                    same = before["known"] & (before["state"] == rows["state"])
                    rows["event_timestamp"] = before["event_timestamp"].where(same, instant)
                    append(rows[~same])
                    name_member(rows)
                    changed += int((~same).sum())
            # The set comes last: where it is, all its states are.
            if changed:
                self._put(states, f"{SOURCE}/{publication}.parquet")
            self._put(members, f"{SETS}/{name}.parquet")

    def _put(self, file: Path, key: str) -> None:
        """Store a finished file, far away first: what is here is never more than what is there."""
        if self._remote is not None:
            self._remote.put_file(file, f"{PLACE}/{key}")
        (self.folder / key).parent.mkdir(exist_ok=True)
        os.replace(file, self.folder / key)

    def _fetch(self) -> None:
        """Fetch the files that were published elsewhere."""
        if self._remote is None:
            return
        # A set is listed before states are, and fetched after them: where it is, all its states are.
        sets = self._remote.list(f"{PLACE}/{SETS}")
        for key in [*self._remote.list(f"{PLACE}/{SOURCE}"), *sets]:
            here = self.folder / key.removeprefix(f"{PLACE}/")
            if not here.is_file():
                self._remote.get_file(key, here)

    def _serve(self) -> bool:
        """Write what was published since the last time into the online store and the index of prompts.

        Returns:
            Whether anything is published.
        """
        publications = [path.stem for path in self._states()]
        if not publications:
            return False
        marks = self._looked_up(PUBLICATIONS, ("dataset",), "publication", publications)["dataset"]
        missing = {name for name, mark in zip(publications, marks, strict=True) if mark is None}
        indexed = indexed_publications(self._prompts) == publications
        if not missing and indexed:
            return True
        latest = Latest(self._states())

        def still_so(files: list[Path]) -> Iterator[pd.DataFrame]:
            for piece in read_states(files):
                yield piece[latest.of(piece["clip_id"])["event_timestamp"] == piece["event_timestamp"]]

        for name in sorted(missing):
            for rows in still_so([self.folder / SOURCE / f"{name}.parquet"]):
                if len(rows):
                    self._write(KNOWN_CLIPS, rows[["clip_id", *ONLINE_FEATURES]], rows)
            dataset = name.rpartition("-")[2]
            mark = pd.DataFrame({"publication": [name], "dataset": [dataset]})
            stamps = ("event_timestamp", "created_timestamp")
            self._write(PUBLICATIONS, mark, mark.assign(**dict.fromkeys(stamps, latest.newest)))
        if not indexed:
            pieces = (rows[rows["split"] == "train"] for rows in still_so(self._states()))
            captions = (pair for rows in pieces for pair in zip(rows["caption"], rows["caption_source"], strict=True))
            write_prompts(self._prompts, captions, publications)
        return True

    def _write(self, view: str, rows: pd.DataFrame, dated: pd.DataFrame) -> None:
        stamps = {name: dated[name].to_numpy() for name in ("event_timestamp", "created_timestamp")}
        with answered():
            self._feast.write_to_online_store(view, rows.assign(**stamps))

    def _looked_up(self, view: str, features: tuple[str, ...], key: str, values: list[str]) -> dict[str, list[Any]]:
        with answered():
            return self._feast.get_online_features(
                features=[f"{view}:{name}" for name in features], entity_rows=[{key: value} for value in values]
            ).to_dict()

    def _joined(self, name: str, asked: pd.DataFrame, sources: Path) -> pd.DataFrame:
        store = open_feast(self.folder, sources)
        wanted = [f"{CLIPS}:{feature}" for feature in (*FEATURES, "state")]
        found = store.get_historical_features(asked, features=wanted).to_df()
        if lost := int(found["state"].isna().sum()):
            raise KinoraError(
                f"{self.folder} lacks the states of {lost} clips of the set {name}; put the files back that are "
                "missing, or publish the dataset's features to another place."
            )
        return typed(found, TRAINED)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other processes on this machine from changing the same files while the caller is inside."""
        with friendly_os_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = os.open(self.folder / "lock", os.O_CREAT | os.O_RDWR, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)
