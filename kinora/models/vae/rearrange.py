"""Space and time to depth, and back: cells of several frames, rows and columns become the channels of one.

The first frame is a cell of its own: it is repeated as often as a cell has frames, and on the way back the mean of the
repeats is taken. `starts` says whether a tensor begins with that first frame, as it does unless it goes on with a
stream.
"""

import torch
from torch import Tensor

from kinora.models.autoencoder import AutoencoderConfig


def to_depth(x: Tensor, temporal: int, spatial: int, starts: bool = True) -> Tensor:
    """Turn `[B, T, H, W, C]` into `[B, t, h, w, C * temporal * spatial * spatial]`.

    T = 1 + (t - 1) * temporal where x starts, else t * temporal.
    """
    if starts and temporal > 1:
        x = torch.cat([x[:, :1].expand(-1, temporal, -1, -1, -1), x[:, 1:]], dim=1)
    b, frames, height, width, channels = x.shape
    t, h, w = frames // temporal, height // spatial, width // spatial
    x = x.reshape(b, t, temporal, h, spatial, w, spatial, channels).permute(0, 1, 3, 5, 7, 2, 4, 6)
    return x.reshape(b, t, h, w, channels * temporal * spatial**2)


def from_depth(x: Tensor, temporal: int, spatial: int, starts: bool = True) -> Tensor:
    """Undo `to_depth`."""
    b, t, h, w, _ = x.shape
    x = x.reshape(b, t, h, w, -1, temporal, spatial, spatial).permute(0, 1, 5, 2, 6, 3, 7, 4)
    x = x.reshape(b, t * temporal, h * spatial, w * spatial, -1)
    if starts and temporal > 1:
        x = torch.cat([x[:, :temporal].mean(1, keepdim=True), x[:, temporal:]], dim=1)
    return x


def to_blocks(video: Tensor, config: AutoencoderConfig) -> Tensor:
    """Cut `video [B, 3, T, H, W]` on the grid into blocks `[B, t, h, w, D]`, of which each becomes a latent."""
    return to_depth(video.movedim(1, -1), config.temporal, config.spatial)
