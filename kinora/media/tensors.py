"""Frames `uint8 [T, H, W, 3]` as video tensors `float32 [3, T, H, W]` in [-1, 1], and back."""

import numpy as np
import torch


def to_tensor(frames: np.ndarray) -> torch.Tensor:
    """Turn frames `uint8 [T, H, W, 3]` into a video tensor `float32 [3, T, H, W]` in [-1, 1]."""
    return torch.from_numpy(np.array(frames)).permute(3, 0, 1, 2).float() / 127.5 - 1


def to_frames(video: torch.Tensor) -> np.ndarray:
    """Turn a video tensor `[3, T, H, W]` in [-1, 1] into frames `uint8 [T, H, W, 3]`; values outside are clipped."""
    scaled = (video.detach().float().cpu().clamp(-1, 1) + 1) * 127.5
    return scaled.round().byte().permute(1, 2, 3, 0).contiguous().numpy()
