"""The diffusion transformer over packed spacetime patches (DiT, https://arxiv.org/abs/2212.09748).

Axes: N tokens of all segments together (with a `SequenceShard`, this rank's), D values of a token, S segments, F latent
frames of all segments, R = F + S rows of conditions (of every latent frame, and of the given tokens of every segment),
W width, H heads, K values of a head, M words. Segments see only themselves and their own text. The network computes in
the type of its weights, whatever the tokens come in; times, positions and the condition that is made of them are
computed in float32.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from kinora.data.packing import Layout
from kinora.models.attention import VarlenMetadata, needs_flex, varlen_attention, word_metadata
from kinora.models.embeddings import geometric_frequencies, sinusoidal_embedding
from kinora.models.modulation import Rows, gated_add, modulate
from kinora.models.rotary import POSITION_FEATURES, apply_rotary, position_features, rotary_embedding
from kinora.models.sequence_parallel import SequenceShard
from kinora.models.text_encoder import Text

TIME_FREQUENCIES = 64
PARTS = 6  # shift, scale and gate of attention, and of the MLP


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


Words = tuple[Tensor, Tensor]  # keys and values of captions in one block, `[S * M, H, K]` each


@dataclass(frozen=True)
class Place:
    """Where this rank's tokens stand, the same for every block and every step of sampling.

    rows: each token's row of the conditions.
    rotation: rotary cosines and sines.
    segments: which tokens of the whole pack see each other; `count` is their number.
    words: which words this rank's tokens see.
    shard: this rank's part of the pack, None where it computes all of it.
    """

    rows: Rows
    rotation: tuple[Tensor, Tensor]
    segments: VarlenMetadata
    count: int
    words: VarlenMetadata
    shard: SequenceShard | None


@dataclass(frozen=True)
class Context:
    """What a pack is estimated from besides its noisy tokens and their times."""

    place: Place
    position_NW: Tensor
    text_RW: Tensor
    words: tuple[Words | None, ...]  # of each block


class DiT(nn.Module):
    """Noisy tokens, times and text in; an estimate of the clean tokens out."""

    def __init__(self, config: DiTConfig):
        super().__init__()
        self.config = config
        w = config.width
        self.patch_embedding = nn.Linear(config.token_dim, w)
        self.position_embedding = Float32Linear(POSITION_FEATURES, w)
        self.time_embedding = nn.Sequential(Float32Linear(TIME_FREQUENCIES, w), nn.SiLU(), Float32Linear(w, w))
        self.text_projection = Float32Linear(config.text_width, w)
        # One projection for all blocks, and a table of each: adaLN-single, section 2.3 of arXiv:2310.00426.
        self.modulation = Float32Linear(w, (PARTS + 2) * w)
        self.blocks = nn.ModuleList(
            Block(config, cross_attends=n in config.cross_attention_blocks) for n in range(config.depth)
        )
        self.head = nn.Linear(w, config.token_dim)
        self.checkpointed = False
        self._initialise()

    def _initialise(self) -> None:
        """Start every block as the identity and the output at zero (adaLN-zero), so that early steps are calm.

        Here the gates are zero because the shared projection and the tables are.
        """
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        outputs = [module.out for module in self.modules() if isinstance(module, CrossAttention)]
        for zeroed in (*outputs, self.modulation, self.head):
            nn.init.zeros_(zeroed.weight)

    def compile_blocks(self) -> None:
        """Compile every block with `torch.compile`: once for the first pack's layout, once more for any other.

        All blocks have one code, whose compilations PyTorch counts together; gradients and none are two more of each.
        """
        torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, 8 * len(self.blocks))
        for block in self.blocks:
            block.compile(fullgraph=True)

    def checkpoint_blocks(self) -> None:
        """Keep only the inputs of every block for backward, which computes the rest again."""
        self.checkpointed = True

    def forward(
        self,
        tokens_ND: Tensor,
        layout: Layout,
        times_R: Tensor,
        conditioning_mask_N: Tensor,
        text: Text,
        shard: SequenceShard | None = None,
    ) -> Tensor:
        """Estimate the clean tokens `[N, D]`, or this rank's rows of them.

        Args:
            tokens_ND: all tokens of the pack, each at the time of its row of conditions.
            layout: the packed layout.
            times_R: times of the conditions, 0 (clean) to 1 (noise), see `Layout.condition_times`: of every latent
                frame, then of the given tokens of every segment, which are clean or a little noisy.
            conditioning_mask_N: bool, the given tokens, which the rest is generated from.
            text: the encoded caption of each segment.
            shard: the rank's part, where several ranks share the pack; the estimate is of `shard.rows(N)`.

        Raises:
            UsageError: if the heads cannot be shared by the ranks of `shard`.
        """
        return self.estimate(tokens_ND, times_R, self.context(layout, conditioning_mask_N, text, shard))

    def context(
        self, layout: Layout, conditioning_mask_N: Tensor, text: Text, shard: SequenceShard | None = None
    ) -> Context:
        """Compute what does not depend on noise and time; the arguments are those of `forward`."""
        count, rows = len(layout.segments), len(layout.frame_segments) + len(layout.grids)
        if shard is not None:
            shard.check(self.config.heads)
        own = slice(0, count) if shard is None else shard.rows(count)
        dtype, device = self.patch_embedding.weight.dtype, layout.positions.device
        cu_seq, longest = layout.cu_seq, layout.longest
        row_N = layout.condition_rows(conditioning_mask_N)[own]
        words = word_metadata((cu_seq.clamp(own.start, own.stop) - own.start), longest, text.mask)
        pack = VarlenMetadata(cu_seq, cu_seq, longest, longest)
        if needs_flex(device, dtype, self.config.width // self.config.heads):
            pack = pack.with_block_mask(count, count)
            words = words.with_block_mask(own.stop - own.start, text.mask.numel())
        positions = layout.positions[own]
        condition_segments = torch.cat([layout.frame_segments, torch.arange(len(layout.grids), device=device)])
        crossings = [block.cross_attention for block in self.blocks]
        rotation = rotary_embedding(positions, self.config.width // self.config.heads)
        return Context(
            Place(Rows.of(row_N, rows, dtype), rotation, pack, count, words, shard),
            self.position_embedding(position_features(positions)),
            self.text_projection(text.pooled)[condition_segments],
            tuple(cross.keys_values(text) if isinstance(cross, CrossAttention) else None for cross in crossings),
        )

    def estimate(self, tokens_ND: Tensor, times_R: Tensor, context: Context) -> Tensor:
        """Estimate the clean tokens in a context; the arguments are those of `forward`."""
        place = context.place
        if place.shard is not None:
            tokens_ND = tokens_ND[place.shard.rows(place.count)]
        dtype = self.patch_embedding.weight.dtype
        x_NW = (self.patch_embedding(tokens_ND.to(dtype)) + context.position_NW).to(dtype)
        modulation_R8W = self.modulation(self.condition(times_R, context.text_RW)).unflatten(1, (PARTS + 2, -1))
        for block, words in zip(self.blocks, context.words, strict=True):
            arguments = (x_NW, modulation_R8W[:, :PARTS], place, words)
            x_NW = checkpoint(block, *arguments, use_reentrant=False) if self.checkpointed else block(*arguments)
        shift, scale = modulation_R8W[:, PARTS:].to(dtype).unbind(1)
        clean_ND: Tensor = self.head(modulate(x_NW, shift, 1 + scale, place.rows))
        return clean_ND

    def condition(self, times_R: Tensor, text_RW: Tensor) -> Tensor:
        """Return the conditions `[R, W]` of times and sentences."""
        frequencies = geometric_frequencies(TIME_FREQUENCIES // 2, 10_000.0, times_R.device)
        return F.silu(self.time_embedding(sinusoidal_embedding(1000 * times_R, frequencies)) + text_RW)


class Block(nn.Module):
    """Self-attention within a segment, in some blocks cross-attention to its words, an MLP; modulated by adaLN-zero."""

    def __init__(self, config: DiTConfig, cross_attends: bool):
        super().__init__()
        w = config.width
        self.heads = config.heads
        self.modulation_table = nn.Parameter(torch.zeros(PARTS, w))
        self.qkv, self.out = nn.Linear(w, 3 * w), nn.Linear(w, w)
        self.qk_norm = nn.LayerNorm(w // self.heads, bias=False)
        self.cross_attention = CrossAttention(config) if cross_attends else None
        self.up, self.down = nn.Linear(w, config.mlp_ratio * w), nn.Linear(config.mlp_ratio * w, w)

    def forward(self, x_NW: Tensor, modulation_R6W: Tensor, place: Place, words: Words | None) -> Tensor:
        """Return the tokens after the block, `[N, W]`; `words` are the captions' keys and values in this block."""
        rows = place.rows
        parts = (modulation_R6W + self.modulation_table).to(x_NW.dtype).unbind(1)
        shift1, scale1, gate1, shift2, scale2, gate2 = parts  # [R, W] each
        attended = self.self_attention(modulate(x_NW, shift1, 1 + scale1, rows), place)
        x_NW = gated_add(x_NW, attended, gate1, rows)
        if self.cross_attention is not None and words is not None:
            x_NW = x_NW + self.cross_attention(x_NW, words, place.words)
        hidden = F.gelu(self.up(modulate(x_NW, shift2, 1 + scale2, rows)))
        return gated_add(x_NW, self.down(hidden), gate2, rows)

    def self_attention(self, x_NW: Tensor, place: Place) -> Tensor:
        """Let every token attend to the tokens of its own segment."""
        qkv = self.qkv(x_NW).unflatten(1, (3 * self.heads, -1))  # [N, 3 H, K]
        qk, v = qkv.split([2 * self.heads, self.heads], dim=1)
        # Normalised queries and keys keep attention bounded at high learning rates (arXiv:2302.05442, section 2).
        q, k = apply_rotary(self.qk_norm(qk), place.rotation).to(v.dtype).chunk(2, dim=1)  # [N, H, K]
        if place.shard is None:
            attended_NHK = varlen_attention(q, k, v, place.segments)
        else:
            q, k, v = (place.shard.scatter_heads(side, place.count) for side in (q, k, v))
            attended_NHK = place.shard.gather_heads(varlen_attention(q, k, v, place.segments))
        attended_NW: Tensor = self.out(attended_NHK.flatten(1))
        return attended_NW


class CrossAttention(nn.Module):
    """Attention of every token to the words of its own segment's text."""

    def __init__(self, config: DiTConfig):
        super().__init__()
        w = config.width
        self.heads = config.heads
        self.norm = nn.LayerNorm(w)
        self.q, self.kv, self.out = nn.Linear(w, w), nn.Linear(config.text_width, 2 * w), nn.Linear(w, w)

    def keys_values(self, text: Text) -> Words:
        """Return the keys and values of all words and padding, `[S * M, H, K]` each."""
        words = text.words.to(self.kv.weight.dtype).flatten(0, 1)
        k, v = self.kv(words).unflatten(1, (2 * self.heads, -1)).chunk(2, dim=1)
        return k, v

    def forward(self, x_NW: Tensor, words: Words, metadata: VarlenMetadata) -> Tensor:
        """Return what the tokens attended to, `[N, W]`."""
        q = self.q(self.norm(x_NW)).unflatten(1, (self.heads, -1))
        attended_NW: Tensor = self.out(varlen_attention(q, *words, metadata).flatten(1))
        return attended_NW


class Float32Linear(nn.Linear):
    """A linear layer of times, positions and conditions: sines and their sums keep float32 in a bfloat16 model."""

    def forward(self, x: Tensor) -> Tensor:
        """Return `[..., out]` in float32, also under autocast."""
        with torch.autocast(x.device.type, enabled=False):
            return F.linear(x.float(), self.weight.float(), self.bias.float())
