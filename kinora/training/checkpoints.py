"""The state of one trainer in one process, saved whole or not at all, so that training goes on where it stopped.

A checkpoint is a folder `step-000120` with `tensors.safetensors` (weights, optimizer state, random state) and
`values.json` (everything else). No pickles: a checkpoint from anywhere can be opened safely.
"""

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from kinora.config import read_json, write_json
from kinora.files import atomic_folder


@dataclass(frozen=True)
class Checkpoint:
    """One saved state: the steps finished when it was saved, its tensors by name, and plain JSON values."""

    step: int
    tensors: dict[str, Tensor]
    values: dict[str, Any]


class Checkpoints:
    """The checkpoints of one training run in `folder`; only the newest is kept.

    `identity` names what is being trained (a digest of configuration and data). Checkpoints of another identity
    are never resumed: the first save removes them.
    """

    def __init__(self, folder: str | Path, identity: str):
        self.folder, self.identity = Path(folder), identity

    def save(self, step: int, tensors: dict[str, Tensor], values: dict[str, Any]) -> Path:
        """Save the state after `step` steps, then remove whatever it replaces."""
        path = self.folder / f"step-{step:06d}"
        with atomic_folder(path) as temporary:
            # Tensors may share memory (tied weights, views); safetensors wants each to own its bytes.
            owned = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
            save_file(owned, temporary / "tensors.safetensors")
            write_json(temporary / "values.json", {"identity": self.identity, "step": step, "values": values})
        for other in self._folders():
            if other != path:
                shutil.rmtree(other)
        return path

    def last(self) -> Checkpoint | None:
        """Return the newest whole checkpoint of this identity, or None."""
        for path in sorted(self._folders(), reverse=True):
            if not (path / "values.json").exists():
                continue  # left half-written by a killed process
            record = read_json(path / "values.json")
            if record["identity"] == self.identity and not path.name.startswith("."):
                return Checkpoint(record["step"], load_file(path / "tensors.safetensors"), record["values"])
        return None

    def clear(self) -> None:
        """Remove every checkpoint: the run is finished and its result stands elsewhere."""
        for path in self._folders():
            shutil.rmtree(path)

    def _folders(self) -> list[Path]:
        """Return whole checkpoints and the hidden, unfinished ones of killed processes."""
        if not self.folder.is_dir():
            return []
        return [p for p in self.folder.iterdir() if p.is_dir() and re.match(r"\.?step-\d+", p.name)]


def trainer_tensors(
    model: nn.Module, optimizers: Sequence[torch.optim.Optimizer], generator: torch.Generator
) -> dict[str, Tensor]:
    """Return everything that the next step depends on: weights, optimizer states and random state, by name."""
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    for number, optimizer in enumerate(optimizers):
        for index, entries in optimizer.state_dict()["state"].items():
            for name, value in entries.items():
                tensors[f"optimizer.{number}.{index}.{name}"] = torch.as_tensor(value)
    return tensors | {"random": generator.get_state()}


def restore_trainer(
    tensors: dict[str, Tensor],
    model: nn.Module,
    optimizers: Sequence[torch.optim.Optimizer],
    generator: torch.Generator,
) -> None:
    """Put back what `trainer_tensors` returned; model and optimizers are built as they were then."""
    model.load_state_dict({n.removeprefix("model."): t for n, t in tensors.items() if n.startswith("model.")})
    states: list[dict[int, dict[str, Tensor]]] = [{} for _ in optimizers]
    for key, tensor in tensors.items():
        if key.startswith("optimizer."):
            _, number, index, name = key.split(".", 3)
            states[int(number)].setdefault(int(index), {})[name] = tensor
    for optimizer, state in zip(optimizers, states, strict=True):
        optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    generator.set_state(tensors["random"])
