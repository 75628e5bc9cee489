"""Masks of everything in a picture, by SAM 2 (Ravi et al. 2024) of transformers, asked at a grid of points."""

from typing import Any

import numpy as np
import torch

from kinora.models.hf import hf_extra, pretrained_folder, readable
from kinora.models.hf_pixels import pixels
from kinora.models.precision import device

POINTS_AT_ONCE = 16
STABLE = 1.0  # logits by which a mask's edge is moved inwards and outwards to see how sure it is


class Masks:
    """A frozen SAM 2: what it holds for masks at points of a picture."""

    def __init__(self, source: str):
        """Load it.

        Raises:
            UsageError: if the source is no name of this form.
            KinoraError: if it is not there, cannot be read, or is no SAM 2.
        """
        folder = pretrained_folder(source)
        with hf_extra():
            import transformers
        with readable(f"the segmenting network {source}"):
            config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True)
            if config.model_type not in ("sam2", "sam2_video"):
                raise ValueError(f"it is {config.model_type}, not SAM 2")
            self.network: Any = transformers.Sam2Model.from_pretrained(
                folder, local_files_only=True, use_safetensors=True
            )
        self.network.to(device()).eval().requires_grad_(False)
        side = self.network.config.prompt_encoder_config.image_size
        self.side = int(side if isinstance(side, int) else side[0])

    @torch.inference_mode()
    def __call__(self, frame: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return masks of a frame `uint8 [H, W, 3]` at points `[n, 2]`, x and y as shares 0..1 of its sides.

        Returns:
            logits float32 `[m, h, w]` of the masks, several a point; the overlap (intersection over union) with what is
            there that the network expects of each, `[m]`; and how little each depends on where its edge is drawn, 0..1.
        """
        shown = pixels(frame[None], self.side, self.side).to(device())
        embedded = self.network.get_image_embeddings(shown)
        logits, expected = [], []
        for start in range(0, len(points), POINTS_AT_ONCE):
            some = torch.from_numpy(points[start : start + POINTS_AT_ONCE].astype(np.float32) * self.side)
            made = self.network(
                image_embeddings=embedded,
                input_points=some[None, :, None].to(device()),
                input_labels=torch.ones(1, len(some), 1, dtype=torch.int32, device=device()),
                multimask_output=True,
            )
            logits.append(made.pred_masks[0].flatten(0, 1).float())
            expected.append(made.iou_scores[0].flatten().float())
        masks = torch.cat(logits)
        inner, outer = ((masks > level).flatten(1).sum(1) for level in (STABLE, -STABLE))
        stable = inner / outer.clamp_min(1)
        return np.asarray(masks.cpu()), np.asarray(torch.cat(expected).cpu()), np.asarray(stable.cpu())
