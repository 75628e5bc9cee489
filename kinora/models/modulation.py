"""Adaptive layer normalisation: a token is scaled, shifted and gated by its row of a table of conditions.

Axes: N tokens, W width, R rows. Tokens take their row by number, and backward takes it again: no `[N, W]` copy of a
table is kept, whether a row serves a whole clip or one token.
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

EPS = 1e-5


@dataclass(frozen=True)
class Rows:
    """Each token's row of the tables: `index [N]`, and on an accelerator the same as `one_hot [N, R]`."""

    index: Tensor
    one_hot: Tensor | None

    @classmethod
    def of(cls, index: Tensor, count: int, dtype: torch.dtype) -> "Rows":
        """Return rows by number, below `count`; `dtype` is the type of the tokens."""
        # Adding by number is quickest on a CPU; on a GPU thousands of additions would meet in one place, in any order.
        return cls(index, None if index.device.type == "cpu" else F.one_hot(index, count).to(dtype))


def modulate(x_NW: Tensor, shift_RW: Tensor, scale_RW: Tensor, rows: Rows) -> Tensor:
    """Normalise, then scale and shift by the condition: layer_norm(x) * scale + shift. `scale` includes its 1."""
    out: Tensor = _Modulate.apply(x_NW, shift_RW, scale_RW, rows.index, rows.one_hot)  # type: ignore[no-untyped-call]
    return out


def gated_add(x_NW: Tensor, update_NW: Tensor, gate_RW: Tensor, rows: Rows) -> Tensor:
    """Return x + gate * update."""
    out: Tensor = _GatedAdd.apply(x_NW, update_NW, gate_RW, rows.index, rows.one_hot)  # type: ignore[no-untyped-call]
    return out


class _Modulate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, shift: Tensor, scale: Tensor, index: Tensor, one_hot: Tensor | None) -> Tensor:
        normal, mean, rstd = torch.native_layer_norm(x, x.shape[-1:], None, None, EPS)
        ctx.save_for_backward(x, mean, rstd, scale, index, one_hot)
        return torch.addcmul(shift.index_select(0, index), normal, scale.index_select(0, index))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, mean, rstd, scale, index, one_hot = ctx.saved_tensors
        normal, _, _ = torch.native_layer_norm(x, x.shape[-1:], None, None, EPS)
        grad_x, _, _ = torch.ops.aten.native_layer_norm_backward(
            grad * scale.index_select(0, index), x, x.shape[-1:], mean, rstd, None, None, [True, False, False]
        )
        total = len(scale)
        return (
            grad_x,
            _row_sums(grad, index, one_hot, total),
            _row_sums(grad * normal, index, one_hot, total),
            None,
            None,
        )


class _GatedAdd(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, update: Tensor, gate: Tensor, index: Tensor, one_hot: Tensor | None) -> Tensor:
        ctx.save_for_backward(update, gate, index, one_hot)
        return torch.addcmul(x, update, gate.index_select(0, index))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        update, gate, index, one_hot = ctx.saved_tensors
        return grad, grad * gate.index_select(0, index), _row_sums(grad * update, index, one_hot, len(gate)), None, None


def _row_sums(values_NW: Tensor, index_N: Tensor, one_hot_NR: Tensor | None, count: int) -> Tensor:
    """Return the sum of the values of each row's tokens, `[R, W]`."""
    if one_hot_NR is not None:
        return one_hot_NR.T @ values_NW
    wide = values_NW if values_NW.dtype is torch.float64 else values_NW.float()  # sums of many are not kept in bfloat16
    return wide.new_zeros(count, wide.shape[1]).index_add_(0, index_N, wide).to(values_NW.dtype)
