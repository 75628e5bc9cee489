"""Autoencoders of diffusers as autoencoders of ours: Wan, CogVideoX, LTX-Video and HunyuanVideo.

`HFAutoencoder.from_pretrained("hf:...")` reads one as its makers saved it. From then on it is like any other: `save`
writes weights and configuration into a folder that stands alone, and its latents are normalised as in diffusers'
own pipelines, which is what transformers trained with them expect.
"""

from dataclasses import dataclass, field
from typing import Any, Self

import torch
from torch import Tensor

from kinora.config import read_json
from kinora.errors import KinoraError
from kinora.models.autoencoder import Autoencoder, AutoencoderConfig
from kinora.models.hf import PIPELINE, hf_extra, pretrained_folder

PART = "vae"  # its folder within a pipeline of diffusers
PROBE = 64  # side in pixels of the black clip that shows what a network does


@dataclass(frozen=True, kw_only=True)
class HFAutoencoderConfig(AutoencoderConfig):
    """Which class of diffusers, with which configuration of its own, and where it came from.

    The compression and the channels are the network's; `network` is diffusers' `config.json`.
    """

    kind: str = "hf"
    latent_channels: int = 16
    spatial: int = 8
    temporal: int = 4
    pretrained: str = ""
    network_class: str = ""
    network: dict[str, Any] = field(default_factory=dict)


class HFAutoencoder(Autoencoder):
    """One of `CLASSES` behind our interface."""

    Config = HFAutoencoderConfig
    config: HFAutoencoderConfig

    def __init__(self, config: HFAutoencoderConfig):
        super().__init__(config)
        self.network: Any = _network_class(config.network_class).from_config(config.network)

    @classmethod
    def from_pretrained(cls, source: str) -> Self:
        """Read an autoencoder of diffusers, alone or in a pipeline's folder, as `kinora.models.hf` finds it.

        Raises:
            KinoraError: if there is none, it is of another class, or its weights are not safetensors.
        """
        folder = pretrained_folder(source, PART)
        folder = folder / PART if (folder / PIPELINE).is_file() else folder
        if not (folder / "config.json").is_file():
            raise KinoraError(f"{source} holds no autoencoder of diffusers: {folder} has no config.json.")
        written = read_json(folder / "config.json")
        name = str(written.get("_class_name"))
        try:
            network = _network_class(name).from_pretrained(
                folder, use_safetensors=True, local_files_only=True, low_cpu_mem_usage=False
            )
        except (OSError, ValueError, RuntimeError) as error:
            raise KinoraError(f"the autoencoder in {folder} cannot be read: {_first_line(error)}") from error
        plain = {key: value for key, value in written.items() if not key.startswith("_")}
        shape: dict[str, Any] = CLASSES[name](network)
        config = HFAutoencoderConfig(pretrained=source, network_class=name, network=plain, **shape)
        with torch.device("meta"):
            model = cls(config)
        model.network = network.float()
        model.latent_mean, model.latent_std = latent_statistics(model.network, config.latent_channels)
        model.eval()
        model.check(source)
        return model

    @torch.no_grad()
    def check(self, source: str) -> None:
        """Refuse a network that does not compress as its configuration says.

        Raises:
            KinoraError: if a small black clip has a latent, or comes back, of another shape.
        """
        size = (1 + 2 * self.config.temporal, PROBE, PROBE)
        shape = (1, self.config.latent_channels, *self.config.latent_shape(*size))
        try:
            latent = self.encode(torch.full((1, 3, *size), -1.0))[0]
            found = tuple(latent.shape), tuple(self.decode(latent, size).shape[2:])
        except RuntimeError as error:
            raise KinoraError(f"the autoencoder {source} does not work: {_first_line(error)}") from error
        if found != (shape, size):
            raise KinoraError(
                f"the autoencoder {source} makes latents {found[0]} and clips {found[1]} of a clip {size}, and by its "
                f"configuration it would be {shape} and {size}; its config.json is not the one of these weights."
            )

    def encode_moments(self, video: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log variance `[B, z, t, h, w]` of the latents of `video [B, 3, T, H, W]` on the grid."""
        posterior = self.network.encode(video.to(self.network.dtype)).latent_dist
        return posterior.mean, posterior.logvar

    def decode_pixels(self, latent: Tensor) -> Tensor:
        """Return the video `[B, 3, T, H, W]` on the grid of latents `[B, z, t, h, w]`."""
        latent, frames = latent.to(self.network.dtype), 1 + (latent.shape[2] - 1) * self.config.temporal
        if self.config.network_class == "AutoencoderKLCogVideoX" and latent.shape[2] % 2 == 0:
            # It knows the first frame by an odd number of latents: one more is decoded, and cut off.
            latent = torch.cat([latent, latent[:, :, -1:]], dim=2)
        time = {}
        if self.config.network.get("timestep_conditioning"):  # LTX 0.9.1: latents free of noise, as its pipeline has it
            time = {"temb": torch.zeros(len(latent), device=latent.device, dtype=latent.dtype)}
        video: Tensor = self.network.decode(latent, **time).sample
        return video[:, :, :frames]


def _wan(network: Any) -> dict[str, int]:
    c = network.config
    return {"latent_channels": c.z_dim, "spatial": c.scale_factor_spatial, "temporal": c.scale_factor_temporal}


def _cogvideox(network: Any) -> dict[str, int]:
    c = network.config
    spatial, temporal = 2 ** (len(c.block_out_channels) - 1), int(c.temporal_compression_ratio)
    return {"latent_channels": c.latent_channels, "spatial": spatial, "temporal": temporal}


def _compression_ratios(network: Any) -> dict[str, int]:
    spatial, temporal = network.spatial_compression_ratio, network.temporal_compression_ratio
    return {"latent_channels": network.config.latent_channels, "spatial": spatial, "temporal": temporal}


# The classes of diffusers that can be used, and how each says its channels and compression.
CLASSES = {
    "AutoencoderKLWan": _wan,
    "AutoencoderKLCogVideoX": _cogvideox,
    "AutoencoderKLLTXVideo": _compression_ratios,
    "AutoencoderKLHunyuanVideo": _compression_ratios,
}


def latent_statistics(network: Any, channels: int) -> tuple[Tensor, Tensor]:
    """Return mean and deviation `[z]` of a network's latents, so that (latent - mean) / deviation is what its makers'
    pipeline gives their transformer.

    Wan and LTX say a mean and a deviation a channel (LTX in its weights), CogVideoX and HunyuanVideo one factor.
    """
    c = network.config
    mean = getattr(network, "latents_mean", None) if "latents_mean" not in c else c["latents_mean"]
    deviation = getattr(network, "latents_std", None) if "latents_std" not in c else c["latents_std"]
    mean = c.get("shift_factor") or 0.0 if mean is None else mean
    scale = c.get("scaling_factor") or 1.0
    ones = torch.ones(channels)
    return ones * torch.as_tensor(mean), ones * torch.as_tensor(1.0 if deviation is None else deviation) / scale


def _network_class(name: str) -> Any:
    if name not in CLASSES:
        raise KinoraError(f"'{name}' is no autoencoder that can be used; there are {', '.join(CLASSES)}.")
    with hf_extra():
        import diffusers
    return getattr(diffusers, name)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
