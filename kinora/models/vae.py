"""The video autoencoder: clips to a small latent volume and back, images and videos alike, causal in time.

Axes: B clips; T, H, W frames, rows and columns of pixels; t = 1 + (T - 1) / 4, h = H / 4, w = W / 4 those of latents;
z latent channels; D = 3 * 4 * 4 * 4 pixel values of one block; C width. Pixels are in [-1, 1].

A clip is cut into blocks of 4 frames x 4 x 4 pixels, and each block becomes one latent vector. The first frame is its
own block (repeated 4 times), and the network looks back in time only, so that the latent of an image is the first
latent of every video that starts with it ("Language Model Beats Diffusion", https://arxiv.org/abs/2310.05737, section
3.1).
Working on blocks (space-to-depth) keeps every convolution at latent resolution, which is what makes it quick on a CPU.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kinora.models.autoencoder import Autoencoder, AutoencoderConfig


@dataclass(frozen=True, kw_only=True)
class VAEConfig(AutoencoderConfig):
    """The shape of an autoencoder.

    `width` channels inside; `encoder_blocks` and `decoder_blocks` residual blocks; the rest as in `AutoencoderConfig`.
    """

    kind: str = "vae"
    latent_channels: int = 8
    spatial: int = 4
    temporal: int = 4
    width: int = 96
    encoder_blocks: int = 2
    decoder_blocks: int = 4

    @property
    def block_values(self) -> int:
        """Pixel values of one block."""
        return 3 * self.temporal * self.spatial**2


class Block(nn.Module):
    """A residual block factorised over space (3x3 convolution) and time (this latent frame and the one before)."""

    def __init__(self, width: int):
        super().__init__()
        self.space = nn.Linear(9 * width, width)  # a 3x3 convolution, its weight kept as a matrix for the optimizer
        self.time = nn.Linear(2 * width, width)
        self.out = nn.Linear(width, width)
        nn.init.zeros_(self.out.weight)  # the block begins as the identity
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Tensor) -> Tensor:  # [B, t, h, w, C]
        y = F.rms_norm(x, x.shape[-1:])  # over channels only: statistics over time would look ahead
        y = F.silu(convolve_frames(self.space, y))
        before = F.pad(y[:, :-1], (0, 0, 0, 0, 0, 0, 1, 0))  # zeros before the first frame
        y = F.silu(self.time(torch.cat([before, y], dim=-1)))
        return torch.add(x, self.out(y))


class ResidualNetwork(nn.Module):
    """A stem, residual blocks and a head, beside a straight linear path from input to output."""

    def __init__(self, inputs: int, width: int, outputs: int, blocks: int):
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)
        self.stem = nn.Linear(inputs, width)
        self.blocks = nn.ModuleList(Block(width) for _ in range(blocks))
        self.head = nn.Linear(width, outputs)
        nn.init.zeros_(self.head.weight)  # the network begins as its linear path
        nn.init.zeros_(self.head.bias)

    def forward(self, x: Tensor) -> Tensor:  # [B, t, h, w, inputs] -> [B, t, h, w, outputs]
        y = self.stem(x)
        for block in self.blocks:
            y = block(y)
        return torch.add(self.linear(x), self.head(F.rms_norm(y, y.shape[-1:])))


class VAE(Autoencoder):
    """A variational autoencoder (https://arxiv.org/abs/1312.6114) of clips of any size and length."""

    Config = VAEConfig
    config: VAEConfig

    def __init__(self, config: VAEConfig):
        super().__init__(config)
        values = config.block_values
        self.encoder = ResidualNetwork(values, config.width, 2 * config.latent_channels, config.encoder_blocks)
        self.decoder = ResidualNetwork(config.latent_channels, config.width, values, config.decoder_blocks)

    def encode_moments(self, video: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log variance `[B, z, t, h, w]` of the latents of `video [B, 3, T, H, W]` on the grid."""
        blocks = to_blocks(video, self.config).to(self.encoder.stem.weight.dtype)
        moments = self.encoder(blocks)  # [B, t, h, w, 2z]
        mean, log_variance = moments.movedim(-1, 1).chunk(2, dim=1)
        return mean, log_variance.clamp(-12, 4)

    def decode_pixels(self, latent: Tensor) -> Tensor:
        """Return the video `[B, 3, T, H, W]` on the grid of latents `[B, z, t, h, w]`."""
        latent = latent.to(self.decoder.stem.weight.dtype)
        return from_blocks(self.decoder(latent.movedim(1, -1)), self.config)

    @torch.no_grad()
    def initialise_from_pca(self, blocks: Tensor, deviation: float = 0.1) -> None:
        """Set the linear paths to the best linear autoencoder of `blocks [N, D]`, with latents of unit variance.

        Training then begins from principal component analysis, not from noise. The encoder's standard deviation
        begins at `deviation`.
        """
        z = self.config.latent_channels
        centre = blocks.mean(0)
        variance, axes = torch.linalg.eigh(torch.cov((blocks - centre).T))  # ascending
        scale = variance[-z:].flip(0).clamp_min(1e-6).sqrt()  # [z]
        axes = axes[:, -z:].flip(1)  # [D, z]
        self.encoder.linear.weight.zero_()
        self.encoder.linear.weight[:z] = axes.T / scale[:, None]
        self.encoder.linear.bias[:z] = -(axes.T @ centre) / scale
        self.encoder.linear.bias[z:] = 2 * torch.tensor(deviation).log()
        self.decoder.linear.weight.copy_(axes * scale)
        self.decoder.linear.bias.copy_(centre)


def to_blocks(video: Tensor, config: VAEConfig) -> Tensor:
    """Cut `video [B, 3, T, H, W]` into blocks `[B, t, h, w, D]`; the first frame, repeated, is a block of its own."""
    t, h, w = config.latent_shape(*video.shape[2:])
    k, s = config.temporal, config.spatial
    first = video[:, :, :1].expand(-1, -1, k, -1, -1)
    video = torch.cat([first, video[:, :, 1:]], dim=2)  # [B, 3, t*k, H, W]
    blocks = video.reshape(-1, 3, t, k, h, s, w, s).permute(0, 2, 4, 6, 1, 3, 5, 7)  # [B, t, h, w, 3, k, s, s]
    return blocks.reshape(-1, t, h, w, config.block_values)


def from_blocks(blocks: Tensor, config: VAEConfig) -> Tensor:
    """Undo `to_blocks`; the first frame is the mean of its repeats."""
    b, t, h, w, _ = blocks.shape
    k, s = config.temporal, config.spatial
    video = blocks.reshape(b, t, h, w, 3, k, s, s).permute(0, 4, 1, 5, 2, 6, 3, 7)  # [B, 3, t, k, h, s, w, s]
    video = video.reshape(b, 3, t * k, h * s, w * s)
    return torch.cat([video[:, :, :k].mean(2, keepdim=True), video[:, :, k:]], dim=2)


def convolve_frames(kernel: nn.Linear, x: Tensor) -> Tensor:
    """Apply the 3x3 convolution whose weight is `kernel.weight [C, 3*3*C]` to every frame of `x [B, t, h, w, C]`."""
    weight = torch.unflatten(kernel.weight, 1, (3, 3, -1)).permute(0, 3, 1, 2)  # channels-last in memory, as x is
    y = F.conv2d(x.flatten(0, 1).permute(0, 3, 1, 2), weight, kernel.bias, padding=1)  # [B*t, C, h, w]
    return torch.unflatten(y.permute(0, 2, 3, 1), 0, x.shape[:2])
