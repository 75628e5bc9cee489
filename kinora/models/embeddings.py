"""Sinusoidal embeddings of times, durations and positions."""

import torch
from torch import Tensor


def sinusoidal_embedding(values: Tensor, frequencies: Tensor) -> Tensor:
    """Return cosines, then sines, `[..., 2 F]` of values `[...]` at `frequencies [F]` in radians a unit of the values.

    "Attention Is All You Need", https://arxiv.org/abs/1706.03762, section 3.5.
    """
    angles = values[..., None].float() * frequencies
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


def geometric_frequencies(count: int, base: float, device: torch.device) -> Tensor:
    """Return `base ** (-k / count)` for k = 0 ... count - 1: frequencies from 1 down to almost 1 / base."""
    return base ** (-torch.arange(count, device=device) / max(count, 1))
