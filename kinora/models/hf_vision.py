"""What a vision network of transformers makes of frames, `hf:FOLDER` or `hf:ORGANISATION/NAME`."""

from typing import Any

import numpy as np
import torch

from kinora.models.hf import hf_extra, pretrained_folder, readable
from kinora.models.precision import device

AT_ONCE = 32  # frames


class VisionFeatures:
    """A frozen network and how it wants its pictures: called with frames `uint8 [T, H, W, 3]`, it returns `[T, D]`.

    VBench takes DINO for the subject and CLIP for the background. Of a CLIP it is the projected picture, else the first
    token of the last layer (in a ViT, DINO and DINOv2 the one that stands for the picture).
    """

    def __init__(self, source: str):
        """Load it.

        Raises:
            UsageError: if the source is no name of this form.
            KinoraError: if it is not there, or cannot be read.
        """
        folder = pretrained_folder(source)
        with hf_extra():
            import transformers
        with readable(f"the vision network {source}"):
            self.images: Any = transformers.AutoImageProcessor.from_pretrained(folder, local_files_only=True)
            self.network: Any = transformers.AutoModel.from_pretrained(
                folder, local_files_only=True, use_safetensors=True
            )
        self.network.to(device()).eval().requires_grad_(False)

    @torch.inference_mode()
    def __call__(self, frames: np.ndarray) -> np.ndarray:
        """Return the features, float32 `[T, D]`."""
        parts = [self._features(frames[start : start + AT_ONCE]) for start in range(0, len(frames), AT_ONCE)]
        return np.concatenate(parts)

    def _features(self, frames: np.ndarray) -> np.ndarray:
        pixels = self.images(images=list(frames), return_tensors="pt").to(device())
        if hasattr(self.network, "get_image_features"):
            made = self.network.get_image_features(**pixels)
            features = getattr(made, "pooler_output", made)
        else:
            features = self.network(**pixels).last_hidden_state[:, 0]
        return np.asarray(features.float().cpu())
