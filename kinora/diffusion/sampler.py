"""Sampling: Euler steps along the learned path from noise to data, with classifier-free guidance."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from kinora.data.packing import Layout
from kinora.diffusion.path import shift_time, velocity
from kinora.models.dit import DiT
from kinora.models.precision import autocast
from kinora.models.text_encoder import Text, TextEncoder


@dataclass(frozen=True)
class Sampling:
    """`steps` Euler steps; `guidance` 1 is none; `shift` above 1 spends more of the steps near noise."""

    steps: int = 25
    guidance: float = 2.0
    shift: float = 2.0

    def times(self) -> Tensor:
        """Return the `steps + 1` times from 1 down to 0."""
        return shift_time(torch.linspace(1, 0, self.steps + 1), self.shift)


@torch.inference_mode()
def sample(
    dit: DiT,
    text_encoder: TextEncoder,
    prompts: Tensor,
    layout: Layout,
    noise_ND: Tensor,
    clean_ND: Tensor,
    conditioning_mask_N: Tensor,
    sampling: Sampling,
    on_step: Callable[[int, int], None] | None = None,
) -> Tensor:
    """Generate tokens `[N, D]` for packed segments.

    Args:
        prompts: what `text_encoder.prepare` made of a prompt for each segment, in the segments' order (that is, already
            reordered by `layout.order`).
        noise_ND: standard normal noise.
        clean_ND: the clean values of conditioning tokens; other rows are not read.
        conditioning_mask_N: which tokens are those.
        on_step: called with (steps done, steps) after every step.
    """
    text, empty = text_encoder(prompts), text_encoder(torch.zeros_like(prompts))
    x = torch.where(conditioning_mask_N[:, None], clean_ND, noise_ND)
    times = sampling.times().to(x.device)
    for step in range(sampling.steps):
        now, after = times[step], times[step + 1]
        estimate = guided(dit, x, layout, now, conditioning_mask_N, text, empty, sampling.guidance)
        moved = x + (after - now) * velocity(x, estimate, now)
        x = torch.where(conditioning_mask_N[:, None], clean_ND, moved)
        if on_step is not None:
            on_step(step + 1, sampling.steps)
    return x


def guided(
    dit: DiT,
    x: Tensor,
    layout: Layout,
    time: Tensor,
    conditioning_mask_N: Tensor,
    text: Text,
    empty: Text,
    guidance: float,
) -> Tensor:
    """Estimate clean tokens, pushed away from the estimate without text (https://arxiv.org/abs/2207.12598)."""
    times_S = time.expand(len(layout.grids))
    with autocast(x.device):
        conditional: Tensor = dit(x, layout, times_S, conditioning_mask_N, text).float()
        if guidance == 1:
            return conditional
        unconditional: Tensor = dit(x, layout, times_S, conditioning_mask_N, empty).float()
    return unconditional + guidance * (conditional - unconditional)
