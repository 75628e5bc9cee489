"""The network: residual blocks at the resolution of the latents and at finer ones, beside a linear path.

A clip is cut into cells of a few frames, rows and columns, whose pixels become channels (space-to-depth), so that no
convolution works at the resolution of pixels, which is what makes others slow. Between levels the same is done again,
with a shortcut that needs no weights: the mean over groups of channels on the way down, channels repeated on the way
up ("Deep Compression Autoencoder", arXiv:2410.10733, section 3.2). Beside all levels, one linear map leads from blocks
of pixels to latents and one back: it begins as principal component analysis, and the rest learns what is missing.

The network looks back in time only, and the first frame is a cell of its own, so that the latent of an image is the
first latent of every video that starts with it ("Language Model Beats Diffusion", arXiv:2310.05737, section 3.1).
Normalisation is over channels only: statistics over space or time would make a stream, or a tile, another function.

Each network takes `past`, the frames that its time convolutions remember from the part of the stream before, and
returns it anew; None where nothing was before.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kinora.models.autoencoder import PIXELS_AT_ONCE, Autoencoder, Size
from kinora.models.vae import streaming
from kinora.models.vae.config import Level, VAEConfig, block_values, cells
from kinora.models.vae.pca import principal_components
from kinora.models.vae.rearrange import from_depth, to_depth

Past = Sequence[Tensor | None]
EPSILON = 2.0**-23  # float32's; PyTorch would take that of the tensor's own type, which in bfloat16 is 2^-7


class Block(nn.Module):
    """A residual block factorised over space (3x3 convolution) and time (this frame of cells and the one before)."""

    def __init__(self, width: int):
        super().__init__()
        self.space = nn.Linear(9 * width, width)  # a 3x3 convolution, its weight kept as a matrix for the optimizer
        self.time = nn.Linear(2 * width, width)
        self.out = nn.Linear(width, width)
        nn.init.zeros_(self.out.weight)  # the block begins as the identity
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Tensor, last: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return `x [B, t, h, w, C]` after the block, and the frame `[B, 1, h, w, C]` that the next part needs."""
        y = normalise(x)
        y = F.silu(convolve_frames(self.space, y))
        before = torch.cat([torch.zeros_like(y[:, :1]) if last is None else last, y[:, :-1]], dim=1)
        last = y[:, -1:].clone()  # a view would keep all of y
        y = F.silu(self.time(torch.cat([before, y], dim=-1)))
        return torch.add(x, self.out(y)), last


class Down(nn.Module):
    """From a level to the next coarser one."""

    def __init__(self, fine: Level, coarse: Level):
        super().__init__()
        self.temporal, self.spatial = coarse.temporal // fine.temporal, coarse.spatial // fine.spatial
        self.width = coarse.width
        self.proj = nn.Linear(fine.width * cells(fine, coarse), coarse.width)

    def forward(self, x: Tensor, starts: bool) -> Tensor:
        """Return cells `[B, t, h, w, C]` of the coarser level."""
        x = to_depth(x, self.temporal, self.spatial, starts)
        return torch.add(torch.unflatten(x, -1, (self.width, -1)).mean(-1), self.proj(x))


class Up(nn.Module):
    """From a level to the next finer one."""

    def __init__(self, fine: Level, coarse: Level):
        super().__init__()
        self.temporal, self.spatial = coarse.temporal // fine.temporal, coarse.spatial // fine.spatial
        self.proj = nn.Linear(coarse.width, fine.width * cells(fine, coarse))

    def forward(self, x: Tensor, starts: bool) -> Tensor:
        """Return cells `[B, t, h, w, C]` of the finer level."""
        y = self.proj(x)
        y = torch.add(y, x.repeat_interleave(y.shape[-1] // x.shape[-1], dim=-1))
        return from_depth(y, self.temporal, self.spatial, starts)


class Encoder(nn.Module):
    """Pixels to the moments of latents."""

    def __init__(self, config: VAEConfig):
        super().__init__()
        self.levels, outputs = config.levels, 2 * config.latent_channels
        finest, coarsest = self.levels[0], self.levels[-1]
        self.linear = nn.Linear(config.block_values, outputs)
        self.stem = nn.Linear(block_values(finest.temporal, finest.spatial), finest.width)
        self.blocks = nn.ModuleList(Block(level.width) for level in self.levels for _ in range(level.encoder_blocks))
        self.head = nn.Linear(coarsest.width, outputs)
        self.downs = nn.ModuleList(Down(fine, coarse) for fine, coarse in pairwise(self.levels))
        nn.init.zeros_(self.head.weight)  # the network begins as its linear path
        nn.init.zeros_(self.head.bias)

    def forward(self, video: Tensor, past: Past | None = None, starts: bool = True) -> tuple[Tensor, list[Tensor]]:
        """Return moments `[B, t, h, w, 2z]` of `video [B, T, H, W, 3]`, channels last, and the new past."""
        finest, coarsest = self.levels[0], self.levels[-1]
        pixels = to_depth(video, finest.temporal, finest.spatial, starts)
        x = self.stem(pixels)
        remembered: list[Tensor] = []
        steps = zip(self.blocks, past or [None] * len(self.blocks), strict=True)
        for number, level in enumerate(self.levels):
            if number:
                x = self.downs[number - 1](x, starts)
            for _ in range(level.encoder_blocks):
                block, last = next(steps)
                x, last = block(x, last)
                remembered.append(last)
        if finest != coarsest:
            pixels = to_depth(video, coarsest.temporal, coarsest.spatial, starts)
        return torch.add(self.linear(pixels), self.head(normalise(x))), remembered


class Decoder(nn.Module):
    """Latents to pixels."""

    def __init__(self, config: VAEConfig):
        super().__init__()
        self.levels = config.levels
        finest, coarsest = self.levels[0], self.levels[-1]
        self.linear = nn.Linear(config.latent_channels, config.block_values)
        self.stem = nn.Linear(config.latent_channels, coarsest.width)
        self.blocks = nn.ModuleList(
            Block(level.width) for level in self.levels[::-1] for _ in range(level.decoder_blocks)
        )
        self.head = nn.Linear(finest.width, block_values(finest.temporal, finest.spatial))
        self.ups = nn.ModuleList(Up(fine, coarse) for fine, coarse in list(pairwise(self.levels))[::-1])
        nn.init.zeros_(self.head.weight)  # the network begins as its linear path
        nn.init.zeros_(self.head.bias)

    def forward(self, latent: Tensor, past: Past | None = None, starts: bool = True) -> tuple[Tensor, list[Tensor]]:
        """Return the video `[B, T, H, W, 3]` of `latent [B, t, h, w, z]`, channels last, and the new past."""
        finest, coarsest = self.levels[0], self.levels[-1]
        x = self.stem(latent)
        remembered: list[Tensor] = []
        steps = zip(self.blocks, past or [None] * len(self.blocks), strict=True)
        for number, level in enumerate(self.levels[::-1]):
            if number:
                x = self.ups[number - 1](x, starts)
            for _ in range(level.decoder_blocks):
                block, last = next(steps)
                x, last = block(x, last)
                remembered.append(last)
        pixels, straight = self.head(normalise(x)), self.linear(latent)
        if finest != coarsest:  # else both are cells of one size, and are added before they are put in their places
            pixels = from_depth(pixels, finest.temporal, finest.spatial, starts)
            return torch.add(from_depth(straight, coarsest.temporal, coarsest.spatial, starts), pixels), remembered
        return from_depth(torch.add(straight, pixels), finest.temporal, finest.spatial, starts), remembered


class VAE(Autoencoder):
    """A variational autoencoder (arXiv:1312.6114) of clips of any size and length."""

    Config = VAEConfig
    config: VAEConfig

    def __init__(self, config: VAEConfig):
        super().__init__(config)
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)

    def encode_moments(self, video: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log variance `[B, z, t, h, w]` of the latents of `video [B, 3, T, H, W]` on the grid."""
        moments, _ = self.encode_part(video)
        mean, log_variance = moments.chunk(2, dim=1)
        return mean, log_variance.clamp(-12, 4)

    def decode_pixels(self, latent: Tensor) -> Tensor:
        """Return the video `[B, 3, T, H, W]` on the grid of latents `[B, z, t, h, w]`."""
        return self.decode_part(latent)[0]

    def encode_part(self, video: Tensor, past: Past | None = None, starts: bool = True) -> tuple[Tensor, list[Tensor]]:
        """Return the moments `[B, 2z, t, h, w]` of a part of a stream and the new past."""
        moments, remembered = self.encoder(video.movedim(1, -1).to(self.encoder.stem.weight.dtype), past, starts)
        return moments.movedim(-1, 1), remembered

    def decode_part(self, latent: Tensor, past: Past | None = None, starts: bool = True) -> tuple[Tensor, list[Tensor]]:
        """Return the video `[B, 3, T, H, W]` of a part of a stream of latents and the new past."""
        video, remembered = self.decoder(latent.movedim(1, -1).to(self.decoder.stem.weight.dtype), past, starts)
        return video.movedim(-1, 1), remembered

    def encode_stream(self, chunks: Iterable[Tensor], pixels_at_once: int = PIXELS_AT_ONCE) -> Iterator[Tensor]:
        """Yield the normalised latents of a clip whose frames come in `chunks [B, 3, n, H, W]` of any n.

        Bounded memory: no more than about `pixels_at_once` are worked on in one go, and the past of one latent frame is
        kept. The latents are those of the whole clip at once, up to rounding.
        """
        return streaming.encode(self, chunks, pixels_at_once)

    def decode_stream(
        self, chunks: Iterable[Tensor], size: Size | None = None, pixels_at_once: int = PIXELS_AT_ONCE
    ) -> Iterator[Tensor]:
        """Yield the video `[B, 3, n, H, W]`, in chunks of some n, of normalised latents that come in chunks.

        Bounded as `encode_stream` is. The video is that of all latents at once, up to rounding.
        """
        return streaming.decode(self, chunks, size, pixels_at_once)

    def loop_of(self, latent: Tensor, pixels_at_once: int = PIXELS_AT_ONCE) -> Tensor:
        """Return the video `[B, 3, t * temporal, H, W]` of normalised latents whose first follows their last."""
        return streaming.decode_loop(self, latent, pixels_at_once)

    @torch.no_grad()
    def initialise_from_pca(self, blocks: Tensor, deviation: float = 0.1) -> None:
        """Set the linear paths to the best linear autoencoder of `blocks [N, D]`, with latents of unit variance.

        Training then begins from principal component analysis, not from noise. The encoder's standard deviation
        begins at `deviation`.
        """
        z = self.config.latent_channels
        centre, axes, scale = principal_components(blocks, z)  # [D], [D, z], [z]
        self.encoder.linear.weight.zero_()
        self.encoder.linear.weight[:z] = axes.T / scale[:, None]
        self.encoder.linear.bias[:z] = -(axes.T @ centre) / scale
        self.encoder.linear.bias[z:] = 2 * torch.tensor(deviation).log()
        self.decoder.linear.weight.copy_(axes * scale)
        self.decoder.linear.bias.copy_(centre)


def normalise(x: Tensor) -> Tensor:
    """Divide the channels of `x [B, t, h, w, C]` by their root mean square (arXiv:1910.07467)."""
    return F.rms_norm(x, x.shape[-1:], eps=EPSILON)


def convolve_frames(kernel: nn.Linear, x: Tensor) -> Tensor:
    """Apply the 3x3 convolution whose weight is `kernel.weight [C, 3*3*C]` to every frame of `x [B, t, h, w, C]`."""
    weight = torch.unflatten(kernel.weight, 1, (3, 3, -1)).permute(0, 3, 1, 2)  # channels-last in memory, as x is
    y = F.conv2d(x.flatten(0, 1).permute(0, 3, 1, 2), weight, kernel.bias, padding=1)  # [B*t, C, h, w]
    return torch.unflatten(y.permute(0, 2, 3, 1), 0, x.shape[:2])
