"""Clips made for an evaluation: requests in, frames out, a group at a time."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from kinora.progress import Progress

if TYPE_CHECKING:
    from kinora.generation import GenerationRequest
    from kinora.models.autoencoder import Autoencoder

BATCH = 16  # requests made together: few enough that progress shows, enough to fill a packed sequence


class Generates(Protocol):
    """Whatever turns requests into clips; `kinora.generation.VideoGenerator` does."""

    def generate(self, requests: list["GenerationRequest"]) -> list[np.ndarray]:
        """Return frames `uint8 [T, H, W, 3]` for every request."""
        ...


class Continues(Generates, Protocol):
    """What continues footage also has its autoencoder, by which its best can be known."""

    vae: "Autoencoder"


def generated(generator: Generates, requests: Sequence["GenerationRequest"]) -> list[np.ndarray]:
    """Return the frames of every request, in their order."""
    clips: list[np.ndarray] = []
    with Progress("generate for evaluation", len(requests), "clips") as progress:
        for start in range(0, len(requests), BATCH):
            clips += generator.generate(list(requests[start : start + BATCH]))
            progress.update(len(clips))
    return clips
