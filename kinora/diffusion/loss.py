"""The training loss: the network predicts clean data, and its error is weighted as an error of velocity.

Since v = (x_t - x0) / t, an error of x0 is an error of v divided by t, so the squared velocity error is
|x0_estimate - x0|^2 / t^2 ("x-prediction, v-loss" of https://arxiv.org/abs/2511.13720).
"""

from torch import Tensor

from kinora.data.packing import Layout

SMALLEST_TIME = 0.1  # below it the weight 1/t^2 would let nearly clean tokens drown the others


def velocity_loss(
    estimate_ND: Tensor, clean_ND: Tensor, times_S: Tensor, conditioning_mask_N: Tensor, layout: Layout
) -> tuple[Tensor, Tensor]:
    """Return the loss over tokens outside conditioning frames, and the squared error of the clean data (to report)."""
    error_N = (estimate_ND.float() - clean_ND.float()).square().mean(dim=1)
    weight_N = times_S.clamp_min(SMALLEST_TIME).pow(-2)[layout.segments]
    free_N = (~conditioning_mask_N).to(error_N.dtype)
    total = free_N.sum().clamp_min(1)
    return (error_N * weight_N * free_N).sum() / total, ((error_N * free_N).sum() / total).detach()
