"""Principal components of blocks of pixels, from which an autoencoder's linear path begins."""

import torch
from torch import Tensor

LARGEST_EXACT = 4096  # values of a block; beyond, the covariance matrix takes longer than it is worth


def principal_components(blocks: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the mean `[D]` of `blocks [N, D]`, their first axes `[D, count]`, and the deviation `[count]` along each.

    Above `LARGEST_EXACT` values the axes are found by a randomised method (arXiv:0909.4061), which takes more blocks
    than `count` to be any good.
    """
    centre = blocks.mean(0)
    centred = blocks - centre
    if blocks.shape[1] <= LARGEST_EXACT:
        variance, axes = torch.linalg.eigh(torch.cov(centred.T))  # ascending
        variance, axes = variance[-count:].flip(0), axes[:, -count:].flip(1)
    else:
        _, singular, axes = torch.svd_lowrank(centred, min(2 * count, *blocks.shape), niter=2)
        variance, axes = singular[:count].square() / (len(blocks) - 1), axes[:, :count]
    return centre, axes, variance.clamp_min(1e-6).sqrt()
