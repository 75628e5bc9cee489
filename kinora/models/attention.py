"""Attention over packed sequences: queries of segment s see the keys of segment s, and nothing is padded.

Axes: N queries and T keys of all segments together, S segments, H heads, K values of a head, M words of a caption.
Three kernels compute the same function of `[N, H, K]`, `[T, H, K]` and a `VarlenMetadata`:

- on a CPU, PyTorch's flash attention once for every run of segments of equal length (in bfloat16, backward is plain
  products of matrices, where the scores are few enough to be held);
- on CUDA in bfloat16 or float16, flash attention for variable lengths (`torch.nn.attention.varlen`);
- on CUDA otherwise (float32, an older GPU, an odd head), FlexAttention with a mask of blocks.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import groupby
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, flex_attention
from torch.nn.attention.varlen import varlen_attn

FLEX_BLOCK = 128  # queries and keys of one block of FlexAttention's mask
SCORES = 2**20  # most that backward holds of a segment's head; of more, flash attention holds a part at a time


@dataclass(frozen=True)
class VarlenMetadata:
    """Where segments begin among queries and keys (torchtitan's name); made once a pack, for all blocks.

    cu_seq_q, cu_seq_k: `int32 [S + 1]`, the first query and key of each segment, and their number at the end.
    max_q, max_k: the longest segment's, or more.
    block_mask: what FlexAttention may see; None where another kernel computes.
    """

    cu_seq_q: Tensor
    cu_seq_k: Tensor
    max_q: int
    max_k: int
    block_mask: BlockMask | None = None

    def with_block_mask(self, queries: int, keys: int) -> "VarlenMetadata":
        """Return the metadata as FlexAttention takes it, for so many queries and keys."""
        return replace(self, block_mask=segment_block_mask(self.cu_seq_q, self.cu_seq_k, queries, keys))


def word_metadata(cu_seq: Tensor, longest: int, mask_SM: Tensor) -> VarlenMetadata:
    """Return which words `[S * M]` the tokens of each segment see, padding left in its place.

    Padding is made a segment of its own after each segment's words, which no token belongs to: so words need not be
    packed, and the device need not tell the host how many there are.

    Args:
        cu_seq: the first token of each segment, `int32 [S + 1]`.
        longest: tokens of the longest segment.
        mask_SM: which places hold words; they stand before the padding.
    """
    s, m = mask_SM.shape
    first = m * torch.arange(s, device=mask_SM.device)
    words = mask_SM.sum(1).clamp_min(1)  # a sentence without words sees one padding, rather than nothing
    cu_seq_k = torch.cat([torch.stack([first, first + words], 1).flatten(), first.new_full((1,), s * m)])
    cu_seq_q = torch.cat([cu_seq[:1], cu_seq[1:].repeat_interleave(2)])
    return VarlenMetadata(cu_seq_q, cu_seq_k.int(), longest, m)


def needs_flex(device: torch.device, dtype: torch.dtype, head: int) -> bool:
    """Return whether flash attention for variable lengths cannot compute heads of this many values here."""
    if device.type != "cuda":
        return False
    flash = torch.backends.cuda.is_flash_attention_available() and torch.cuda.get_device_capability(device) >= (8, 0)
    return not flash or dtype not in (torch.bfloat16, torch.float16) or head % 8 != 0 or head > 256


def varlen_attention(q_NHK: Tensor, k_THK: Tensor, v_THK: Tensor, metadata: VarlenMetadata) -> Tensor:
    """Let queries attend to the keys of their own segment; return `[N, H, K]` in the type of `v`."""
    q_NHK, k_THK = q_NHK.to(v_THK.dtype), k_THK.to(v_THK.dtype)
    if metadata.block_mask is not None:
        sides = (x.transpose(0, 1)[None] for x in (q_NHK, k_THK, v_THK))  # [1, H, N or T, K]
        attended: Tensor = _flex()(*sides, block_mask=metadata.block_mask)[0].transpose(0, 1)
        return attended
    cu_seq_q, cu_seq_k = metadata.cu_seq_q, metadata.cu_seq_k
    if q_NHK.device.type == "cpu":
        on_cpu: Tensor = grouped_attention(q_NHK, k_THK, v_THK, cu_seq_q, cu_seq_k)[0]
        return on_cpu
    return varlen_attn(q_NHK, k_THK, v_THK, cu_seq_q, cu_seq_k, metadata.max_q, metadata.max_k)  # type: ignore[return-value]


@cache
def _flex() -> Any:
    return torch.compile(flex_attention, dynamic=True)


def segment_block_mask(cu_seq_q: Tensor, cu_seq_k: Tensor, queries: int, keys: int) -> BlockMask:
    """Return FlexAttention's mask of equal segments, without ever making the dense mask of queries and keys."""
    segment_N = _segments(cu_seq_q, queries)
    segment_T = _segments(cu_seq_k, keys)
    first_q, last_q, whole_q = _blocks(segment_N)
    first_k, last_k, whole_k = _blocks(segment_T)
    seen = (first_q[:, None] <= last_k) & (last_q[:, None] >= first_k)  # [blocks of queries, blocks of keys]
    one = (first_q == last_q)[:, None] & (first_k == last_k) & (first_q[:, None] == first_k)
    full = one & whole_q[:, None] & whole_k

    def same_segment(batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        return segment_N[query] == segment_T[key]

    return BlockMask.from_kv_blocks(
        *_ordered(seen & ~full), *_ordered(full), FLEX_BLOCK, same_segment, seq_lengths=(queries, keys)
    )


def _segments(cu_seq: Tensor, count: int) -> Tensor:
    places = torch.arange(count, device=cu_seq.device, dtype=cu_seq.dtype)
    return torch.searchsorted(cu_seq[1:].contiguous(), places, right=True)


def _blocks(segment: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the first and last segment of every block, and whether the block is a whole one."""
    starts = torch.arange(0, len(segment), FLEX_BLOCK, device=segment.device)
    ends = starts + FLEX_BLOCK
    return segment[starts], segment[ends.clamp_max(len(segment)) - 1], ends <= len(segment)


def _ordered(blocks: Tensor) -> tuple[Tensor, Tensor]:
    """Return how many blocks of keys each block of queries has, and their places, those first."""
    places = torch.argsort(blocks.int(), dim=1, descending=True, stable=True)
    return blocks.sum(1, dtype=torch.int32)[None, None], places.int()[None, None]


# One operator, so that torch.compile sees neither the groups, which differ from pack to pack, nor a graph break.
@torch.library.custom_op("kinora::grouped_attention", mutates_args=())
def grouped_attention(q: Tensor, k: Tensor, v: Tensor, cu_seq_q: Tensor, cu_seq_k: Tensor) -> tuple[Tensor, Tensor]:
    """Return attention `[N, H, K]` on a CPU and the logarithms of its sums, `[N, H]`."""
    out, sums = torch.empty(q.shape, dtype=v.dtype), torch.empty(q.shape[:2], dtype=_exact(q.dtype))
    for group in _groups(cu_seq_q, cu_seq_k):
        one, logarithms = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
            group.queries(q), group.keys(k), group.keys(v), attn_mask=group.mask(q.dtype)
        )
        out[group.tokens].view(group.count, group.length, *q.shape[1:]).copy_(one.transpose(1, 2))
        sums[group.tokens].view(group.count, group.length, -1).copy_(logarithms.transpose(1, 2))
    return out, sums


@torch.library.custom_op("kinora::grouped_attention_backward", mutates_args=())
def grouped_attention_backward(
    grad: Tensor, q: Tensor, k: Tensor, v: Tensor, out: Tensor, sums: Tensor, cu_seq_q: Tensor, cu_seq_k: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of queries, keys and values."""
    exact = _exact(q.dtype)
    grad_q = torch.empty(q.shape, dtype=exact)
    grad_k, grad_v = torch.zeros(k.shape, dtype=exact), torch.zeros(v.shape, dtype=exact)
    for group in _groups(cu_seq_q, cu_seq_k):
        own_grad, own_q, own_k, own_v = group.queries(grad), group.queries(q), group.keys(k), group.keys(v)
        if q.dtype is torch.bfloat16 and group.length * max(group.key_lengths) <= SCORES:
            grads = _gradients_of_products(own_grad, own_q, own_k, own_v, group.mask(q.dtype))
        else:
            sides = (side.to(exact) for side in (own_grad, own_q, own_k, own_v, group.queries(out)))
            logarithms = sums[group.tokens].view(group.count, group.length, -1).transpose(1, 2)
            grads = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward(
                *sides, logarithms, 0.0, False, attn_mask=group.mask(exact)
            )
        grad_q[group.tokens].view(group.count, group.length, *q.shape[1:]).copy_(grads[0].transpose(1, 2))
        group.add_keys(grad_k, grads[1])
        group.add_keys(grad_v, grads[2])
    return grad_q.to(q.dtype), grad_k.to(k.dtype), grad_v.to(v.dtype)


def _gradients_of_products(
    grad: Tensor, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of queries, keys and values, all `[count, H, length, K]`, by products of whole matrices.

    In bfloat16 they take a third of the time of flash attention's backward in either type.
    """
    grad, k, v, scaled = (side.contiguous() for side in (grad, k, v, q * q.shape[-1] ** -0.5))
    scores = scaled @ k.transpose(-1, -2)
    weights = torch.softmax(scores if mask is None else scores + mask, dim=-1)
    grad_scores = torch._softmax_backward_data(grad @ v.transpose(-1, -2), weights, -1, weights.dtype)
    grad_q = grad_scores @ k * q.shape[-1] ** -0.5
    return grad_q, grad_scores.transpose(-1, -2) @ scaled, weights.transpose(-1, -2) @ grad


def _exact(dtype: torch.dtype) -> torch.dtype:
    """Return the type in which sums over what is attended to are held."""
    return torch.float64 if dtype is torch.float64 else torch.float32


@dataclass(frozen=True)
class _Group:
    """Neighbouring segments of equally many queries."""

    start: int
    count: int
    length: int
    first_keys: tuple[int, ...]
    key_lengths: tuple[int, ...]

    @property
    def tokens(self) -> slice:
        return slice(self.start, self.start + self.count * self.length)

    def queries(self, x: Tensor) -> Tensor:
        """Return the group's `[count, H, length, K]` of `[N, H, K]`."""
        return torch.unflatten(x[self.tokens], 0, (self.count, self.length)).transpose(1, 2)

    def keys(self, x: Tensor) -> Tensor:
        """Return the group's `[count, H, longest, K]` of `[T, H, K]`; what is padded, `mask` hides."""
        if self.is_even:
            own = torch.unflatten(x[self.first_keys[0] :][: self.count * self.key_lengths[0]], 0, (self.count, -1))
        else:
            own = x[self.places()]
        return own.transpose(1, 2)

    def add_keys(self, total: Tensor, own: Tensor) -> None:
        """Add gradients `[count, H, longest, K]` to those of all keys `[T, H, K]`."""
        own = own.transpose(1, 2)
        if self.is_even:
            size = self.count * self.key_lengths[0]
            torch.unflatten(total[self.first_keys[0] :][:size], 0, (self.count, -1)).add_(own)
        else:
            total.index_add_(0, self.places().flatten(), own.flatten(0, 1).to(total.dtype))

    def mask(self, dtype: torch.dtype) -> Tensor | None:
        """Return what is added to the scores, `[count, 1, 1, longest]`: minus infinity at padding."""
        if self.is_even:
            return None
        longest, lengths = max(self.key_lengths), torch.tensor(self.key_lengths)
        hidden = torch.arange(longest) >= lengths[:, None]
        return torch.zeros(hidden.shape, dtype=dtype).masked_fill(hidden, float("-inf"))[:, None, None]

    @property
    def is_even(self) -> bool:
        """Whether the keys are as many for every segment, and side by side."""
        length = self.key_lengths[0]
        return all(own == length for own in self.key_lengths) and all(
            first == self.first_keys[0] + n * length for n, first in enumerate(self.first_keys)
        )

    def places(self) -> Tensor:
        """Return the places of the keys `[count, longest]`; after a segment's last one it is repeated."""
        first, lengths = torch.tensor(self.first_keys)[:, None], torch.tensor(self.key_lengths)[:, None]
        return first + torch.arange(max(self.key_lengths)).minimum(lengths - 1)


def _groups(cu_seq_q: Tensor, cu_seq_k: Tensor) -> Iterator[_Group]:
    ends_q, ends_k = cu_seq_q.tolist(), cu_seq_k.tolist()
    segments = [
        (q, next_q - q, k, next_k - k)
        for q, next_q, k, next_k in zip(ends_q, ends_q[1:], ends_k, ends_k[1:], strict=False)
        if next_q > q
    ]
    for length, members in groupby(segments, key=lambda segment: segment[1]):
        starts, _, first_keys, key_lengths = zip(*members, strict=True)
        yield _Group(starts[0], len(starts), length, first_keys, key_lengths)


@grouped_attention.register_fake
def _(q: Tensor, k: Tensor, v: Tensor, cu_seq_q: Tensor, cu_seq_k: Tensor) -> tuple[Tensor, Tensor]:
    return torch.empty(q.shape, dtype=v.dtype, device=q.device), q.new_empty(q.shape[:2], dtype=_exact(q.dtype))


@grouped_attention_backward.register_fake
def _(
    grad: Tensor, q: Tensor, k: Tensor, v: Tensor, out: Tensor, sums: Tensor, cu_seq_q: Tensor, cu_seq_k: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    return q.new_empty(q.shape), k.new_empty(k.shape), v.new_empty(v.shape)


def _save(ctx: Any, inputs: tuple[Tensor, ...], output: tuple[Tensor, Tensor]) -> None:
    q, k, v, cu_seq_q, cu_seq_k = inputs
    ctx.save_for_backward(q, k, v, *output, cu_seq_q, cu_seq_k)


def _backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
    return (*grouped_attention_backward(grad, *ctx.saved_tensors), None, None)


grouped_attention.register_autograd(_backward, setup_context=_save)
