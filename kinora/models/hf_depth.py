"""How near everything in a frame is, by a Depth-Anything of transformers (Yang et al. 2024, arXiv:2406.09414)."""

from typing import Any

import numpy as np
import torch

from kinora.models.hf import hf_extra, pretrained_folder, readable
from kinora.models.hf_pixels import pixels
from kinora.models.precision import device

AT_ONCE = 8  # frames
NEAREST = 1e-3  # of the largest depth that a metric network tells


class InverseDepth:
    """A frozen network: called with frames `uint8 [T, H, W, 3]`, it returns 1 over their depth, `[T, h, w]`.

    A network of relative depth tells it but for a scale and a shift, which are others in every frame; one of metric
    depth, in 1 over metres.
    """

    def __init__(self, source: str):
        """Load it.

        Raises:
            UsageError: if the source is no name of this form.
            KinoraError: if it is not there, cannot be read, or is no Depth-Anything.
        """
        folder = pretrained_folder(source)
        with hf_extra():
            import transformers
        with readable(f"the depth network {source}"):
            config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True)
            if config.model_type != "depth_anything":
                raise ValueError(f"it is {config.model_type}, not Depth-Anything")
            self.network: Any = transformers.DepthAnythingForDepthEstimation.from_pretrained(
                folder, local_files_only=True, use_safetensors=True
            )
        self.network.to(device()).eval().requires_grad_(False)
        self.patch = int(self.network.config.patch_size)

    @torch.inference_mode()
    def __call__(self, frames: np.ndarray, longest: int) -> np.ndarray:
        """Return what is told with `longest` patches along the longer side, float32 `[T, rows, columns]` of pixels."""
        height, width = frames.shape[1:3]
        rows, columns = (self.patch * max(1, round(longest * side / max(height, width))) for side in (height, width))
        parts = []
        for start in range(0, len(frames), AT_ONCE):
            shown = pixels(frames[start : start + AT_ONCE], columns, rows)
            parts.append(self.network(pixel_values=shown.to(device())).predicted_depth.float().cpu())
        told = torch.cat(parts)
        if self.network.config.depth_estimation_type == "metric":
            told = 1 / told.clamp_min(NEAREST * self.network.config.max_depth)
        return np.asarray(told)
