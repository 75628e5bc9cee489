"""How things look to a vision transformer, DINOv2 (Oquab et al. 2023), beside their colours and texture.

Its features are projected at random, which keeps distances (Johnson and Lindenstrauss 1984), and weighed so that one
thing in two frames stays within what `evidence.looks` takes for one: features of one thing have a cosine of about 0.9,
those of two different things 0.3 or less, which become distances of about 0.1 and 0.3.
"""

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from kinora.models.hf_patches import PatchFeatures

if TYPE_CHECKING:
    from evaluation.evidence.clip import Evidence

PATCHES = 32  # along the longer side
FEATURES = 32  # of each pixel
WEIGHT = 0.25  # of a feature vector's length, beside that of a look's colours


def seen_in(evidence: "Evidence") -> np.ndarray:
    """Return what the network of `backends.looks` sees in every frame, float32 `[T, rows, columns, FEATURES]`.

    Raises:
        KinoraError: if it cannot be had.
    """
    network = _network(evidence.backends.looks)
    frames, at_once = evidence.clip.frames, 64
    parts = [_projected(network(frames[start : start + at_once], PATCHES)) for start in range(0, len(frames), at_once)]
    return np.concatenate(parts)


def _projected(features: np.ndarray) -> np.ndarray:
    directions = np.random.default_rng(0).standard_normal((features.shape[-1], FEATURES)) / np.sqrt(FEATURES)
    return np.asarray(WEIGHT * features @ directions, dtype=np.float32)


@lru_cache(1)
def _network(source: str) -> PatchFeatures:
    return PatchFeatures(source)
