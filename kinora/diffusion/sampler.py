"""Sampling: Euler steps along the learned path from noise to data, with classifier-free guidance."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from kinora.data.packing import Layout, repeated
from kinora.diffusion.path import shift_time, velocity
from kinora.models.dit import DiT
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
    """Generate tokens `[N, D]` for packed segments, in float32 whatever the network computes in.

    Args:
        prompts: what `text_encoder.prepare` made of a prompt for each segment, in the segments' order (that is, already
            reordered by `layout.order`).
        noise_ND: standard normal noise.
        clean_ND: the clean values of conditioning tokens; other rows are not read.
        conditioning_mask_N: which tokens are those.
        on_step: called with (steps done, steps) after every step.
    """
    guided = sampling.guidance != 1
    text = text_encoder(torch.cat([prompts, torch.zeros_like(prompts[:1])]) if guided else prompts)  # zero is no text
    x = torch.where(conditioning_mask_N[:, None], clean_ND, noise_ND).float()
    free_N1 = (~conditioning_mask_N)[:, None].float()
    if guided:  # the clips once more, without text, in the same pack
        place = [*range(len(prompts)), *[len(prompts)] * len(prompts)]
        text = Text(text.words[place], text.mask[place], text.pooled[place])
        layout, conditioning_mask_N = repeated(layout, 2), conditioning_mask_N.repeat(2)
    context = dit.context(layout, conditioning_mask_N, text)
    for step, (now, after) in enumerate(pairwise(sampling.times().tolist())):
        times_R = layout.condition_times(torch.full((len(layout.grids),), now, device=x.device))
        if guided:  # away from the estimate without text (classifier-free guidance, arXiv:2207.12598)
            conditional, unconditional = dit.estimate(x.repeat(2, 1), times_R, context).float().chunk(2)
            estimate = torch.lerp(unconditional, conditional, sampling.guidance)
        else:
            estimate = dit.estimate(x, times_R, context).float()
        x = x + (after - now) * free_N1 * velocity(x, estimate, now)
        if on_step is not None:
            on_step(step + 1, sampling.steps)
    return x
