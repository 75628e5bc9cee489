"""Two videos of different subjects are connected without a jump, and both stay as they were.

python -m benchmarks.reach.connect
"""

from dataclasses import replace

import numpy as np

from benchmarks.reach.figures import Figure, mean, share
from benchmarks.reach.measures import psnr, steps
from benchmarks.reach.options import Subject, run
from evaluation.checkpoint import request
from kinora.generation.request import Task

TITLE = "Connect"
COUNT = 10
WAY = 3  # times as long as the first video is the way between: scenes need time to become one another
LARGEST_STEP = 1.5  # times the largest inside the two
LOSS = 1.0  # dB that an end may lose against the autoencoder alone


def measure(subject: Subject) -> list[Figure]:
    """Return in how many connections no step is too large and both ends are intact."""
    smooth, ratios, intact = [], [], []
    prompts = subject.prompts(2 * (subject.options.count or COUNT))
    for one, other in zip(prompts[::2], prompts[1::2], strict=True):
        # The second scene in the first's size: connecting is between clips of one format.
        first = subject.simulated(one)
        second = subject.simulated(replace(other, width=one.width, height=one.height))
        n, m = len(first), len(second)
        wanted = replace(
            request(one), prompt=other.prompt, task=Task.CONNECT, video=first, to_video=second, frames=(1 + WAY) * n + m
        )
        made = subject.make(wanted)
        largest = max(steps(made[:n]).max(), steps(made[-m:]).max())
        ratios.append(steps(made[n - 1 : len(made) - m + 1]).max() / max(largest, 1e-6))
        smooth.append(ratios[-1] <= LARGEST_STEP)
        ends = [(made[:n], first), (made[-m:], second)]
        intact.append(all(psnr(subject.reconstructed(t), t) - psnr(c, t) <= LOSS for c, t in ends))
    return [
        share(f"no step above {LARGEST_STEP} times the largest inside the two", smooth, 1.0),
        share("both ends within 1 dB of the autoencoder alone", intact, 1.0),
        mean("largest step between, against the largest inside", np.array(ratios), "times"),
    ]


if __name__ == "__main__":
    run("connect", TITLE, measure)
