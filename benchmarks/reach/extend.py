"""A clip extended four times, either way, does not drift and does not jump where it was joined.

python -m benchmarks.reach.extend
"""

from dataclasses import replace

import numpy as np

from benchmarks.reach.figures import Figure, mean, share
from benchmarks.reach.measures import looks, steps
from benchmarks.reach.options import LASTING, Subject, run
from evaluation.checkpoint import request
from kinora.generation.request import Task
from kinora.worlds import EvaluationPrompt

TITLE = "Extend four times"
COUNT = 6
TIMES = 4
FRESH = 4  # clips of one prompt whose spread the drift is held against
JOIN = 1.2  # times the largest step inside


def measure(subject: Subject) -> list[Figure]:
    """Return drift against the spread among fresh clips, and the largest join against the steps inside."""
    figures: list[Figure] = []
    prompts = subject.prompts(subject.options.count or COUNT, LASTING)
    fresh = [[subject.make(replace(request(p), seed=p.seed + 1000 * k)) for k in range(FRESH)] for p in prompts]
    spread = pooled([[looks(clip) for clip in clips] for clips in fresh])
    for direction in ("forward", "backward"):
        drifts: dict[str, list[float]] = {name: [] for name in spread}
        joins = []
        for prompt, clips in zip(prompts, fresh, strict=True):
            long, at = extended(subject, prompt, clips[0], direction)
            n = len(clips[0])
            given, newest = (long[:n], long[-n:]) if direction == "forward" else (long[-n:], long[:n])
            before, after = looks(given), looks(newest)
            for name in spread:
                drifts[name].append(abs(after[name] - before[name]))
            found = steps(long)
            joins.append(found[at].max() / max(np.delete(found, at).max(), 1e-6))
        figures += [
            mean(f"{direction}: drift of {name}, against the spread", np.array(v) / spread[name], "times", at_most=1.0)
            for name, v in drifts.items()
        ]
        figures.append(
            share(f"{direction}: no join above {JOIN} times the largest step inside", np.array(joins) <= JOIN, 1.0)
        )
        figures.append(mean(f"{direction}: the largest join, against the largest step inside", joins, "times"))
    return figures


def extended(
    subject: Subject, prompt: EvaluationPrompt, clip: np.ndarray, direction: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return a clip extended `TIMES` times by its own length, and the indices of the steps at the joins."""
    long, length = clip, len(clip)
    for number in range(TIMES):
        wanted = replace(
            request(prompt), task=Task.EXTEND, video=long, direction=direction, frames=len(long) + length,
            seed=prompt.seed + 1 + number,
        )  # fmt: skip
        long = subject.make(wanted)
    joins = np.arange(1, TIMES + 1) * length - 1  # the step from frame k L - 1 to frame k L
    return long, joins if direction == "forward" else len(long) - 2 - joins


def pooled(clips: list[list[dict[str, float]]]) -> dict[str, float]:
    """Return the standard deviation among clips of one prompt, pooled over the prompts."""
    names = clips[0][0]
    return {
        name: max(1e-6, float(np.sqrt(np.mean([np.var([c[name] for c in group], ddof=1) for group in clips]))))
        for name in names
    }


if __name__ == "__main__":
    run("extend", TITLE, measure)
