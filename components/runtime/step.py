"""What every component's body does around its one call of the library.

A body runs in a process of its own, on a laptop or in a pod: it reports its progress to whoever watches, turns a
failure into one sentence, and keeps what must outlive it under the run's artifact root.
"""

import errno
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.runtime.code_digest import code_digest
from kinora.config import digest, to_dict
from kinora.errors import KinoraError, UsageError
from kinora.files import atomic_write, folder_digest
from kinora.progress import PROGRESS_DIR

if TYPE_CHECKING:
    from kfp import dsl

    from kinora.generation import Registry
    from kinora.storage import Store

FAILURE = "failure.json"
LONGEST_MESSAGE = 200  # of a bug: the log has all of it
POD = "KFP_POD_NAME"  # Kubeflow Pipelines sets it in every pod that runs a step


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
        with _refusing_disk():
            yield Step(name, artifact_root)
    except KinoraError as error:
        _leave_failure(watched, name, str(error))
        sys.exit(f"{name}: {error}")
    except Exception as error:
        said = " ".join(str(error).split())[:LONGEST_MESSAGE]
        _leave_failure(watched, name, f"{type(error).__name__}: {said}")
        raise


class Step:
    """One running step."""

    def __init__(self, name: str, artifact_root: str):
        """Begin a step whose results outlive it under `artifact_root`.

        Raises:
            UsageError: if that is nowhere, or on the disk of a pod.
            KinoraError: if its S3 server does not answer or refuses.
        """
        from kinora.storage import open_store

        if not artifact_root:
            raise UsageError(
                "artifact_root is empty, so everything that this run makes would be lost; "
                "give s3://BUCKET/PREFIX, or a folder where all steps run on one machine."
            )
        if POD in os.environ and not artifact_root.startswith("s3://"):
            raise UsageError(
                f"artifact_root is {artifact_root}, on the disk of a pod, which is lost when the step ends; "
                "give s3://BUCKET/PREFIX."
            )
        self.name, self.artifact_root, self._store = name, artifact_root, open_store(artifact_root)

    @property
    def registry(self) -> "Registry":
        """The registry of model versions under the artifact root."""
        from kinora.generation import Registry

        return Registry(self.artifact_root)

    def measured(self, metrics: "dsl.Metrics", figures: Mapping[str, float]) -> None:
        """Record figures as a KFP metrics artifact.

        They are also written to the artifact's file: the local cache takes a result whose file is missing for lost.
        """
        for name, value in figures.items():
            metrics.log_metric(name, round(float(value), 6))
        with atomic_write(metrics.path) as temporary:
            temporary.write_text(json.dumps(dict(figures), indent=2))

    def keep(self, *artifacts: "dsl.Artifact") -> None:
        """Store finished artifacts under the artifact root, by their content, and say in their metadata where.

        Where that is a folder nothing is copied: the steps' own outputs are on the same disk, and stay.
        """
        if self._local:
            return
        for artifact in artifacts:
            place = f"steps/{self.name}/{artifact.name}"
            artifact.metadata["stored"] = put_artifact(self._store, place, Path(artifact.path))

    @contextmanager
    def state(self, config: Any, data: str) -> Iterator[Path]:
        """Yield the folder for a training's own checkpoints, as the last interrupted run of the same training left it.

        The same training means the same code, configuration and digest of the `data`. A finished training's folder is
        removed from a disk, because the result is now an artifact; on S3 it stays.
        """
        identity = {"code": code_digest(), "config": to_dict(config), "data": data}
        place = f"checkpoints/{self.name}-{digest(identity)[:20]}"
        if self._local:
            from kinora.storage import split_uri

            folder = Path(split_uri(self.artifact_root)[2]) / place
            folder.mkdir(parents=True, exist_ok=True)
            yield folder
            shutil.rmtree(folder, ignore_errors=True)
        else:
            from components.runtime.mirror import mirrored

            with mirrored(self._store, place) as folder:
                yield folder

    @property
    def _local(self) -> bool:
        from kinora.storage import split_uri

        return split_uri(self.artifact_root)[0] == "file"


def lasting_uri(artifact: "dsl.Artifact") -> str:
    """Return where an input can still be read by later steps: on this disk, or where `Step.keep` stored it."""
    local = "://" not in artifact.uri
    return str(artifact.uri if local else artifact.metadata.get("stored", artifact.uri))


def put_artifact(store: "Store", place: str, path: Path) -> str:
    """Store a finished file or folder under its digest, unless it is there; return its URI."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = path
        if path.is_file():  # a folder of one, so that it too is whole or absent
            folder = Path(temporary)
            shutil.copy(path, folder / path.name)
        key = f"{place}/{folder_digest(folder)[:20]}"
        if not store.exists(key):
            store.put_folder(folder, key)
        return store.uri(key)


@contextmanager
def _refusing_disk() -> Iterator[None]:
    """Turn a disk that is full or read-only into one sentence; any other error of the system is for a developer."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
            raise
        from kinora.files import friendly_os_errors

        with friendly_os_errors(error.filename or "the work folder"):
            raise


def _leave_failure(watched: str | None, name: str, sentence: str) -> None:
    if watched:
        try:
            with atomic_write(Path(watched) / FAILURE) as temporary:
                temporary.write_text(json.dumps({"step": name, "sentence": sentence}))
        except OSError as error:  # the disk may be full: that is then the failure, and the log has it
            print(f"{name}: the failure could not be recorded: {error}", file=sys.stderr)
