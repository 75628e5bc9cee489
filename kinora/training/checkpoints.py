"""The state of one training, saved whole or not at all, so that training goes on where it stopped.

    <folder>/<identity>/          one training: a configuration on certain data
        step-000120/              the newest whole state: `checkpoint.json`, a copy of the log, and the trainer's files
        training.jsonl            the log
        samples/                  what the model made along the way

The state of the three trainers is kept in this one way. Single processes write safetensors, which can be opened
safely from anywhere; DeepSpeed writes its own files.
"""

import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from kinora.config import read_json, write_json
from kinora.files import atomic_write

RECORD, LOG, STATE = "checkpoint.json", "training.jsonl", "state.safetensors"


def checkpoint_name(step: int) -> str:
    """Return the name of the folder that belongs to the state or the model after `step` steps."""
    return f"step-{step:06d}"


@dataclass(frozen=True)
class Checkpoint:
    """A saved state: the steps finished when it was saved, its folder, and plain JSON values."""

    step: int
    path: Path
    values: dict[str, Any]


class Checkpoints:
    """The state of the training named `identity` (a digest of configuration and data), below `folder`.

    Another identity has a folder of its own there, so that it is never resumed by mistake. Only the newest state is
    kept.
    """

    def __init__(self, folder: str | Path, identity: str):
        self.folder = Path(folder) / identity[:16]
        self.log = self.folder / LOG

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
        write_json(temporary / RECORD, {"step": step, "values": values})
        shutil.rmtree(path, ignore_errors=True)
        temporary.rename(path)
        for other in self._states():
            if other != path:
                shutil.rmtree(other)

    def last(self) -> Checkpoint | None:
        """Return the newest whole state, or None."""
        whole = [path for path in self._states() if not path.name.startswith(".") and (path / RECORD).exists()]
        if not whole:
            return None
        path = max(whole)
        record = read_json(path / RECORD)
        return Checkpoint(record["step"], path, record["values"])

    def resume(self) -> Checkpoint | None:
        """Return the newest whole state after putting the log back to what it was then: later rows come again."""
        self.folder.mkdir(parents=True, exist_ok=True)
        last = self.last()
        before = last.path / LOG if last is not None else None
        with atomic_write(self.log) as temporary:
            temporary.write_bytes(before.read_bytes() if before is not None and before.exists() else b"")
        return last

    def clear(self) -> None:
        """Remove everything: the training is finished and its result stands elsewhere."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _states(self) -> list[Path]:
        """Return whole states and the hidden, unfinished ones of killed processes."""
        if not self.folder.is_dir():
            return []
        return [path for path in self.folder.iterdir() if path.is_dir() and re.match(r"\.?step-\d+", path.name)]


@contextmanager
def open_checkpoints(folder: str | Path | None, identity: str) -> Iterator[Checkpoints]:
    """Yield the checkpoints of a training, in a temporary folder if none is given; they are cleared on success."""
    with tempfile.TemporaryDirectory() as temporary:
        checkpoints = Checkpoints(folder if folder is not None else temporary, identity)
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
