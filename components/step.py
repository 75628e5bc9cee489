"""What every component's body does around its one call of the library.

A body runs in a process of its own, on a laptop or in a pod: it reports its progress to whoever watches, turns a failure
into one sentence, and keeps what must outlive it under the run's artifact root.
"""

import errno
import json
import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.sources import code_digest
from kinora.config import digest, to_dict
from kinora.errors import KinoraError
from kinora.files import folder_digest, whole_file
from kinora.progress import PROGRESS_DIR

if TYPE_CHECKING:
    from kfp import dsl

    from kinora.data.storage import Store

FAILURE = "failure.json"
SECONDS_BETWEEN_SNAPSHOTS = 5.0


@contextmanager
def running(name: str, artifact_root: str, item: str = "") -> Iterator["Step"]:
    """Run a component's body as the step `name` (of several at once, the one for `item`).

    A failure that a person can act upon ends the process with exit code 1 and one sentence, without a traceback; the
    sentence of any failure is also left for the watcher, beside the progress.
    """
    watched = os.environ.get(PROGRESS_DIR)
    if watched:
        os.environ[PROGRESS_DIR] = str(Path(watched) / (f"{name}-{item}" if item else name))
    try:
        yield Step(name, artifact_root)
    except KinoraError as error:
        _leave_failure(watched, name, str(error))
        sys.exit(f"{name}: {error}")
    except OSError as error:
        sentence = storage_sentence(error)
        _leave_failure(watched, name, sentence or f"{type(error).__name__}: {error}")
        if sentence is None:
            raise
        sys.exit(f"{name}: {sentence}")
    except Exception as error:
        _leave_failure(watched, name, f"{type(error).__name__}: {error}")
        raise


class Step:
    """One running step."""

    def __init__(self, name: str, artifact_root: str):
        self.name, self.artifact_root = name, artifact_root

    def measured(self, metrics: "dsl.Metrics", figures: Mapping[str, float]) -> None:
        """Record figures as a KFP metrics artifact.

        They are also written to the artifact's file: the local cache takes a result whose file is missing for lost.
        """
        for name, value in figures.items():
            metrics.log_metric(name, round(float(value), 6))
        with whole_file(metrics.path) as temporary:
            temporary.write_text(json.dumps(dict(figures), indent=2))

    def keep(self, *artifacts: "dsl.Artifact") -> None:
        """Store finished artifacts under an `s3://` artifact root, by their content, and say in their metadata where.

        On disk nothing is copied: Kubeflow's own output folder already holds them.
        """
        if not self.artifact_root.startswith("s3://"):
            return
        from kinora.data.storage import open_store

        store = open_store(self.artifact_root)
        for artifact in artifacts:
            artifact.metadata["stored"] = put_artifact(store, f"steps/{self.name}/{artifact.name}", Path(artifact.path))

    @contextmanager
    def state(self, config: Any, *inputs: Path) -> Iterator[Path]:
        """Yield the folder for a training's own checkpoints, as the last interrupted run of the same training left it.

        The same training means the same code, configuration and contents of `inputs`. A finished training's folder is
        removed from a disk, because the result is now an artifact; on S3 it stays.
        """
        key = digest(
            {
                "step": self.name,
                "code": code_digest(),
                "config": to_dict(config),
                "inputs": [folder_digest(path) for path in inputs],
            }
        )[:20]
        place = f"checkpoints/{self.name}-{key}"
        if self.artifact_root.startswith("s3://"):
            from kinora.data.storage import open_store

            with _mirrored(open_store(self.artifact_root), place) as folder:
                yield folder
        elif self.artifact_root:
            folder = Path(self.artifact_root.removeprefix("file://")) / place
            folder.mkdir(parents=True, exist_ok=True)
            yield folder
            shutil.rmtree(folder, ignore_errors=True)
        else:
            with tempfile.TemporaryDirectory() as temporary:
                yield Path(temporary)


def put_artifact(store: "Store", place: str, path: Path) -> str:
    """Store a finished file or folder under its digest, unless it is there; return its URI."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = path
        if path.is_file():  # a folder of one, so that it too is whole or absent
            folder = Path(temporary)
            shutil.copy(path, folder / path.name)
        key = f"{place}/{folder_digest(folder)[:20]}"
        if key not in _whole_folders(store, place):
            store.put_folder(folder, key)
        return store.uri(key)


def storage_sentence(error: OSError) -> str | None:
    """Say what a full or read-only disk means for the person, or None for any other error."""
    where = error.filename or "the work folder"
    return {
        errno.ENOSPC: f"the disk that holds {where} is full; free some space and run again.",
        errno.EDQUOT: f"the disk quota for {where} is used up; free some space and run again.",
        errno.EROFS: f"{where} is on a read-only disk; choose another work folder with --work.",
        errno.EACCES: f"{where} may not be written; choose another work folder with --work or change its permissions.",
    }.get(error.errno or 0)


def _leave_failure(watched: str | None, name: str, sentence: str) -> None:
    if watched:
        try:
            with whole_file(Path(watched) / FAILURE) as temporary:
                temporary.write_text(json.dumps({"step": name, "sentence": sentence}))
        except OSError as error:  # the disk may be full: that is then the failure, and the log has it
            print(f"{name}: the failure could not be recorded: {error}", file=sys.stderr)


def _whole_folders(store: "Store", place: str) -> set[str]:
    """Return the keys of the folders directly below `place` that have their manifest."""
    return {key.rsplit("/", 1)[0] for key in store.list(place) if key.endswith("/manifest.json")}


@contextmanager
def _mirrored(store: "Store", place: str) -> Iterator[Path]:
    """Yield a local folder that starts as the last whole snapshot below `place` and is stored there while it changes."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "state"
        snapshots = sorted(_whole_folders(store, place))
        if snapshots:
            store.get_folder(snapshots[-1], folder)
        folder.mkdir(exist_ok=True)
        mirror = _Mirror(store, place, folder, len(snapshots) and int(snapshots[-1].rsplit("/", 1)[1]))
        mirror.start()
        try:
            yield folder
        finally:
            mirror.stop()


class _Mirror(threading.Thread):
    """Stores a snapshot of `folder` under a new number whenever it has changed, then forgets the one before."""

    def __init__(self, store: "Store", place: str, folder: Path, last: int):
        super().__init__(daemon=True)
        self.store, self.place, self.folder, self.last = store, place, folder, last
        self.seen = self._fingerprint()
        self.finished = threading.Event()

    def run(self) -> None:
        while not self.finished.wait(SECONDS_BETWEEN_SNAPSHOTS):
            self._snapshot()

    def stop(self) -> None:
        """Store what is there now, and end."""
        self.finished.set()
        self.join()
        self._snapshot()

    def _fingerprint(self) -> list[tuple[str, int]]:
        return sorted((str(path), path.stat().st_mtime_ns) for path in self.folder.rglob("*") if path.is_file())

    def _snapshot(self) -> None:
        try:
            now = self._fingerprint()
            if now == self.seen or not now:
                return
            with tempfile.TemporaryDirectory(dir=self.folder.parent) as temporary:
                # Links are quick, and files are only ever replaced whole, so that the snapshot cannot change meanwhile.
                copy = Path(temporary) / "copy"
                shutil.copytree(self.folder, copy, copy_function=os.link, ignore=shutil.ignore_patterns(".*"))
                self.store.put_folder(copy, f"{self.place}/{self.last + 1:08d}")
        except (
            FileNotFoundError
        ):  # the trainer replaced a checkpoint while it was read: the next round takes the new one
            return
        except KinoraError as error:  # a training of hours does not end because its store is away for a minute
            print(f"the training state could not be stored ({error}); trying again later.", file=sys.stderr)
            return
        if self.last:
            self.store.delete(f"{self.place}/{self.last:08d}")
        self.last, self.seen = self.last + 1, now
