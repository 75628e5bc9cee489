"""Muon for one process, in the number type that the hardware multiplies.

PyTorch's own always orthogonalises in bfloat16, which a CPU without such instructions emulates 30 to 50 times slower
than float32: the optimizer would take ten times as long as the rest of a step.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from kinora.models.precision import compute_dtype

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of the quintic Newton-Schulz iteration
EPSILON = 1e-7
MOMENTUM = 0.95


class Muon(torch.optim.Muon):
    """Momentum orthogonalised by Newton-Schulz iterations, https://kellerjordan.github.io/posts/muon.

    The learning rate is adjusted so that updates have the RMS of AdamW's (arXiv:2502.16982, section 2.2).
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Take one step; see `torch.optim.Muon` for the options. No `closure` is called."""
        for group in self.param_groups:
            rate, momentum = group["lr"], group["momentum"]
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state["momentum_buffer"] = torch.zeros_like(parameter.grad)
                buffer = state["momentum_buffer"].lerp_(parameter.grad, 1 - momentum)
                update = orthogonalise(parameter.grad.lerp(buffer, momentum), group["ns_steps"])  # Nesterov's
                parameter.mul_(1 - rate * group["weight_decay"])
                parameter.add_(update.to(parameter.dtype), alpha=-rate * update_scale(parameter.shape))


def update_scale(shape: Sequence[int]) -> float:
    """Return what gives an orthogonalised matrix the RMS of AdamW's updates (arXiv:2502.16982, section 2.2)."""
    return 0.2 * math.sqrt(max(shape))


def orthogonalise(matrix: Tensor, steps: int = 5) -> Tensor:
    """Return roughly U V^T of `matrix [A, B]` = U S V^T: its singular values become 0.7 to 1.2."""
    a, b, c = COEFFICIENTS
    x = matrix.to(compute_dtype())
    if tall := x.shape[0] > x.shape[1]:
        x = x.T
    x = x / x.norm().clamp(min=EPSILON)
    for _ in range(steps):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.T if tall else x
