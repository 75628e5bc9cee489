"""Frames and regions that are given come back as well as the autoencoder alone gives them back, in every task.

python -m benchmarks.reach.given
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.reach.figures import Figure, mean
from benchmarks.reach.measures import psnr
from benchmarks.reach.options import Subject, run
from evaluation.checkpoint import request
from kinora.generation import GenerationRequest
from kinora.generation.request import Task

TITLE = "Given frames come back"
COUNT = 4  # clips a task
LOSS = 1.0  # dB
Case = tuple[GenerationRequest, Callable[[np.ndarray], np.ndarray], np.ndarray, np.ndarray | None]


def measure(subject: Subject) -> list[Figure]:
    """Return for every task how many dB the given frames lose against the autoencoder alone."""
    losses: dict[str, list[float]] = {}
    for prompt in subject.prompts(subject.options.count or COUNT):
        clip = subject.simulated(prompt)
        for name, (wanted, shown, truth, known) in cases(request(prompt), clip).items():
            made = shown(subject.make(wanted))
            alone = subject.reconstructed(truth)
            losses.setdefault(name, []).append(psnr(alone, truth, known) - psnr(made, truth, known))
    return [mean(f"{name}: lost", values, "dB", at_most=LOSS) for name, values in losses.items()]


def cases(plain: GenerationRequest, clip: np.ndarray) -> dict[str, Case]:
    """Return for every task: the request, what of the clip made of it was given, the truth, and its known pixels."""
    T, H, W, _ = clip.shape
    third, half = T // 3, T // 2
    region = (W // 4, H // 4, W // 2, H // 2)
    outside = np.ones((H, W), dtype=bool)
    outside[region[1] : region[1] + region[3], region[0] : region[0] + region[2]] = False
    missing = ((third, 2 * third - 1),)
    kept = np.r_[:third, 2 * third : T]

    def asked(task: Task, **media: Any) -> GenerationRequest:
        return replace(plain, task=task, **media)

    return {
        "first frame": (asked(Task.IMAGE, image=clip[0]), lambda c: c[:1], clip[:1], None),
        "last frame": (asked(Task.IMAGE, last_image=clip[-1]), lambda c: c[-1:], clip[-1:], None),
        "first and last frame": (
            asked(Task.IMAGE, image=clip[0], last_image=clip[-1]), lambda c: c[[0, -1]], clip[[0, -1]], None,
        ),
        "extended forward": (
            asked(Task.EXTEND, video=clip[:half], direction="forward"), lambda c: c[:half], clip[:half], None,
        ),
        "extended backward": (
            asked(Task.EXTEND, video=clip[:half], direction="backward"), lambda c: c[-half:], clip[:half], None,
        ),
        "connected": (
            asked(Task.CONNECT, video=clip[:half], to_video=clip[half:], frames=T + half),
            lambda c: np.concatenate([c[:half], c[half - T :]]), clip, None,
        ),
        "missing frames": (asked(Task.FILL, video=clip, missing=missing), lambda c: c[kept], clip[kept], None),
        "missing region": (asked(Task.FILL, video=clip, region=region), lambda c: c, clip, outside),
        "interpolated": (
            asked(Task.INTERPOLATE, video=clip[::2], factor=2, frames=2 * len(clip[::2]) - 1),
            lambda c: c[::2], clip[::2], None,
        ),
    }  # fmt: skip


if __name__ == "__main__":
    run("given", TITLE, measure)
