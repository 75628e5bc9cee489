"""Transformer and text encoder together, and the folder in which a trained pair is kept."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor, nn

from kinora.config import from_dict, read_json, to_dict, write_json
from kinora.errors import KinoraError
from kinora.files import atomic_folder
from kinora.models.dit import DiT, DiTConfig
from kinora.models.folder import write_weights
from kinora.models.text_encoder import TextEncoderConfig, build_text_encoder

PARTS = ("dit", "text_encoder")


class WorldModel(nn.Module):
    """What diffusion needs besides an autoencoder: `dit` and `text_encoder`."""

    def __init__(self, dit: DiTConfig, text: TextEncoderConfig):
        super().__init__()
        self.text_encoder = build_text_encoder(text)
        self.dit = DiT(replace(dit, text_width=text.width))


def save_world_model(
    folder: str | Path, weights: Mapping[str, Tensor], dit: DiTConfig, text: TextEncoderConfig
) -> None:
    """Write weights named as in `WorldModel` as `dit.safetensors`, `text_encoder.safetensors` and `config.json`."""
    with atomic_folder(folder) as temporary:
        for part in PARTS:
            own = {name.removeprefix(f"{part}."): w for name, w in weights.items() if name.startswith(f"{part}.")}
            write_weights(temporary / f"{part}.safetensors", own)
        write_json(temporary / "config.json", {"dit": to_dict(dit), "text": to_dict(text)})


def load_world_model(folder: str | Path) -> WorldModel:
    """Read what `save_world_model` wrote, in evaluation mode on the CPU, float32.

    Raises:
        KinoraError: if the folder holds no transformer.
    """
    folder = Path(folder)
    names = [f"{part}.safetensors" for part in PARTS] + ["config.json"]
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise KinoraError(f"{folder} holds no trained transformer ({missing[0]} is missing); train or choose another.")
    config = read_json(folder / "config.json")
    model = WorldModel(from_dict(DiTConfig, config["dit"]), from_dict(TextEncoderConfig, config["text"]))
    for part in PARTS:
        getattr(model, part).load_state_dict(load_file(folder / f"{part}.safetensors"))
    return model.eval().requires_grad_(False)
