"""The datasets that were accepted: their tables, which outlive the run that made them, and when each was accepted.

    <artifact root>/datasets/<digest>/                the tables of a dataset, its configuration, and `summary.json`
    <artifact root>/datasets/accepted/<when>-<digest>.json    one acceptance, which nothing ever changes

It is the same on a disk and on S3. An acceptance is a file of its own because S3 cannot append: two runs that accept at
the same time both stay in the history, whose order is that of the names. What a dataset is compared with is the last
accepted one of the same source, so simulated worlds are never held against a person's folder.
"""

import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from kinora.config import from_dict, read_json, write_json
from kinora.data.clips import ClipDataset
from kinora.errors import KinoraError
from kinora.file_cache import local_copy
from kinora.storage import Store, open_store

DATASETS, ACCEPTED = "datasets", "datasets/accepted"
TABLES = ("clips.parquet", "quarantine.parquet", "captions.parquet", "config.json")
SUMMARY = "summary.json"
WORLDS = "worlds"


@dataclass(frozen=True)
class Acceptance:
    """One line of the history.

    when: ISO 8601, UTC. digest: of the dataset. source: what it was made of. counts: as `ClipDataset.describe`.
    """

    when: str
    digest: str
    source: str
    counts: dict[str, float]


def source_of(dataset: ClipDataset) -> str:
    """Return what a dataset was made of: the source that ingest was given, or "worlds"."""
    return str(dataset.config.get("source", WORLDS))


def keep_tables(artifact_root: str, dataset: ClipDataset) -> str:
    """Store a dataset's tables under its digest, unless they are there; return where.

    Its media are not stored; its `uri`s lead where they led, and relative ones nowhere.
    """
    store, key = open_store(artifact_root), f"{DATASETS}/{dataset.digest}"
    if not store.exists(key):
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            for name in TABLES:
                (folder / name).symlink_to((dataset.path / name).resolve())
            write_json(folder / SUMMARY, {"source": source_of(dataset), "counts": dataset.describe()})
            store.put_folder(folder, key)
    return store.uri(key)


def open_tables(artifact_root: str, digest: str) -> ClipDataset:
    """Open the tables of a dataset that were kept.

    Raises:
        KinoraError: if they were not.
    """
    store = open_store(artifact_root)
    if not digest or not store.exists(f"{DATASETS}/{digest}"):
        raise KinoraError(
            f"the tables of the dataset {digest[:16]} are not kept in {artifact_root}; a pipeline that trains there "
            "keeps them."
        )
    return ClipDataset.open(local_copy(store.uri(f"{DATASETS}/{digest}")))


def accept(artifact_root: str, dataset: ClipDataset) -> Acceptance:
    """Keep a dataset's tables and note that it was accepted; return the note."""
    keep_tables(artifact_root, dataset)
    now = datetime.now(UTC)
    acceptance = Acceptance(now.isoformat(), dataset.digest, source_of(dataset), dataset.describe())
    with tempfile.TemporaryDirectory() as temporary:
        write_json(Path(temporary) / "acceptance.json", acceptance)
        name = f"{now:%Y%m%dT%H%M%S.%fZ}-{dataset.digest[:16]}.json"
        open_store(artifact_root).put_file(Path(temporary) / "acceptance.json", f"{ACCEPTED}/{name}")
    return acceptance


def history(artifact_root: str) -> list[Acceptance]:
    """Return every acceptance, oldest first.

    Raises:
        KinoraError: if one of them cannot be read.
    """
    store = open_store(artifact_root)
    return [_read(store, key) for key in store.list(ACCEPTED)]


def last_accepted(artifact_root: str, dataset: ClipDataset) -> ClipDataset | None:
    """Return the tables of the dataset that was accepted last of the same source, None where there is none.

    The dataset itself, accepted by an earlier run, is passed over: it differs in nothing.
    """
    store, source = open_store(artifact_root), source_of(dataset)
    for key in reversed(store.list(ACCEPTED)):
        acceptance = _read(store, key)
        if acceptance.source == source and acceptance.digest != dataset.digest:
            return open_tables(artifact_root, acceptance.digest)
    return None


def _read(store: Store, key: str) -> Acceptance:
    with tempfile.TemporaryDirectory() as temporary:
        file = store.get_file(key, Path(temporary) / "acceptance.json")
        try:
            return from_dict(Acceptance, read_json(file))
        except ValueError as error:
            raise KinoraError(f"{store.uri(key)} is damaged ({error}); remove it.") from error
