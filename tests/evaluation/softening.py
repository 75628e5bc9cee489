"""Clips as an autoencoder of 28 to 30 dB gives them back, imitated."""

import cv2
import numpy as np

BLUR, GRAIN = 0.9, 3.0  # pixels and levels


def softened(frames: np.ndarray) -> np.ndarray:
    """Return frames `uint8 [T, H, W, 3]` with a blur and grain like an autoencoder's."""
    rng = np.random.default_rng(0)
    soft = np.stack([cv2.GaussianBlur(frame, (0, 0), BLUR) for frame in frames]).astype(float)
    return np.clip(soft + rng.normal(0, GRAIN, soft.shape), 0, 255).round().astype(np.uint8)
