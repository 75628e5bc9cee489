"""A loop's last frame leads into its first without a seam, and something moves.

python -m benchmarks.reach.loop
"""

from dataclasses import replace

import numpy as np

from benchmarks.reach.figures import Figure, mean, share
from benchmarks.reach.measures import step_between, steps
from benchmarks.reach.options import LASTING, Subject, run
from evaluation.checkpoint import request

TITLE = "Loop"
COUNT = 20
SEAMLESS = 0.95
MOVING = 0.25  # of the simulator's mean step: what moves less is frozen


def measure(subject: Subject) -> list[Figure]:
    """Return in how many loops the seam is no larger than the largest step inside, and how many move."""
    seams, moving, ratios = [], [], []
    for prompt in subject.prompts(subject.options.count or COUNT, LASTING):
        frames = prompt.frames - prompt.frames % subject.generator.grid.frames  # time on a circle is whole latents
        loop = subject.make(replace(request(prompt), frames=frames, loop=True))
        inside = steps(loop)
        seam = step_between(loop[-1], loop[0])
        seams.append(seam <= inside.max())
        ratios.append(seam / max(float(np.mean(inside)), 1e-6))
        moving.append(inside.mean() >= MOVING * steps(subject.simulated(prompt)).mean())
    return [
        share("last to first no larger than the largest step inside", seams, SEAMLESS),
        share("not frozen", moving, SEAMLESS),
        mean("last to first, against the mean step inside", ratios, "times"),
    ]


if __name__ == "__main__":
    run("loop", TITLE, measure)
