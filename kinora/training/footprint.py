"""What a step of training keeps and computes: read from the network itself, run without memory on fake tensors."""

import contextlib
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

from kinora.data.packing import Segment, layout_of
from kinora.diffusion.loss import velocity_loss
from kinora.models.dit import DiT, DiTConfig
from kinora.models.text_encoder import Text, TextEncoderConfig

RATE = 4.0  # latent frames a second of the clips: any would do


@dataclass(frozen=True)
class Footprint:
    """What the transformer's forward pass over one pack leaves behind.

    tokens: of the pack.
    blocks: bytes that each block keeps for backward.
    rest: bytes that all else keeps: embeddings, conditions, head, loss.
    flops: operations of the forward pass (a multiplication and an addition are two), attention's squared term included.
    """

    tokens: int
    blocks: tuple[int, ...]
    rest: int
    flops: float

    def activations(self, config: DiTConfig, value_bytes: int, checkpointed: bool) -> float:
        """Return the bytes kept for backward; checkpointed, the inputs of all blocks and what one of them keeps."""
        if not checkpointed:
            return self.rest + sum(self.blocks)
        return self.rest + max(self.blocks) + config.depth * self.tokens * config.width * value_bytes


@cache
def footprint(
    config: DiTConfig,
    text: TextEncoderConfig,
    grids: tuple[tuple[int, int, int], ...],
    dtype: torch.dtype,
    *,
    fake: bool = True,
) -> Footprint:
    """Run the transformer and its loss over segments of patch `grids` with weights of `dtype`, and see what is kept.

    With `fake` tensors nothing is computed and no memory taken, whatever the size.
    """
    layout = layout_of([Segment(grid, RATE) for grid in grids])
    segments, kept = len(grids), _Kept()
    counter = FlopCounterMode(display=False)
    with FakeTensorMode(allow_non_fake_inputs=True) if fake else contextlib.nullcontext():
        model = _of_type(config, dtype)
        blocks: list[int] = []
        for block in model.blocks:
            block.register_forward_pre_hook(lambda *_: blocks.append(-kept.bytes(model)))
            block.register_forward_hook(lambda *_: blocks.append(blocks.pop() + kept.bytes(model)))
        words = Text(
            torch.zeros(segments, text.max_words, config.text_width, dtype=dtype),
            torch.ones(segments, text.max_words, dtype=torch.bool),
            torch.zeros(segments, config.text_width, dtype=dtype),
        )
        clean = torch.randn(len(layout.segments), config.token_dim)
        times = layout.condition_times(torch.rand(segments))
        conditioning = torch.zeros(len(clean), dtype=torch.bool)
        with torch.autograd.graph.saved_tensors_hooks(kept.pack, lambda tensor: tensor), counter:
            estimate = model(clean, layout, times, conditioning, words)
            velocity_loss(estimate, clean, times[layout.condition_rows(conditioning)], conditioning)
        total = kept.bytes(model)
    lengths = [t * rows * columns for t, rows, columns in grids]
    # Scores and sums of values, 2 operations for each of a head's values, of all heads: 4 W for a pair.
    pairs = config.depth * sum(length**2 for length in lengths)
    pairs += len(config.cross_attention_blocks) * sum(lengths) * text.max_words
    flops = counter.get_total_flops() + 4 * config.width * pairs
    return Footprint(sum(lengths), tuple(blocks), total - sum(blocks), flops)


class _Kept:
    """The memory of tensors that autograd keeps, each piece counted once."""

    def __init__(self) -> None:
        self.tensors: dict[int, Tensor] = {}

    def pack(self, tensor: Tensor) -> Tensor:
        self.tensors[tensor.untyped_storage()._cdata] = tensor
        return tensor

    def bytes(self, model: nn.Module) -> int:
        own = {parameter.untyped_storage()._cdata for parameter in model.parameters()}
        return sum(t.untyped_storage().nbytes() for key, t in self.tensors.items() if key not in own)


def _of_type(config: DiTConfig, dtype: torch.dtype) -> DiT:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)  # fake weights cannot be converted afterwards
    try:
        return DiT(config)
    finally:
        torch.set_default_dtype(before)
