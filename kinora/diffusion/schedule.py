"""Schedules: the times through which every latent frame is sampled, from noise (1) to clean data (0)."""

import torch
from torch import Tensor

from kinora.diffusion.path import shift_time


def times_from(start: float, steps: int, shift: float) -> Tensor:
    """Return `steps + 1` times from `start` down to 0; `shift` above 1 spends more of them near noise."""
    return start * shift_time(torch.linspace(1, 0, steps + 1), shift)


def staircase(times: Tensor, frames: int, lag: int) -> Tensor:
    """Return a schedule `[rounds, frames]` in which each latent frame is `lag` steps behind the one before it.

    This is the pyramid of Diffusion Forcing (https://arxiv.org/abs/2407.01392): at any moment the frames that are being
    sampled are the noisier the later they are. Frame f is at `times[g - f * lag]` in round g, at noise before and clean
    afterwards.
    """
    steps = len(times) - 1
    rounds = torch.arange(steps + (frames - 1) * lag + 1)
    return times[(rounds[:, None] - lag * torch.arange(frames)).clamp(0, steps)]
