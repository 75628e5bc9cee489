"""The state of one training, saved whole or not at all, so that training goes on where it stopped.

    <folder>/<identity>/          one training: a configuration on certain data
        step-000120/              a whole state: the trainer's files, a copy of the log, and `checkpoint.json`
        step-000080/              the one before, for when the newest is damaged
        training.jsonl            the log
        samples/                  what the model made along the way
        .lock                     held by the process that trains

The state of the three trainers is kept in this one way, in safetensors and JSON, which can be opened safely from
anywhere. `checkpoint.json` is written last and holds the digest of every file and of itself.
"""

import fcntl
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from kinora.config import digest, read_json, write_json
from kinora.errors import KinoraError
from kinora.files import atomic_write, file_digest

RECORD, LOG, STATE, LOCK = "checkpoint.json", "training.jsonl", "state.safetensors", ".lock"
LOCK_PATIENCE = 30.0  # seconds
HASHING_THREADS = 8


def checkpoint_name(step: int) -> str:
    """Return the name of the folder that belongs to the state or the model after `step` steps."""
    return f"step-{step:06d}"


@dataclass(frozen=True)
class Checkpoint:
    """A saved state: the steps finished when it was saved, its folder, plain JSON values, its files' digests."""

    step: int
    path: Path
    values: dict[str, Any]
    files: dict[str, str]


class Checkpoints:
    """The state of the training named `identity` (a digest of configuration and data), below `folder`.

    Another identity has a folder of its own there, so that it is never resumed by mistake. The newest `kept` states
    are kept.
    """

    def __init__(self, folder: str | Path, identity: str, kept: int = 2):
        self.folder = Path(folder) / identity[:16]
        self.log = self.folder / LOG
        self.kept = kept

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other processes out of the folder; whatever ends this one frees it.

        The kernel knows of the lock: on one machine, and on NFS 4 among the machines that share it. A copy of the
        folder elsewhere (a mirror on S3) is not locked with it. Processes of a run that was killed end within seconds,
        so this waits a little for them.

        Raises:
            KinoraError: if another process trains there.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(self.folder / LOCK, "w") as file:
            until = time.monotonic() + LOCK_PATIENCE
            while not _taken(file):
                if time.monotonic() > until:
                    raise KinoraError(
                        f"another training is running in {self.folder}; wait until it ends, or give another folder."
                    )
                time.sleep(0.2)
            yield

    def unfinished(self, step: int) -> Path:
        """Return the folder into which every process of a training writes its part of the state after `step` steps."""
        return self.folder / f".{checkpoint_name(step)}"

    def begin(self, step: int) -> None:
        """Make that folder, empty. One process calls this before any of them writes."""
        shutil.rmtree(self.unfinished(step), ignore_errors=True)
        self.unfinished(step).mkdir(parents=True)

    def commit(self, step: int, values: dict[str, Any]) -> None:
        """Make the unfinished state the newest one. One process calls this after all of them have written."""
        temporary, path = self.unfinished(step), self.folder / checkpoint_name(step)
        if self.log.is_file():  # a log that cannot be written does not keep the state from being saved
            shutil.copy(self.log, temporary / LOG)
        record = {"step": step, "values": values, "files": _digests(temporary)}
        write_json(temporary / RECORD, {**record, "digest": digest(record)})
        shutil.rmtree(path, ignore_errors=True)
        temporary.rename(path)
        for other in [*self._whole()[self.kept :], *self._unfinished()]:
            shutil.rmtree(other)

    def last(self) -> Checkpoint | None:
        """Return the newest state whose record is whole, or None, without reading its files."""
        for path in self._whole():
            with suppress(_Damaged):
                return _read(path)
        return None

    def resume(self) -> Checkpoint | None:
        """Return the newest whole state after putting the log back to what it was then: later rows come again.

        States are whole if every file has the digest that it was written with. Newer ones that are not are named on
        stderr and removed.

        Raises:
            KinoraError: if there are states and none of them is whole.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        last, damaged = None, dict[Path, str]()
        for path in self._whole():
            try:
                last = _read(path)
                _verify(last)
                break
            except _Damaged as error:
                last, damaged[path] = None, str(error)
        sentences = "; ".join(f"{path.name}: {reason}" for path, reason in damaged.items())
        if damaged and last is None:
            raise KinoraError(
                f"no state in {self.folder} is whole ({sentences}); put a copy back, or remove that folder to train "
                "from the start."
            )
        for path, reason in damaged.items():
            print(f"{path} is damaged ({reason}); going on from the state before it.", file=sys.stderr, flush=True)
            shutil.rmtree(path)
        before = last.path / LOG if last is not None else None
        with atomic_write(self.log) as temporary:
            temporary.write_bytes(before.read_bytes() if before is not None and before.exists() else b"")
        return last

    def clear(self) -> None:
        """Remove everything: the training is finished and its result stands elsewhere."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _whole(self) -> list[Path]:
        """Return the folders of states that were finished, the newest first."""
        return sorted(self._folders(r"step-(\d+)"), key=lambda path: -int(path.name.partition("-")[2]))

    def _unfinished(self) -> list[Path]:
        """Return what killed processes left."""
        return self._folders(r"\.step-\d+")

    def _folders(self, pattern: str) -> list[Path]:
        if not self.folder.is_dir():
            return []
        return [path for path in self.folder.iterdir() if path.is_dir() and re.fullmatch(pattern, path.name)]


class _Damaged(Exception):
    """A state is not what was written."""


def _read(path: Path) -> Checkpoint:
    try:
        record = read_json(path / RECORD)
        written = record.pop("digest")
        whole = written == digest(record)
        checkpoint = Checkpoint(record["step"], path, record["values"], record["files"])
    except FileNotFoundError:
        raise _Damaged(f"{RECORD} is missing") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise _Damaged(f"{RECORD} cannot be read") from None
    if not whole:
        raise _Damaged(f"{RECORD} was changed")
    return checkpoint


def _verify(checkpoint: Checkpoint) -> None:
    found = _digests(checkpoint.path)
    for name, written in checkpoint.files.items():
        if name not in found:
            raise _Damaged(f"{name} is missing")
        if found[name] != written:
            raise _Damaged(f"{name} was changed or cut")


def _digests(folder: Path) -> dict[str, str]:
    """Return the digest of every file of a state but its record."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != RECORD)
    with ThreadPoolExecutor(HASHING_THREADS) as threads:  # hashing leaves the interpreter to the others
        names = [file.relative_to(folder).as_posix() for file in files]
        return dict(zip(names, threads.map(file_digest, files), strict=True))


def _taken(file: TextIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def open_checkpoints(folder: str | Path | None, identity: str, kept: int = 2) -> Iterator[Checkpoints]:
    """Yield the checkpoints of a training, in a temporary folder if none is given; they are cleared on success."""
    with tempfile.TemporaryDirectory() as temporary:
        checkpoints = Checkpoints(folder if folder is not None else temporary, identity, kept)
        yield checkpoints
        checkpoints.clear()


def save_state(
    folder: Path,
    model: nn.Module,
    optimizers: Sequence[torch.optim.Optimizer],
    generator: torch.Generator | None = None,
) -> None:
    """Write what the next step of one process depends on: weights, optimizer states, and a random state if any."""
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    for number, optimizer in enumerate(optimizers):
        for index, entries in optimizer.state_dict()["state"].items():
            for name, value in entries.items():
                tensors[f"optimizer.{number}.{index}.{name}"] = torch.as_tensor(value)
    if generator is not None:
        tensors["random"] = generator.get_state()
    # Tensors may share memory (tied weights, views); safetensors wants each to own its bytes.
    save_file({name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}, folder / STATE)


def load_state(
    folder: Path,
    model: nn.Module,
    optimizers: Sequence[torch.optim.Optimizer],
    generator: torch.Generator | None = None,
) -> None:
    """Put back what `save_state` wrote; model and optimizers are built as they were then."""
    tensors = load_file(folder / STATE)
    model.load_state_dict({n.removeprefix("model."): t for n, t in tensors.items() if n.startswith("model.")})
    states: list[dict[int, dict[str, Tensor]]] = [{} for _ in optimizers]
    for key, tensor in tensors.items():
        if key.startswith("optimizer."):
            _, number, index, name = key.split(".", 3)
            states[int(number)].setdefault(int(index), {})[name] = tensor
    for optimizer, state in zip(optimizers, states, strict=True):
        optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    if generator is not None:
        generator.set_state(tensors["random"])
