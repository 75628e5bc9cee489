"""The registry of model versions: which there are under an artifact root, and which of them is deployed.

    <artifact root>/models/<name>/          the versions, each a whole folder named by its digest
    <artifact root>/models/current.json     {"version": name}, the one that is deployed
    <artifact root>/models/history.jsonl    a line for each promotion and rollback, the oldest first
    <artifact root>/models/decisions.jsonl  a line for each decision of the gate, and the error that it spent

It is the same on a disk and on S3. A version is stored whole before the history names it, and the history names it
before it is current: whatever interrupts a promotion, what was deployed stays deployed, and promoting again ends it.
Promotions under one root are made one at a time. Where none was ever made, the version that comes with the package is
deployed (`kinora.generation.reference`), and every registry knows it by its name and as "reference".
"""

import json
import re
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from kinora.config import from_dict
from kinora.errors import KinoraError
from kinora.file_cache import local_copy
from kinora.generation.model_version import NAME_LENGTH, ModelVersion, own_files, read_version
from kinora.generation.reference import reference_folder
from kinora.storage import MANIFEST, open_store, split_uri

MODELS, CURRENT, HISTORY = "models", "models/current.json", "models/history.jsonl"
DECISIONS = "models/decisions.jsonl"
PROMOTION, ROLLBACK = "promotion", "rollback"
REFERENCE_NAME = "reference"
Line = TypeVar("Line")


@dataclass(frozen=True)
class Promotion:
    """One line of the history: a version that was deployed, instead of which, why, and by which run."""

    when: str  # ISO 8601, UTC, to the second
    kind: str  # "promotion", or "rollback" to a version that was deployed before
    version: str
    previous: str | None  # what was deployed until then
    verdict: str  # the gate's sentence, or a person's
    run: str  # the pipeline run that promoted; empty where a person did


@dataclass(frozen=True)
class GateDecision:
    """One decision of the gate: about what, against what, which error it was allowed, and how it came out."""

    when: str  # ISO 8601, UTC, to the second
    candidate: str  # the digest of what was trained, whatever was measured of it
    version: str  # the model version that was made of it
    rival: str  # the deployed version, "" where none was
    level: float  # how likely a model that is no better might have passed
    chance: float  # how often chance alone gives such a difference
    outcome: str  # "better", "trial" or "kept"
    verdict: str


class Registry:
    """The model versions under an artifact root: a folder, file:// or s3://bucket/prefix."""

    def __init__(self, artifact_root: str):
        """Open it; nothing is made until the first promotion.

        Raises:
            UsageError: if the root is no place that can be stored to.
            KinoraError: if its S3 server does not answer or refuses.
        """
        self.artifact_root, self._store = artifact_root, open_store(artifact_root)

    def current(self) -> str | None:
        """Return the name of the version that is deployed, None where none was promoted."""
        text = self._read(CURRENT)
        if text is None:
            return None
        try:
            name = json.loads(text)["version"]
        except (ValueError, KeyError, TypeError) as error:
            raise self._damaged(CURRENT) from error
        if not _is_name(name):
            raise self._damaged(CURRENT)
        return str(name)

    def deployed(self) -> str:
        """Return the name of the version that is deployed: the one promoted last, else the one of the package.

        Raises:
            KinoraError: where none was promoted and none came with the package.
        """
        name = self.current() or _reference_name()
        if name is None:
            raise KinoraError(
                f"no model version is deployed in {self.artifact_root}; promote one with `kinora promote VERSION`, "
                "or run `make demo`."
            )
        return name

    def holds(self, name: str) -> bool:
        """Say whether there is a whole version of this name."""
        return _is_name(name) and self._store.exists(f"{MODELS}/{name}/{MANIFEST}")

    def uri(self, name: str) -> str:
        """Return where a version is."""
        return self._store.uri(f"{MODELS}/{name}")

    def fetch(self, name: str, into: Path | None = None) -> ModelVersion:
        """Return a version on this disk, its digest verified.

        From a folder it is the version itself, as is the one of the package; from S3 it is a copy below `into`, by
        default in the cache of `kinora.storage`, which is used again.

        Raises:
            KinoraError: if there is no such version, or it was changed.
        """
        if not self.holds(name):
            folder = reference_folder()
            if folder is not None and name == folder.name:
                return read_version(folder)
            raise KinoraError(
                f"there is no model version {name} in {self.artifact_root}; `kinora promote --history` lists them."
            )
        copy = local_copy(self.uri(name), into)
        try:
            return read_version(copy)
        except KinoraError:
            if split_uri(self.artifact_root)[0] == "file":
                raise
            shutil.rmtree(copy)  # a cache that something cleaned up by half
            return read_version(local_copy(self.uri(name), into))

    def find(self, version: str) -> ModelVersion:
        """Return the version that a person names: by its name here, by its folder or URI, or "", the deployed one.

        "reference" is the one that comes with the package.

        Raises:
            KinoraError: if there is no such version, or it was changed.
        """
        if not version:
            return self.fetch(self.deployed())
        if self.holds(version):
            return self.fetch(version)
        reference = _reference_name()
        if reference is not None and version in (reference, REFERENCE_NAME):
            return self.fetch(reference)
        return read_version(local_copy(version.rstrip("/")))

    def promote(self, folder: str | Path, *, verdict: str, run: str = "") -> Promotion:
        """Store the version in `folder`, unless it is here, and deploy it; return the line of the history.

        A version that was deployed before is gone back to. One that is deployed already stays so, and nothing is noted.

        Raises:
            KinoraError: if the folder is no whole, unchanged model version, or it cannot be stored.
        """
        version, current, history = read_version(folder), self.current(), self.history()
        previous = current or _reference_name()
        if not self._whole(version.name):
            self._put(version)
        last = history[-1] if history else None
        if last is None or last.version != version.name:
            known = any(version.name in (line.version, line.previous) for line in history)
            when = datetime.now(UTC).isoformat(timespec="seconds")
            kind = ROLLBACK if known else PROMOTION
            last = Promotion(when, kind, version.name, previous, verdict, run)
            self._write_lines(HISTORY, [*history, last])
        if current != version.name:  # even where the history has it: that promotion was interrupted
            self._write(CURRENT, json.dumps({"version": version.name}) + "\n")
        return last

    def history(self) -> list[Promotion]:
        """Return all promotions and rollbacks, the oldest first."""
        return self._lines(HISTORY, Promotion)

    def decisions(self) -> list[GateDecision]:
        """Return all decisions of the gate, the oldest first."""
        return self._lines(DECISIONS, GateDecision)

    def note_decision(
        self, candidate: str, version: str, rival: str, *, level: float, chance: float, outcome: str, verdict: str
    ) -> None:
        """Note a decision of the gate; one about the same candidate and rival is not noted again."""
        known = self.decisions()
        if all((line.candidate, line.rival) != (candidate, rival) for line in known):
            when = datetime.now(UTC).isoformat(timespec="seconds")
            line = GateDecision(when, candidate, version, rival, level, chance, outcome, verdict)
            self._write_lines(DECISIONS, [*known, line])

    def deployment(self) -> Promotion:
        """Return the line of the history that deployed the current version.

        Raises:
            KinoraError: where there is none: none was promoted, or the history has lost the line.
        """
        name = self.current()
        line = next((line for line in reversed(self.history()) if line.version == name), None)
        if line is None:
            raise self._damaged(HISTORY)
        return line

    def _whole(self, name: str) -> bool:
        try:
            return self.holds(name) and self.fetch(name).name == name
        except KinoraError:
            return False

    def _put(self, version: ModelVersion) -> None:
        """Store a version without what another registry or BentoML's store keeps beside it."""
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary) / version.name
            for file in own_files(version.path):
                place = folder / file.relative_to(version.path)
                place.parent.mkdir(parents=True, exist_ok=True)
                place.symlink_to(file.resolve())
            self._store.put_folder(folder, f"{MODELS}/{version.name}")

    def _lines(self, key: str, kind: type[Line]) -> list[Line]:
        try:
            return [from_dict(kind, json.loads(line)) for line in (self._read(key) or "").splitlines()]
        except Exception as error:  # cattrs has many, and all say that these are no such lines
            raise self._damaged(key) from error

    def _write_lines(self, key: str, lines: Sequence[Promotion] | Sequence[GateDecision]) -> None:
        self._write(key, "".join(json.dumps(asdict(line)) + "\n" for line in lines))

    def _read(self, key: str) -> str | None:
        if not self._store.exists(key):
            return None
        with tempfile.TemporaryDirectory() as temporary:
            try:
                return self._store.get_file(key, Path(temporary) / "file").read_text()
            except UnicodeDecodeError as error:
                raise self._damaged(key) from error

    def _write(self, key: str, text: str) -> None:
        with tempfile.TemporaryDirectory() as temporary:
            file = Path(temporary) / "file"
            file.write_text(text)
            self._store.put_file(file, key)

    def _damaged(self, key: str) -> KinoraError:
        return KinoraError(f"{self._store.uri(key)} is damaged; restore it, or remove it and promote again.")


def _reference_name() -> str | None:
    folder = reference_folder()
    return folder.name if folder is not None else None


def _is_name(name: Any) -> bool:
    return isinstance(name, str) and re.fullmatch(rf"[0-9a-f]{{{NAME_LENGTH}}}", name) is not None
