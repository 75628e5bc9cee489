"""Full size: exactly the pixels asked for, and the prompted objects nearly as often as at the native size.

python -m benchmarks.reach.full_size
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from benchmarks.reach.figures import Figure, share, single
from benchmarks.reach.options import Subject, run
from evaluation.evaluator import judge
from evaluation.findings import ClipInput
from kinora.worlds import EvaluationPrompt

TITLE = "Full size"
COUNT = 2  # prompts a size: a frame of 1920x1080 is 500 of 64x64
SIZES = ((1920, 1080, "video"), (1080, 1920, "video"), (2048, 2048, "image"))
SHORT = 9  # frames of a video at full size
OF_NATIVE = 0.80


def measure(subject: Subject) -> list[Figure]:
    """Return how many clips have the exact size, and the prompted objects at full size relative to native."""
    figures = []
    prompts = [replace(p, frames=min(p.frames, SHORT)) for p in subject.prompts(subject.options.count or COUNT)]
    for width, height, kind in SIZES:
        asked = [replace(p, frames=1) if kind == "image" else p for p in prompts]
        large = [replace(p, width=width, height=height) for p in asked]
        made = subject.generate(large)
        name = f"{kind} of {width}x{height}"
        exact = [clip.shape[:3] == (p.frames, height, width) for clip, p in zip(made, large, strict=True)]
        figures.append(share(f"{name}: exactly so large", exact, 1.0))
        native, full = prompted(subject.generate(asked), asked), prompted(made, large)
        figures += [share(f"{name}: right at native size", native), share(f"{name}: right at full size", full)]
        ratio = np.mean(full) / max(float(np.mean(native)), 1e-6)
        figures.append(
            single(f"{name}: of what native gets", ratio, "%", f"at least {OF_NATIVE:.0%}", bool(ratio >= OF_NATIVE))
        )
    return figures


def prompted(clips: Sequence[np.ndarray], prompts: Sequence[EvaluationPrompt]) -> list[bool]:
    """Return for every clip whether it shows exactly the prompted objects in the right colours and shapes."""
    right = []
    for clip, prompt in zip(clips, prompts, strict=True):
        parts = judge(ClipInput("", clip, prompt.fps, prompt.prompt))["prompt_mismatch"].parts
        right.append(all(parts.get(part, 1.0) == 1.0 for part in ("objects", "colour", "shape")) and bool(parts))
    return right


if __name__ == "__main__":
    run("full_size", TITLE, measure)
