"""What a vision transformer of transformers (DINOv2, DINOv3, ViT) sees in each patch of a frame."""

from typing import Any

import numpy as np
import torch

from kinora.errors import KinoraError
from kinora.models.hf import hf_extra, pretrained_folder, readable
from kinora.models.hf_pixels import pixels
from kinora.models.precision import device

AT_ONCE = 16  # frames


class PatchFeatures:
    """A frozen network: called with frames `uint8 [T, H, W, 3]`, it returns `[T, rows, columns, D]` of unit length."""

    def __init__(self, source: str):
        """Load it.

        Raises:
            UsageError: if the source is no name of this form.
            KinoraError: if it is not there, cannot be read, or is no transformer of patches.
        """
        folder = pretrained_folder(source)
        with hf_extra():
            import transformers
        with readable(f"the vision network {source}"):
            self.network: Any = transformers.AutoModel.from_pretrained(
                folder, local_files_only=True, use_safetensors=True
            )
        patch = getattr(self.network.config, "patch_size", None)
        if not isinstance(patch, int):
            raise KinoraError(f"{source} has no patches; name a vision transformer, such as DINOv2.")
        self.patch = patch
        self.network.to(device()).eval().requires_grad_(False)

    @torch.inference_mode()
    def __call__(self, frames: np.ndarray, longest: int) -> np.ndarray:
        """Return what is seen with `longest` patches along the longer side, float32 `[T, rows, columns, D]`."""
        height, width = frames.shape[1:3]
        rows, columns = (max(1, round(longest * side / max(height, width))) for side in (height, width))
        parts = []
        for start in range(0, len(frames), AT_ONCE):
            shown = pixels(frames[start : start + AT_ONCE], columns * self.patch, rows * self.patch)
            hidden = self.network(pixel_values=shown.to(device())).last_hidden_state
            patches = hidden[:, -rows * columns :]  # behind what stands for the picture, and registers
            parts.append(torch.nn.functional.normalize(patches.float(), dim=-1).cpu())
        return np.asarray(torch.cat(parts).reshape(len(frames), rows, columns, -1))
