"""The straight path between data and noise: rectified flow, https://arxiv.org/abs/2209.03003.

Sign convention, everywhere in Kinora: time 0 is clean data x0, time 1 is pure noise e, and

    x_t = (1 - t) x0 + t e,        v = dx_t/dt = e - x0 = (x_t - x0) / t.

Sampling goes from 1 down to 0.
"""

import torch
from torch import Tensor


def add_noise(clean: Tensor, noise: Tensor, time: Tensor) -> Tensor:
    """Return x_t; `time` broadcasts against the data."""
    return (1 - time) * clean + time * noise


def velocity(noisy: Tensor, clean: Tensor, time: Tensor | float) -> Tensor:
    """Return the velocity at x_t that an estimate of the clean data implies; `time` is above 0."""
    return (noisy - clean) / time


def shift_time(time: Tensor, shift: float) -> Tensor:
    """Move times towards noise (shift > 1) or data (shift < 1): equation 23 of https://arxiv.org/abs/2403.03206."""
    return shift * time / (1 + (shift - 1) * time)


def sample_times(count: int, generator: torch.Generator, logit_mean: float, logit_std: float) -> Tensor:
    """Draw times in (0, 1), logit-normal: their logits are normal (section 3.1 of arXiv:2403.03206)."""
    return torch.sigmoid(logit_mean + logit_std * torch.randn(count, generator=generator))
