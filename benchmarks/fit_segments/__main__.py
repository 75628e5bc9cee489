"""The network that tells things in frames, fitted anew: whenever the evidence that it sees changes.

    python -m benchmarks.fit_segments [--out FILE] [--drawn N] [--collages N] [--steps N]

Half an hour on one core. Photographs are frames of the half `dev` of the clips that KINORA_TEST_MEDIA names. The
default `out` is where `evaluation` takes the network from.
"""

from pathlib import Path

import cv2
import numpy as np
import torch
import tyro

from benchmarks.fit_segments.frames import Frame, frames_of
from benchmarks.fit_segments.network import fit, write
from evaluation.evidence.instances import NETWORK
from evaluation.proving.real import clips_of, media_folder
from kinora.media import read_video
from kinora.progress import Progress

SEED = 7000
EACH, AMONG = 3, 120  # frames of a photographed clip that are taken, among the first ones
LONGEST = 360  # pixels of a photograph's longer side


def measure(out: Path = NETWORK, drawn: int = 560, collages: int = 560, steps: int = 3600, seed: int = SEED) -> str:
    """Return how well a network tells things that is fitted anew and written to `out`.

    Args:
        out: the file.
        drawn: clips of the families paper and clay.
        collages: and of collages.
        steps: of fitting.
        seed: of what is drawn.
    """
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    frames: list[Frame] = []
    with Progress("make clips", drawn + collages, "clips") as progress:
        shown = photographs(seed)
        for pictures, count in ((None, drawn), (shown, collages)):
            for number in range(count):
                frames += frames_of(number, seed, pictures)
                progress.update(progress.done + 1)
    losses: list[float] = []
    with Progress("fit", steps, "steps") as progress:

        def tell(step: int, loss: float) -> None:
            losses.append(loss)
            progress.update(step + 1)

        network = fit(frames, steps, seed, tell)
    write(network, out)
    return f"{len(frames)} frames, loss of the last hundred steps {np.mean(losses[-100:]):.4f}; written to {out}."


def photographs(seed: int) -> list[np.ndarray]:
    """Return frames of real clips."""
    rng = np.random.default_rng(seed)
    found = []
    for row in clips_of(media_folder(), "dev"):
        frames, _ = read_video(media_folder() / str(row["file"]), AMONG)
        for index in rng.choice(len(frames), min(EACH, len(frames)), replace=False):
            scale = min(1.0, LONGEST / max(frames[index].shape))
            found.append(cv2.resize(frames[index], None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))
    return found


if __name__ == "__main__":
    print(tyro.cli(measure))
