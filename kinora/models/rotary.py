"""Positions of patches: rotary angles for attention, and Fourier features of the absolute place. In real numbers."""

import math
from typing import Any

import torch
from torch import Tensor

from kinora.data.packing import COORDINATES
from kinora.models.embeddings import geometric_frequencies, sinusoidal_embedding

POSITION_FREQUENCIES = 4
POSITION_FEATURES = COORDINATES * 2 * POSITION_FREQUENCIES


def position_features(positions: Tensor) -> Tensor:
    """Return absolute positions as Fourier features `[N, POSITION_FEATURES]`; rotary angles are relative."""
    octaves = math.pi / 16 * 2 ** torch.arange(POSITION_FREQUENCIES, device=positions.device)
    return sinusoidal_embedding(positions, octaves).flatten(1)


def rotary_embedding(positions: Tensor, head: int) -> tuple[Tensor, Tensor]:
    """Return cosines and sines `[N, 1, K/2]`: rotary embedding of time, row and column (arXiv:2104.09864).

    A quarter of the pairs turn with time, the rest with rows and columns in equal parts.
    """
    pairs = head // 2
    for_time = pairs // 4
    for_row = (pairs - for_time) // 2
    angles = []
    for axis, count in enumerate((for_time, for_row, pairs - for_time - for_row)):
        # The fastest pair turns one radian in an eighth of the shorter side or half a second, the slowest a hundredth.
        angles.append(positions[:, axis, None] * geometric_frequencies(count, 100.0, positions.device))
    angle = torch.cat(angles, dim=1)[:, None]
    return angle.cos(), angle.sin()


def apply_rotary(x_NHK: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
    """Turn queries or keys by `rotation`, in float32: value k of the first half of a head pairs with k of the second.

    (a + ib)(cos + i sin), where the halves are a and b: GPT-NeoX's pairing, whose halves lie side by side in memory.
    """
    out: Tensor = _Rotate.apply(x_NHK.float(), *rotation)  # type: ignore[no-untyped-call]
    return out


class _Rotate(torch.autograd.Function):
    """A rotation, whose gradient is the rotation back."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.save_for_backward(cos, sin)
        return _rotate(x, cos, sin)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        cos, sin = ctx.saved_tensors
        return _rotate(grad, cos, -sin), None, None


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    a, b = x.chunk(2, dim=-1)
    return torch.cat([torch.addcmul(a * cos, b, sin, value=-1), torch.addcmul(a * sin, b, cos)], dim=-1)
