"""Clips made for an evaluation: requests in, frames out, a few at a time, so that memory does not grow with them."""

from collections.abc import Iterable, Iterator, Sized
from itertools import islice
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


def generated(generator: Generates, requests: Iterable["GenerationRequest"], number: int = 0) -> Iterator[np.ndarray]:
    """Yield the frames of every request, in their order; no more than `BATCH` are held at once.

    Where `requests` has no length, `number` says how many there are, for the progress that is shown: there a clip
    counts as done when the next one is asked for, when it has been judged.
    """
    waiting, done = iter(requests), 0
    with Progress(
        "make and judge clips", len(requests) if isinstance(requests, Sized) else number, "clips"
    ) as progress:
        while batch := list(islice(waiting, BATCH)):
            made = generator.generate(batch)[::-1]
            while made:
                yield made.pop()
                done += 1
                progress.update(done)
