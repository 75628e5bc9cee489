"""What an autoencoder is to the rest of Kinora: clips of any size and length to latents, and back.

Axes: B clips; T, H, W frames, rows and columns of pixels; t, h, w those of latents; z latent channels. Video is
float32 RGB in [-1, 1]. The first frame has a latent of its own and each `temporal` frames after it one more, so that
the latent of an image is the first latent of every video that starts with it.

The grid of an autoencoder is 1 + k * `temporal` frames and sides that are multiples of `spatial`. Clips off the grid
are padded on encoding: the last frame, the last row and the last column are repeated. A latent does not know the size
of its clip; who decodes gives the size, which stands beside the latent in every index, and what was padded is cut off.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kinora.config import read_json
from kinora.data.grid import Grid
from kinora.errors import KinoraError
from kinora.models.folder import load_model, save_model
from kinora.models.precision import compute_dtype, device

Size = tuple[int, int, int]  # frames, height and width of a clip
# Of a batch, frames x height x width, that are encoded or decoded in one go: four frames of 1920x1088.
PIXELS_AT_ONCE = 2**23


@dataclass(frozen=True, kw_only=True)
class AutoencoderConfig:
    """What every autoencoder's configuration says, whatever else it does.

    `kind` is its name in `AUTOENCODERS`; `spatial` pixels each way and `temporal` frames make one latent of
    `latent_channels` values.
    """

    kind: str
    latent_channels: int
    spatial: int
    temporal: int

    def grid(self, patch_size: int) -> Grid:
        """Return what this autoencoder and a transformer of `patch_size` latent pixels take together."""
        return Grid(self.spatial * patch_size, self.temporal)

    def latent_shape(self, frames: int, height: int, width: int) -> tuple[int, int, int]:
        """Return (t, h, w) of the latent of a clip; sides and lengths off the grid are rounded up."""
        return 1 + -(-(frames - 1) // self.temporal), -(-height // self.spatial), -(-width // self.spatial)


class Autoencoder(nn.Module):
    """Clips to latents and back. Adding one is writing `encode_moments` and `decode_pixels`, and naming it in
    `AUTOENCODERS`; one that can stream overrides `encode_stream` and `decode_stream` too.

    `latent_mean` and `latent_std`, one value a channel, make latents of zero mean and unit variance (`normalise`),
    which the transformer learns to generate.
    """

    Config: type[AutoencoderConfig]  # which `config` is one of
    config: AutoencoderConfig
    latent_mean: Tensor
    latent_std: Tensor

    def __init__(self, config: AutoencoderConfig):
        super().__init__()
        self.config = config
        self.register_buffer("latent_mean", torch.zeros(config.latent_channels))
        self.register_buffer("latent_std", torch.ones(config.latent_channels))

    def encode_moments(self, video: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log variance `[B, z, t, h, w]` of the latents of `video [B, 3, T, H, W]` on the grid."""
        raise NotImplementedError

    def decode_pixels(self, latent: Tensor) -> Tensor:
        """Return the video `[B, 3, T, H, W]` on the grid of latents `[B, z, t, h, w]`."""
        raise NotImplementedError

    def encode(self, video: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log variance, float32 `[B, z, t, h, w]`, of the latents of `video [B, 3, T, H, W]`.

        The whole at once, with gradients: for training. `latents_of` is for use.
        """
        mean, log_variance = self.encode_moments(pad_to_grid(video, self.config))
        return mean.float(), log_variance.float()

    def decode(self, latent: Tensor, size: Size | None = None) -> Tensor:
        """Return the video, float32 `[B, 3, T, H, W]`, of latents `[B, z, t, h, w]`; values may leave [-1, 1] a little.

        The whole at once, with gradients: for training. `video_of` is for use.

        Args:
            size: (T, H, W) of the clip that was encoded; as large as the latents allow if not given.
        """
        return crop(self.decode_pixels(latent), size).float()

    def normalise(self, latent: Tensor) -> Tensor:
        """Turn encoder means into latents of zero mean and unit variance a channel."""
        return (latent - _per_channel(self.latent_mean)) / _per_channel(self.latent_std)

    def denormalise(self, latent: Tensor) -> Tensor:
        """Undo `normalise`."""
        return latent * _per_channel(self.latent_std) + _per_channel(self.latent_mean)

    def latents_of(self, video: Tensor) -> Tensor:
        """Return the normalised latents, float32 `[B, z, t, h, w]`, of `video [B, 3, T, H, W]` of any size."""
        return torch.cat(list(self.encode_stream([video])), dim=2)

    def video_of(self, latent: Tensor, size: Size | None = None) -> Tensor:
        """Return the video, float32 `[B, 3, T, H, W]`, of normalised latents; see `decode` for `size`."""
        return torch.cat(list(self.decode_stream([latent], size)), dim=2)

    @torch.no_grad()
    def encode_stream(self, chunks: Iterable[Tensor], pixels_at_once: int = PIXELS_AT_ONCE) -> Iterator[Tensor]:
        """Yield the normalised latents of a clip whose frames come in `chunks [B, 3, n, H, W]` of any n.

        In one chunk here, whatever its length; `VAE` does it in bounded memory.
        """
        video = torch.cat(list(chunks), dim=2).to(self.latent_mean.device)
        yield self.normalise(self.encode(video)[0])

    @torch.no_grad()
    def decode_stream(
        self, chunks: Iterable[Tensor], size: Size | None = None, pixels_at_once: int = PIXELS_AT_ONCE
    ) -> Iterator[Tensor]:
        """Yield the video `[B, 3, n, H, W]`, in chunks of some n, of normalised latents that come in chunks.

        In one chunk here, whatever its length; `VAE` does it in bounded memory.
        """
        latent = torch.cat(list(chunks), dim=2).to(self.latent_mean.device)
        yield self.decode(self.denormalise(latent), size)

    def loop_of(self, latent: Tensor) -> Tensor:
        """Return the video `[B, 3, t * temporal, H, W]` of normalised latents whose first follows their last.

        No latent of a loop is that of a first frame: each makes `temporal` frames. Rotating the latents by one rotates
        the video by `temporal` frames.

        Raises:
            KinoraError: if this kind of autoencoder cannot; `VAE` can.
        """
        raise KinoraError(f"an autoencoder of kind '{self.config.kind}' cannot decode a loop; use one of kind 'vae'.")

    def for_inference(self) -> Self:
        """Prepare for use without training: on `device()`, in `compute_dtype()`; latents stay float32."""
        self.to(device()).eval().requires_grad_(False)
        for parameter in self.parameters():  # and not the buffers, the latents' mean and deviation
            parameter.data = parameter.data.to(compute_dtype())
        return self

    def save(self, folder: str | Path) -> None:
        """Write `model.safetensors` and `config.json` into `folder`."""
        save_model(folder, self, self.config)

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read what `save` wrote, ready for use on the CPU.

        Raises:
            KinoraError: if the folder holds no autoencoder.
        """
        return load_model(folder, cls, cls.Config, "autoencoder")


# The module and the class of every kind; imported when it is asked for.
AUTOENCODERS: dict[str, tuple[str, str]] = {
    "vae": ("kinora.models.vae", "VAE"),
    "hf": ("kinora.models.hf_autoencoder", "HFAutoencoder"),
}


def load_autoencoder(folder: str | Path) -> Autoencoder:
    """Read an autoencoder of any kind, ready for use on the CPU.

    Raises:
        KinoraError: if the folder holds none, or one of a kind that is not in `AUTOENCODERS`.
    """
    config = Path(folder) / "config.json"
    if not config.is_file():
        raise KinoraError(f"{folder} holds no autoencoder; train one with 'kinora train autoencoder'.")
    kind = read_json(config).get("model", {}).get("kind")
    if kind not in AUTOENCODERS:
        raise KinoraError(f"{config} is of no known kind of autoencoder ({kind}); known: {', '.join(AUTOENCODERS)}.")
    module, name = AUTOENCODERS[kind]
    found: type[Autoencoder] = getattr(import_module(module), name)
    return found.load(folder)


def pad_to_grid(video: Tensor, config: AutoencoderConfig, starts: bool = True) -> Tensor:
    """Repeat the last frame, row and column of `video [B, 3, T, H, W]` until it is on the grid.

    `starts` says whether it begins with a first frame, as it does unless it goes on with a stream.

    Raises:
        KinoraError: if the clip has no frames or no pixels.
    """
    frames, height, width = video.shape[2:]
    if min(frames, height, width) < 1:
        raise KinoraError(f"A clip of {frames} frames of {width}x{height} cannot be encoded; give some.")
    missing = (-width % config.spatial, -height % config.spatial, (starts - frames) % config.temporal)
    if not any(missing):
        return video
    return F.pad(video, [side for after in missing for side in (0, after)], mode="replicate")


def crop(video: Tensor, size: Size | None) -> Tensor:
    """Return the first frames, rows and columns of `video [B, 3, T, H, W]`, as many as `size` says; all if None."""
    if size is None:
        return video
    frames, height, width = size
    return video[:, :, :frames, :height, :width]


def _per_channel(values: Tensor) -> Tensor:
    return values[:, None, None, None]
