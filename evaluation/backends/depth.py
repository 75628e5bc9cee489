"""How near everything is by Depth-Anything (Yang et al. 2024): what a moving camera shifts how far, if it is still."""

from functools import lru_cache
from typing import TYPE_CHECKING

import cv2
import numpy as np

from kinora.models.hf_depth import InverseDepth

if TYPE_CHECKING:
    from evaluation.evidence.clip import Evidence

PATCHES = 37  # along the longer side: its authors' 518 pixels
MOST = 0.95  # the quantile of distances from the median that stands for the largest


def nearness(evidence: "Evidence", frames: np.ndarray) -> np.ndarray:
    """Return how near everything is in some frames `[n]`, as 1 over depth, float32 `[n, h, w]`.

    The network does not tell where it is 0, nor its scale: here the median of a frame is 0, and most lies in -1..1.

    Raises:
        KinoraError: if the network of `backends.depth` cannot be had.
    """
    h, w = evidence.luma.shape[1:]
    told = _network(evidence.backends.depth)(evidence.clip.frames[frames], PATCHES)
    sized = np.stack([cv2.resize(one, (w, h), interpolation=cv2.INTER_AREA) for one in told])
    sized -= np.median(sized, axis=(1, 2), keepdims=True)
    largest = np.quantile(np.abs(sized), MOST, axis=(1, 2), keepdims=True)
    return np.asarray(sized / np.maximum(largest, 1e-6), np.float32)


@lru_cache(1)
def _network(source: str) -> InverseDepth:
    return InverseDepth(source)
