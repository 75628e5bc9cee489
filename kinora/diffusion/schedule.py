"""Schedules: the times through which every latent frame is sampled, from noise (1) to clean data (0)."""

import torch
from torch import Tensor

from kinora.diffusion.path import shift_time


def times_from(start: float, steps: int, shift: float) -> Tensor:
    """Return `steps + 1` times from `start` down to 0; `shift` above 1 spends more of them near noise."""
    return start * shift_time(torch.linspace(1, 0, steps + 1), shift)


def staircase(times: Tensor, frames: range, lag: int, turn: int) -> Tensor:
    """Return the times `[F]` of some latent frames in a round, where each is `lag` steps behind the one before it.

    This is the pyramid of Diffusion Forcing (https://arxiv.org/abs/2407.01392): at any moment the frames that are being
    sampled are the noisier the later they are. Frame f is at `times[turn - f * lag]`, at noise before and clean
    afterwards.
    """
    return times[(turn - lag * torch.tensor(frames)).clamp(0, len(times) - 1)]
