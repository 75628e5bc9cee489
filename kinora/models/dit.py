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
from kinora.models.embeddings import geometric_frequencies, sinusoidal_embedding
from kinora.models.text_encoder import Text, attention

TIME_FREQUENCIES = 64
POSITION_FREQUENCIES = 4


@dataclass(frozen=True)
class DiTConfig:
    """The shape of a transformer of `depth` blocks.

    Every block is modulated by the pooled sentence; only `cross_attention_blocks`, counted from 0, also attend to its
    words, which costs a quarter of a block.
    """

    latent_channels: int = 8
    patch_size: int = 2
    width: int = 128
    depth: int = 4
    heads: int = 4
    mlp_ratio: int = 4
    cross_attention_blocks: tuple[int, ...] = (1,)
    text_width: int = 64

    @property
    def token_dim(self) -> int:
        """Values of one token."""
        return self.latent_channels * self.patch_size**2


class DiT(nn.Module):
    """Noisy tokens, times and text in; an estimate of the clean tokens out."""

    def __init__(self, config: DiTConfig):
        super().__init__()
        self.config = config
        w = config.width
        self.patch_embedding = nn.Linear(config.token_dim, w)
        self.position_embedding = nn.Linear(5 * 2 * POSITION_FREQUENCIES, w)
        self.time_embedding = nn.Sequential(nn.Linear(TIME_FREQUENCIES, w), nn.SiLU(), nn.Linear(w, w))
        self.text_projection = nn.Linear(config.text_width, w)
        self.blocks = nn.ModuleList(
            Block(config, cross_attends=n in config.cross_attention_blocks) for n in range(config.depth)
        )
        self.modulation = nn.Linear(w, 2 * w)
        self.head = nn.Linear(w, config.token_dim)
        self._initialise()

    def _initialise(self) -> None:
        """Start every block as the identity and the output at zero (adaLN-zero), so that early steps are calm."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        blocks = [module for module in self.modules() if isinstance(module, Block)]
        cross_attentions = [block.cross_attention for block in blocks if block.cross_attention is not None]
        for zeroed in (*(b.modulation for b in blocks), *(c.out for c in cross_attentions), self.modulation, self.head):
            nn.init.zeros_(zeroed.weight)

    def forward(
        self, tokens_ND: Tensor, layout: Layout, times_S: Tensor, conditioning_mask_N: Tensor, text: Text
    ) -> Tensor:
        """Estimate the clean tokens `[N, D]`.

        Args:
            tokens_ND: tokens at their segment's time, or clean where the conditioning mask is set.
            layout: the packed layout.
            times_S: time of each segment, 0 (clean) to 1 (noise).
            conditioning_mask_N: bool; conditioning tokens are clean, which is time 0.
            text: the encoded caption of each segment.
        """
        dtype = self.patch_embedding.weight.dtype
        # Rows 0..S-1 are the conditions of noisy tokens, rows S..2S-1 those of conditioning tokens, at time 0.
        row_N = layout.segments + len(times_S) * conditioning_mask_N
        frequencies = geometric_frequencies(TIME_FREQUENCIES // 2, 10_000.0, times_S.device)
        time_2SF = sinusoidal_embedding(1000 * torch.cat([times_S, torch.zeros_like(times_S)]), frequencies)
        condition_2SW = self.time_embedding(time_2SF.to(dtype)) + self.text_projection(text.pooled).repeat(2, 1)
        condition_2SW = F.silu(condition_2SW)
        position_NF = position_features(layout.positions).to(dtype)
        x_NW = self.patch_embedding(tokens_ND.to(dtype)) + self.position_embedding(position_NF)
        rotation = rotary_embedding(layout.positions, self.config.width // self.config.heads)
        for block in self.blocks:
            x_NW = block(x_NW, condition_2SW, row_N, layout, rotation, text)
        shift, scale = modulation_parameters(self.modulation(condition_2SW), row_N, 2)
        clean_ND: Tensor = self.head(modulate(x_NW, shift, scale))
        return clean_ND


class Block(nn.Module):
    """Self-attention within a segment, in some blocks cross-attention to its words, an MLP; modulated by adaLN-zero."""

    def __init__(self, config: DiTConfig, cross_attends: bool):
        super().__init__()
        w = config.width
        self.heads = config.heads
        self.modulation = nn.Linear(w, 6 * w)
        self.qkv, self.out = nn.Linear(w, 3 * w), nn.Linear(w, w)
        self.qk_norm = nn.LayerNorm(w // self.heads, bias=False)
        self.cross_attention = CrossAttention(config) if cross_attends else None
        self.up, self.down = nn.Linear(w, config.mlp_ratio * w), nn.Linear(config.mlp_ratio * w, w)

    def forward(
        self, x_NW: Tensor, condition_2SW: Tensor, row_N: Tensor, layout: Layout, rotation: Tensor, text: Text
    ) -> Tensor:
        """Return the tokens after the block, `[N, W]`."""
        shift1, scale1, gate1, shift2, scale2, gate2 = modulation_parameters(self.modulation(condition_2SW), row_N, 6)
        x_NW = torch.addcmul(x_NW, gate1, self.self_attention(modulate(x_NW, shift1, scale1), layout, rotation))
        if self.cross_attention is not None:
            x_NW = x_NW + self.cross_attention(x_NW, layout, text)
        return torch.addcmul(x_NW, gate2, self.down(F.gelu(self.up(modulate(x_NW, shift2, scale2)))))

    def self_attention(self, x_NW: Tensor, layout: Layout, rotation: Tensor) -> Tensor:
        """Let every token attend to the tokens of its own segment."""
        n, w = x_NW.shape
        qk, v = self.qkv(x_NW).split([2 * w, w], dim=1)
        # Normalised queries and keys keep attention bounded at high learning rates (arXiv:2302.05442, section 2).
        q, k = apply_rotary(self.qk_norm(qk.view(n, 2 * self.heads, -1)), rotation).chunk(2, dim=1)  # [N, H, K]
        qkv = [group_segments(part, layout) for part in (q, k, v.view(n, self.heads, -1))]
        attended_NW: Tensor = self.out(ungroup_segments([attention(*group) for group in zip(*qkv, strict=True)]))
        return attended_NW


class CrossAttention(nn.Module):
    """Attention of every token to the words of its own segment's text."""

    def __init__(self, config: DiTConfig):
        super().__init__()
        w = config.width
        self.heads = config.heads
        self.norm = nn.LayerNorm(w)
        self.q, self.kv, self.out = nn.Linear(w, w), nn.Linear(config.text_width, 2 * w), nn.Linear(w, w)

    def forward(self, x_NW: Tensor, layout: Layout, text: Text) -> Tensor:
        """Return what the tokens attended to, `[N, W]`."""
        s, m, _ = text.words.shape
        q = group_segments(self.q(self.norm(x_NW)).view(len(x_NW), self.heads, -1), layout)
        k, v = self.kv(text.words).view(s, m, 2, self.heads, -1).permute(2, 0, 3, 1, 4)  # [S, H, M, K]
        mask = text.mask[:, None, None, :]
        rows = [group.segments for group in layout.groups]
        attended = [attention(q_group, k[row], v[row], mask[row]) for q_group, row in zip(q, rows, strict=True)]
        attended_NW: Tensor = self.out(ungroup_segments(attended))
        return attended_NW


def group_segments(x_NHK: Tensor, layout: Layout) -> list[Tensor]:
    """Cut `[N, H, K]` into one `[segments, H, length, K]` for each group of segments of equal length."""
    heads = x_NHK.shape[1]
    pieces = torch.split(x_NHK, [group.count * group.length for group in layout.groups])
    return [
        piece.view(group.count, group.length, heads, -1).transpose(1, 2)
        for piece, group in zip(pieces, layout.groups, strict=True)
    ]


def ungroup_segments(pieces: list[Tensor]) -> Tensor:
    """Undo `group_segments`, with heads side by side: `[N, W]`."""
    return torch.cat([piece.transpose(1, 2).flatten(2).flatten(0, 1) for piece in pieces])


def modulate(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """Normalise, then scale and shift by the condition: adaptive layer normalisation. `scale` includes its 1."""
    return torch.addcmul(shift, F.layer_norm(x, x.shape[-1:]), scale)


def modulation_parameters(modulation: Tensor, row_N: Tensor, parts: int) -> tuple[Tensor, ...]:
    """Cut a condition's modulation `[2S, parts*W]` into its parts and give every token its row of each.

    The parts come as shift, scale and, where there are three in a set, gate; 1 is added to the scales.
    """
    pieces = list(modulation.chunk(parts, dim=1))
    for scale in range(1, parts, 3):
        pieces[scale] = pieces[scale] + 1
    return tuple(piece.index_select(0, row_N) for piece in pieces)


def position_features(positions: Tensor) -> Tensor:
    """Return absolute positions as Fourier features `[N, 5 * 2 * POSITION_FREQUENCIES]`; rotary angles are relative."""
    octaves = math.pi / 16 * 2 ** torch.arange(POSITION_FREQUENCIES, device=positions.device)
    return sinusoidal_embedding(positions, octaves).flatten(1)


def rotary_embedding(positions: Tensor, head: int) -> Tensor:
    """Return unit complex numbers `[N, 1, K/2]`: rotary embedding of time, row and column (arXiv:2104.09864).

    A quarter of the pairs turn with time, the rest with rows and columns in equal parts.
    """
    pairs = head // 2
    for_time = pairs // 4
    for_row = (pairs - for_time) // 2
    angles = []
    for axis, count in enumerate((for_time, for_row, pairs - for_time - for_row)):
        # Grids here are small: the fastest pair turns one radian a patch, the slowest a hundredth.
        angles.append(positions[:, axis, None] * geometric_frequencies(count, 100.0, positions.device))
    angle = torch.cat(angles, dim=1)[:, None]
    return torch.polar(torch.ones_like(angle), angle)


def apply_rotary(x: Tensor, rotation: Tensor) -> Tensor:
    """Turn neighbouring values of queries or keys `[N, H, K]` by `rotation` `[N, 1, K/2]`; the result is float32."""
    pairs = torch.view_as_complex(torch.unflatten(x.float(), -1, (-1, 2)))
    return torch.view_as_real(pairs * rotation).flatten(-2)
