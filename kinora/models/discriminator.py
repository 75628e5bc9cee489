"""The discriminator of adversarial training: how real every patch of a clip looks, in space and time.

Axes: B clips; T, H, W frames, rows and columns of pixels; t, h, w of patches.
"""

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm


class Discriminator(nn.Module):
    """A patch discriminator (https://arxiv.org/abs/1611.07004, section 3.2.2) with kernels that reach over time too.

    Spectral normalisation (https://arxiv.org/abs/1802.05957) bounds how steep it can be, so that it needs no penalty.
    A clip may have any size from 8x8 pixels and any length; an image is a clip of one frame.
    """

    def __init__(self, width: int = 32):
        super().__init__()
        self.layers = nn.Sequential(
            spectral_norm(nn.Conv3d(3, width, (3, 4, 4), (1, 2, 2), 1)), nn.LeakyReLU(0.2),
            spectral_norm(nn.Conv3d(width, 2 * width, (3, 4, 4), (2, 2, 2), 1)), nn.LeakyReLU(0.2),
            spectral_norm(nn.Conv3d(2 * width, 4 * width, 3, 1, 1)), nn.LeakyReLU(0.2),
            spectral_norm(nn.Conv3d(4 * width, 1, 1)),
        )  # fmt: skip

    def forward(self, video: Tensor) -> Tensor:  # [B, 3, T, H, W] -> [B, 1, t, h, w]
        """Return a logit for every patch, high where it looks real."""
        logits: Tensor = self.layers(video)
        return logits
