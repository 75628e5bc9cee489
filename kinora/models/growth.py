"""A wider and deeper transformer that begins as the function of a smaller one (Net2Net, arXiv:1511.05641).

Every feature, head and hidden unit is repeated k times, and what reads the copies weighs each 1/k. Layer normalisation
of repeated features is the repeated normalisation, and heads keep their size, so that nothing else changes. Blocks that
are new come last and add nothing: the matrices that end them are zero. A little noise keeps the copies from staying
alike, since copies that are equal have equal gradients.
"""

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from kinora.errors import UsageError
from kinora.models.dit import PARTS, DiT, DiTConfig
from kinora.models.text_encoder import TextEncoder

NOISE = 0.02  # of the spread of a matrix's weights, added to a matrix whose copies would learn alike
STACKED = {"modulation": PARTS + 2, "qkv": 3, "kv": 2}  # layers whose output is several vectors, one after another
ENDS = ("out.weight", "down.weight")  # of a block: what it adds to the tokens goes through them


def check_growth(small: DiTConfig, large: DiTConfig) -> None:
    """Raise UsageError if no larger transformer of that shape can begin as the smaller one."""
    times = large.width // small.width
    crossing, others = (
        tuple(block for block in config.cross_attention_blocks if block < small.depth) for config in (small, large)
    )
    grown = replace(
        small,
        width=times * small.width,
        heads=times * small.heads,
        depth=max(small.depth, large.depth),
        cross_attention_blocks=large.cross_attention_blocks,
    )
    if grown != large or crossing != others:
        raise UsageError(
            f"a transformer of {large.depth} blocks of width {large.width} with {large.heads} heads cannot begin as "
            f"one of {small.depth} blocks of width {small.width} with {small.heads}; give a multiple of its width and "
            "the same multiple of its heads, as many blocks or more, and all else the same."
        )


@torch.no_grad()
def learn_words(small: Mapping[str, Tensor], large: TextEncoder) -> None:
    """Give `large` the weights of a text encoder whose vocabulary its own begins with; the vectors of new words stay.

    Args:
        small: its state dict.
        large: a text encoder of the same shape, but for the words.
    """
    for name, weight in large.state_dict().items():
        weight[: len(small[name])].copy_(small[name])


@torch.no_grad()
def grow(small: Mapping[str, Tensor], large: DiT, generator: torch.Generator) -> None:
    """Give `large` the weights of a smaller transformer, whose shape `check_growth` accepts.

    Args:
        small: its state dict.
        large: the transformer that is to compute nearly the same function.
        generator: for the noise, of which a transformer of the same shape needs none.
    """
    for name, weight in large.state_dict().items():
        if name not in small:
            if name.endswith(ENDS):
                weight.zero_()
            continue
        one = small[name].to(weight.dtype)
        if one.shape == weight.shape:
            weight.copy_(one)
            continue
        weight.copy_(_repeated(name, one, weight.shape))
        if weight.ndim == 2:
            weight.add_(NOISE * weight.std() * torch.randn(weight.shape, generator=generator))


def _repeated(name: str, weight: Tensor, shape: torch.Size) -> Tensor:
    """Return a weight whose outputs are repeated to `shape`, within each of its stacked vectors, and its inputs."""
    layer, kind = name.split(".")[-2:]
    times = [large // small for large, small in zip(shape, weight.shape, strict=True)]
    if kind == "modulation_table":  # of vectors, that are added to others
        return weight.repeat(times)
    vectors = torch.unflatten(weight, 0, (STACKED.get(layer, 1), -1))
    repeated = vectors.repeat(1, *times).flatten(0, 1)
    return repeated if weight.ndim == 1 else repeated / times[1]
