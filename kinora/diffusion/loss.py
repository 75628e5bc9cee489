"""The training loss: the network predicts clean data, and its error is weighted as an error of velocity.

Since v = (x_t - x0) / t, an error of x0 is an error of v divided by t, so the squared velocity error is
|x0_estimate - x0|^2 / t^2 ("x-prediction, v-loss" of https://arxiv.org/abs/2511.13720).
"""

from torch import Tensor

SMALLEST_TIME = 0.1  # below it the weight 1/t^2 would let nearly clean tokens drown the others


def velocity_loss(
    estimate_ND: Tensor, clean_ND: Tensor, times_N: Tensor, conditioning_mask_N: Tensor
) -> tuple[Tensor, Tensor]:
    """Return sums over the tokens that are not given: of the loss, and of the squared error of clean data.

    Whoever knows how many such tokens there are in a step divides by their number. The tokens may be any rows of a
    pack.
    """
    error_N = (estimate_ND.float() - clean_ND.float()).square().mean(dim=1)
    weight_N = times_N.float().clamp_min(SMALLEST_TIME).pow(-2)
    free_N = (~conditioning_mask_N).to(error_N.dtype)
    return (error_N * weight_N * free_N).sum(), (error_N * free_N).sum().detach()
