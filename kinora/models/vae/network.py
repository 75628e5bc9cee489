"""The network: residual blocks at the resolution of the latents and at finer ones, beside a linear path.

A clip is cut into cells of a few frames, rows and columns, whose pixels become channels (space-to-depth), so that no
convolution works at the resolution of pixels, which is what makes others slow. Between levels the same is done again,
with a shortcut that needs no weights: the mean over groups of channels on the way down, channels repeated on the way
up ("Deep Compression Autoencoder", arXiv:2410.10733, section 3.2). Beside all levels, one linear map leads from blocks
of pixels to latents and one back: it begins as principal component analysis, and the rest learns what is missing.

The network looks back in time only, and the first frame is a cell of its own, so that the latent of an image is the
first latent of every video that starts with it ("Language Model Beats Diffusion", arXiv:2310.05737, section 3.1).
Normalisation is over channels only: statistics over space or time would make a stream, or a tile, another function.

Each network takes `past`: for every block, the frame that its time convolution remembers from the part of the stream
before, or None where nothing was before. It is brought up to date in place, so that only one of each is kept.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kinora.models.autoencoder import PIXELS_AT_ONCE, Autoencoder, Size
from kinora.models.vae import streaming
from kinora.models.vae.config import Level, VAEConfig, block_values, cells
from kinora.models.vae.pca import principal_components
from kinora.models.vae.rearrange import from_depth, to_depth

Past = list[Tensor | None]
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
        newest = y[:, -1:].clone()  # a view would keep all of y
        y = F.silu(self.time(torch.cat([delayed(y, last), y], dim=-1)))
        return torch.add(x, self.out(y)), newest


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


class Levels(nn.Module):
    """The residual blocks of all levels in the order they are passed through, and what leads from each to the next."""

    def __init__(self, widths: Sequence[int], counts: Sequence[int], between: Iterable[nn.Module]):
        super().__init__()
        self.counts = counts  # blocks of each level
        self.blocks = nn.ModuleList(
            Block(width) for width, count in zip(widths, counts, strict=True) for _ in range(count)
        )
        self.between = nn.ModuleList(between)

    def forward(self, x: Tensor, past: Past | None, starts: bool) -> Tensor:
        """Return cells `[B, t, h, w, C]` of the last level."""
        past = [None] * len(self.blocks) if past is None else past
        blocks = enumerate(self.blocks)
        for number, count in enumerate(self.counts):
            if number:
                x = self.between[number - 1](x, starts)
            for index, block in islice(blocks, count):
                x, past[index] = block(x, past[index])
        return x


class Encoder(nn.Module):
    """Pixels to the moments of latents."""

    def __init__(self, config: VAEConfig):
        super().__init__()
        levels, outputs = config.levels, 2 * config.latent_channels
        self.finest, self.coarsest = levels[0], levels[-1]
        self.linear = nn.Linear(config.block_values, outputs)
        self.stem = nn.Linear(block_values(self.finest.temporal, self.finest.spatial), self.finest.width)
        self.levels = Levels(
            [level.width for level in levels],
            [level.encoder_blocks for level in levels],
            (Down(fine, coarse) for fine, coarse in pairwise(levels)),
        )
        self.head = nn.Linear(self.coarsest.width, outputs)
        nn.init.zeros_(self.head.weight)  # the network begins as its linear path
        nn.init.zeros_(self.head.bias)

    def forward(self, video: Tensor, past: Past | None = None, starts: bool = True) -> Tensor:
        """Return moments `[B, t, h, w, 2z]` of `video [B, T, H, W, 3]`, channels last."""
        pixels = to_depth(video, self.finest.temporal, self.finest.spatial, starts)
        x = self.levels(self.stem(pixels), past, starts)
        if self.finest != self.coarsest:
            pixels = to_depth(video, self.coarsest.temporal, self.coarsest.spatial, starts)
        return torch.add(self.linear(pixels), self.head(normalise(x)))


class Decoder(nn.Module):
    """Latents to pixels."""

    def __init__(self, config: VAEConfig):
        super().__init__()
        levels = config.levels[::-1]
        self.coarsest, self.finest = levels[0], levels[-1]
        self.linear = nn.Linear(config.latent_channels, config.block_values)
        self.stem = nn.Linear(config.latent_channels, self.coarsest.width)
        self.levels = Levels(
            [level.width for level in levels],
            [level.decoder_blocks for level in levels],
            (Up(fine, coarse) for coarse, fine in pairwise(levels)),
        )
        self.head = nn.Linear(self.finest.width, block_values(self.finest.temporal, self.finest.spatial))
        nn.init.zeros_(self.head.weight)  # the network begins as its linear path
        nn.init.zeros_(self.head.bias)

    def forward(self, latent: Tensor, past: Past | None = None, starts: bool = True) -> Tensor:
        """Return the video `[B, T, H, W, 3]` of `latent [B, t, h, w, z]`, channels last."""
        x = self.levels(self.stem(latent), past, starts)
        pixels, straight = self.head(normalise(x)), self.linear(latent)
        if self.finest == self.coarsest:  # cells of one size can be added before they are put in their places
            return from_depth(torch.add(straight, pixels), self.finest.temporal, self.finest.spatial, starts)
        pixels = from_depth(pixels, self.finest.temporal, self.finest.spatial, starts)
        straight = from_depth(straight, self.coarsest.temporal, self.coarsest.spatial, starts)
        return torch.add(straight, pixels)


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
        mean, log_variance = self.encode_part(video).chunk(2, dim=1)
        return mean, log_variance.clamp(-12, 4)

    def decode_pixels(self, latent: Tensor) -> Tensor:
        """Return the video `[B, 3, T, H, W]` on the grid of latents `[B, z, t, h, w]`."""
        return self.decode_part(latent)

    def encode_part(self, video: Tensor, past: Past | None = None, starts: bool = True) -> Tensor:
        """Return the moments `[B, 2z, t, h, w]` of a part of a stream; `starts` if it is the first."""
        video = video.movedim(1, -1).to(self.encoder.stem.weight.dtype)
        moments: Tensor = self.encoder(video, past, starts)
        return moments.movedim(-1, 1)

    def decode_part(self, latent: Tensor, past: Past | None = None, starts: bool = True) -> Tensor:
        """Return the video `[B, 3, T, H, W]` of a part of a stream of latents; `starts` if it is the first."""
        latent = latent.movedim(1, -1).to(self.decoder.stem.weight.dtype)
        video: Tensor = self.decoder(latent, past, starts)
        return video.movedim(-1, 1)

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


def delayed(x: Tensor, last: Tensor | None) -> Tensor:
    """Return `x [B, t, h, w, C]` a frame later: first the `last [B, 1, h, w, C]` before it, zeros if None."""
    return torch.cat([torch.zeros_like(x[:, :1]) if last is None else last, x[:, :-1]], dim=1)


def normalise(x: Tensor) -> Tensor:
    """Divide the channels of `x [B, t, h, w, C]` by their root mean square (arXiv:1910.07467)."""
    return F.rms_norm(x, x.shape[-1:], eps=EPSILON)


def convolve_frames(kernel: nn.Linear, x: Tensor) -> Tensor:
    """Apply the 3x3 convolution whose weight is `kernel.weight [C, 3*3*C]` to every frame of `x [B, t, h, w, C]`."""
    weight = torch.unflatten(kernel.weight, 1, (3, 3, -1)).permute(0, 3, 1, 2)  # channels-last in memory, as x is
    y = F.conv2d(x.flatten(0, 1).permute(0, 3, 1, 2), weight, kernel.bias, padding=1)  # [B*t, C, h, w]
    return torch.unflatten(y.permute(0, 2, 3, 1), 0, x.shape[:2])
