"""The folder that a trained model is kept in: `model.safetensors` and `config.json`, written last.

`model` in `config.json` is the model's own configuration; training writes its whole configuration around it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from safetensors.torch import load_file, save
from torch import Tensor, nn

from kinora.config import from_dict, read_json, write_json
from kinora.errors import KinoraError
from kinora.files import atomic_write

Model = TypeVar("Model", bound=nn.Module)


def write_weights(path: Path, weights: Mapping[str, Tensor]) -> None:
    """Write named weights as safetensors, whole or not at all."""
    with atomic_write(path) as temporary:  # `save_file` would make a file that only its owner can read
        temporary.write_bytes(save({name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}))


def save_model(folder: str | Path, model: nn.Module, config: Any) -> None:
    """Write a model's weights and its configuration into `folder`."""
    write_weights(Path(folder) / "model.safetensors", model.state_dict())
    write_json(Path(folder) / "config.json", {"model": config})


def load_model(folder: str | Path, kind: type[Model], config: type, what: str) -> Model:
    """Read what `save_model` wrote: a `kind` built from a `config`, in evaluation mode on the CPU.

    Raises:
        KinoraError: if the folder holds no such model; `what` is its name for a person and for `kinora train`.
    """
    folder = Path(folder)
    if not (folder / "model.safetensors").is_file() or not (folder / "config.json").is_file():
        raise KinoraError(f"{folder} holds no {what}; train one with 'kinora train {what}'.")
    model = kind(from_dict(config, read_json(folder / "config.json")["model"]))
    model.load_state_dict(load_file(folder / "model.safetensors"))
    return model.eval()
