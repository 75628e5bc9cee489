"""The diffusion transformer over packed spacetime patches (DiT, https://arxiv.org/abs/2212.09748).

Axes: N tokens of all segments together, D values of a token, S segments, W width, H heads, K values of a head,
M words. Segments see only themselves and their own text: attention runs over groups of segments of equal length, so
that nothing is padded and no dense mask is built, on CPU and GPU alike. The network computes in the type of its
weights: bfloat16 in training and sampling, three times as fast as float32 on a CPU that has AVX512-BF16.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kinora.data.packing import Layout
from kinora.models.text_encoder import Text, attention

TIME_FREQUENCIES = 64
PLACE_FREQUENCIES = 4


@dataclass(frozen=True)
class DiTConfig:
    """The shape of a transformer of `depth` blocks.

    Every block hears the whole sentence; only the blocks in `readers`, counted from 0, also attend to its words, which
    costs a quarter of a block.
    """

    latent_channels: int = 8
    patch: int = 2
    width: int = 128
    depth: int = 4
    heads: int = 4
    expansion: int = 4
    readers: tuple[int, ...] = (1,)
    text_width: int = 64

    @property
    def token(self) -> int:
        """Values of one token."""
        return self.latent_channels * self.patch**2


class DiT(nn.Module):
    """Noisy tokens, times and text in; an estimate of the clean tokens out."""

    def __init__(self, config: DiTConfig):
        super().__init__()
        self.config = config
        w = config.width
        self.embed = nn.Linear(config.token, w)
        self.place = nn.Linear(5 * 2 * PLACE_FREQUENCIES, w)
        self.time = nn.Sequential(nn.Linear(TIME_FREQUENCIES, w), nn.SiLU(), nn.Linear(w, w))
        self.sentence = nn.Linear(config.text_width, w)
        self.blocks = nn.ModuleList(Block(config, reads=n in config.readers) for n in range(config.depth))
        self.modulate = nn.Linear(w, 2 * w)
        self.head = nn.Linear(w, config.token)
        self._initialise()

    def _initialise(self) -> None:
        """Start every block as the identity and the output at zero (adaLN-zero), so that early steps are calm."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        blocks = [module for module in self.modules() if isinstance(module, Block)]
        readers = [block.reading for block in blocks if block.reading is not None]
        for silent in (*(b.modulate for b in blocks), *(r.out for r in readers), self.modulate, self.head):
            nn.init.zeros_(silent.weight)

    def forward(self, tokens_ND: Tensor, layout: Layout, times_S: Tensor, given_N: Tensor, text: Text) -> Tensor:
        """Estimate the clean tokens `[N, D]`.

        Args:
            tokens_ND: tokens at their segment's time, or clean where given.
            layout: the packed layout.
            times_S: time of each segment, 0 (clean) to 1 (noise).
            given_N: bool; given tokens are clean and are treated as at time 0.
            text: the encoded caption of each segment.
        """
        kind = self.embed.weight.dtype
        rows_N = layout.segments + len(times_S) * given_N  # conditions 0..S-1 are for noisy tokens, S..2S-1 for given
        times = torch.cat([times_S, torch.zeros_like(times_S)])
        condition = self.time(waves(1000 * times, TIME_FREQUENCIES).to(kind)) + self.sentence(text.pooled).repeat(2, 1)
        condition = F.silu(condition)  # [2S, W]
        x_NW = self.embed(tokens_ND.to(kind)) + self.place(place_features(layout.positions).to(kind))
        rotation = rotary(layout.positions, self.config.width // self.config.heads)
        for block in self.blocks:
            x_NW = block(x_NW, condition, rows_N, layout, rotation, text)
        shift, scale = spread(self.modulate(condition), rows_N, 2)
        return self.head(modulated(x_NW, shift, scale))  # [N, D]


class Block(nn.Module):
    """Attention within a segment, in some blocks attention to the segment's words, and a step for each token."""

    def __init__(self, config: DiTConfig, reads: bool):
        super().__init__()
        w = config.width
        self.heads = config.heads
        self.modulate = nn.Linear(w, 6 * w)
        self.qkv, self.out = nn.Linear(w, 3 * w), nn.Linear(w, w)
        self.qk_norm = nn.LayerNorm(w // self.heads, bias=False)
        self.reading = Reading(config) if reads else None
        self.up, self.down = nn.Linear(w, config.expansion * w), nn.Linear(config.expansion * w, w)

    def forward(
        self, x_NW: Tensor, condition: Tensor, rows_N: Tensor, layout: Layout, rotation: Tensor, text: Text
    ) -> Tensor:
        """Return the tokens after the block, `[N, W]`."""
        shift1, scale1, gate1, shift2, scale2, gate2 = spread(self.modulate(condition), rows_N, 6)
        x_NW = torch.addcmul(x_NW, gate1, self.attend(modulated(x_NW, shift1, scale1), layout, rotation))
        if self.reading is not None:
            x_NW = x_NW + self.reading(x_NW, layout, text)
        return torch.addcmul(x_NW, gate2, self.down(F.gelu(self.up(modulated(x_NW, shift2, scale2)))))

    def attend(self, x_NW: Tensor, layout: Layout, rotation: Tensor) -> Tensor:
        """Let every token see the tokens of its own segment."""
        n, w = x_NW.shape
        qk, v = self.qkv(x_NW).split([2 * w, w], dim=1)
        # Normalised queries and keys keep attention bounded at high learning rates (arXiv:2302.05442, section 2).
        q, k = rotate(self.qk_norm(qk.view(n, 2 * self.heads, -1)), rotation).chunk(2, dim=1)  # [N, H, K]
        sides = [by_segment(side, layout) for side in (q, k, v.view(n, self.heads, -1))]
        return self.out(ungroup([attention(*side) for side in zip(*sides, strict=True)]))


class Reading(nn.Module):
    """Attention of every token to the words of its own segment's text."""

    def __init__(self, config: DiTConfig):
        super().__init__()
        w = config.width
        self.heads = config.heads
        self.norm = nn.LayerNorm(w)
        self.look, self.words, self.out = nn.Linear(w, w), nn.Linear(config.text_width, 2 * w), nn.Linear(w, w)

    def forward(self, x_NW: Tensor, layout: Layout, text: Text) -> Tensor:
        """Return what the tokens read, `[N, W]`."""
        s, m, _ = text.words.shape
        q = by_segment(self.look(self.norm(x_NW)).view(len(x_NW), self.heads, -1), layout)
        k, v = self.words(text.words).view(s, m, 2, self.heads, -1).permute(2, 0, 3, 1, 4)  # [S, H, M, K]
        mask = text.mask[:, None, None, :]
        rows = [group.segments for group in layout.groups]
        seen = [attention(q_group, k[row], v[row], mask[row]) for q_group, row in zip(q, rows, strict=True)]
        return self.out(ungroup(seen))


def by_segment(x_NHK: Tensor, layout: Layout) -> list[Tensor]:
    """Cut `[N, H, K]` into one `[segments, H, length, K]` for each group of segments of equal length."""
    heads = x_NHK.shape[1]
    pieces = x_NHK.split([group.count * group.length for group in layout.groups])
    return [
        piece.view(group.count, group.length, heads, -1).transpose(1, 2)
        for piece, group in zip(pieces, layout.groups, strict=True)
    ]


def ungroup(pieces: list[Tensor]) -> Tensor:
    """Undo `by_segment`, with heads side by side: `[N, W]`."""
    return torch.cat([piece.transpose(1, 2).flatten(2).flatten(0, 1) for piece in pieces])


def modulated(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """Normalise, then scale and shift by the condition: adaptive layer normalisation. `scale` includes its 1."""
    return torch.addcmul(shift, F.layer_norm(x, x.shape[-1:]), scale)


def spread(modulation: Tensor, rows_N: Tensor, parts: int) -> tuple[Tensor, ...]:
    """Cut a condition's modulation `[2S, parts*W]` into its parts and give every token its row of each.

    The parts come as shift, scale and, where there are three in a set, gate; 1 is added to the scales.
    """
    pieces = list(modulation.chunk(parts, dim=1))
    for scale in range(1, parts, 3):
        pieces[scale] = pieces[scale] + 1
    return tuple(piece.index_select(0, rows_N) for piece in pieces)


def waves(values: Tensor, count: int, longest: float = 10_000.0) -> Tensor:
    """Return `count` cosines and sines of each value at geometric frequencies, `[..., count]`."""
    frequencies = longest ** (-torch.arange(count // 2, device=values.device) / (count // 2))
    angles = values[..., None].float() * frequencies
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


def place_features(positions: Tensor) -> Tensor:
    """Return absolute place as Fourier features `[N, 5 * 2 * PLACE_FREQUENCIES]`: rotary angles are only relative."""
    octaves = math.pi / 16 * 2 ** torch.arange(PLACE_FREQUENCIES, device=positions.device)
    angles = positions[:, :, None] * octaves
    return torch.cat([angles.cos(), angles.sin()], dim=-1).flatten(1)


def rotary(positions: Tensor, head: int) -> Tensor:
    """Return unit complex numbers `[N, 1, K/2]`: rotary embedding of time, row and column (arXiv:2104.09864).

    A quarter of the pairs turn with time, the rest with rows and columns in equal parts.
    """
    pairs = head // 2
    for_time = pairs // 4
    for_row = (pairs - for_time) // 2
    angles = []
    for axis, count in enumerate((for_time, for_row, pairs - for_time - for_row)):
        # Grids here are small: the fastest pair turns one radian a patch, the slowest a hundredth.
        frequencies = 100.0 ** (-torch.arange(count, device=positions.device) / max(count, 1))
        angles.append(positions[:, axis, None] * frequencies)
    angle = torch.cat(angles, dim=1)[:, None]
    return torch.polar(torch.ones_like(angle), angle)


def rotate(x: Tensor, rotation: Tensor) -> Tensor:
    """Turn neighbouring values of queries or keys `[N, H, K]` by `rotation` `[N, 1, K/2]`; the result is float32."""
    pairs = torch.view_as_complex(x.float().unflatten(-1, (-1, 2)))
    return torch.view_as_real(pairs * rotation).flatten(-2)
