"""Frames as the vision networks of transformers want them: at a size, normalised as ImageNet's pictures are."""

import cv2
import numpy as np
import torch
from torch import Tensor

# Of all the networks that are used here (DINOv2, DINOv3, SAM 2), as their `preprocessor_config.json` has it.
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def pixels(frames: np.ndarray, width: int, height: int) -> Tensor:
    """Return frames `uint8 [T, H, W, 3]` at a size, float32 `[T, 3, height, width]`."""
    sized = [cv2.resize(frame, (width, height), interpolation=cv2.INTER_LINEAR) for frame in frames]
    normal = (np.stack(sized).astype(np.float32) / 255 - MEAN) / DEVIATION
    return torch.from_numpy(normal.astype(np.float32)).permute(0, 3, 1, 2).contiguous()
