"""Copies of clips through an autoencoder, in which nothing may alarm."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np


@cache
def through_autoencoder(folder: Path) -> Callable[[np.ndarray], np.ndarray]:
    """Return the function that encodes frames `uint8 [T, H, W, 3]` with an autoencoder and decodes them again."""
    from kinora.media.tensors import to_frames, to_tensor
    from kinora.models.autoencoder import load_autoencoder

    model = load_autoencoder(folder).for_inference()

    def through(frames: np.ndarray) -> np.ndarray:
        size = frames.shape[0], frames.shape[1], frames.shape[2]
        return to_frames(model.video_of(model.latents_of(to_tensor(frames)[None]), size)[0])

    return through
