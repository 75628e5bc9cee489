"""A network that tells clips of one dataset from clips of any other origin, by how their pictures look and change.

Axes: B clips, F frames, N pairs of a frame with the next, H, W pixels.
"""

import numpy as np
import torch
from torch import Tensor, nn

CHANNELS = 24


class Origin(nn.Module):
    """Convolutions over a frame and its change to the next, whose means and maxima say how foreign the pair looks."""

    def __init__(self) -> None:
        super().__init__()
        c = CHANNELS
        self.layers = nn.Sequential(
            nn.Conv2d(6, c, 4, stride=2, padding=1), nn.GELU(),
            nn.Conv2d(c, 2 * c, 3, stride=2, padding=1), nn.GELU(),
            nn.Conv2d(2 * c, 3 * c, 3, stride=2, padding=1), nn.GELU(),
        )  # fmt: skip
        self.head = nn.Linear(2 * 3 * c, 1)

    def forward(self, frames_NHWC: Tensor, next_NHWC: Tensor) -> Tensor:
        """Return the logits `[N]` of pairs of frames `uint8 [N, H, W, 3]` being foreign; of an image, both the same."""
        now, then = (_pixels(frames) for frames in (frames_NHWC, next_NHWC))
        x_NChw = self.layers(torch.cat([now, then - now], dim=1))
        logits: Tensor = self.head(torch.cat([x_NChw.mean((2, 3)), x_NChw.amax((2, 3))], dim=1))
        return logits[:, 0]

    @torch.no_grad()
    def foreignness(self, frames: np.ndarray) -> float:
        """Return how foreign a clip `uint8 [F, H, W, 3]` looks: the mean of the logits of its pairs."""
        every = torch.from_numpy(frames).to(self.head.weight.device)
        return float(self(every[: max(1, len(every) - 1)], every[1:] if len(every) > 1 else every).mean())


def _pixels(frames_NHWC: Tensor) -> Tensor:
    return frames_NHWC.permute(0, 3, 1, 2).float() / 127.5 - 1
