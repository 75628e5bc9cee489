"""Long video: a minute, in windows, written as it is made."""

from dataclasses import replace

import numpy as np

from benchmarks.reach.minute import lasting
from benchmarks.reach.options import LASTING
from benchmarks.report.studio import Section, Studio, Tile
from evaluation.checkpoint import request
from evaluation.evaluator import judge
from evaluation.findings import ClipInput

SECONDS = 60


def make(studio: Studio) -> Section:
    """Make a minute of the first held-out prompt whose motion can go on for ever; judge it second by second."""
    (prompt,) = studio.prompts(1, *LASTING)
    seconds = 4 if studio.options.side else SECONDS
    asked = replace(request(prompt), frames=round(seconds * prompt.fps))
    clip = np.concatenate(list(studio.subject.generator.stream(asked)))
    second = round(prompt.fps)
    right = []
    for start in range(0, len(clip) - second + 1, second):
        parts = judge(ClipInput("", clip[start : start + second], prompt.fps, prompt.prompt))["prompt_mismatch"].parts
        right.append(parts.get("objects") == 1.0 and parts.get("colour") == 1.0)
    caption = f"“{prompt.prompt}”, seed {prompt.seed}, {prompt.width}×{prompt.height}, {len(clip)} frames."
    shown = studio.show("minute", [[Tile(clip)]], prompt.fps, caption, quality=60)
    last = right[-max(1, len(right) // 6) :]
    note = (
        f"The prompted objects, in their colours, in {sum(right)} of {len(right)} seconds, in {sum(last)} of the last "
        f"{len(last)}; motion in the last five seconds {lasting(clip, 5 * second):.2f} times that in the first five."
    )
    return Section([shown], [note])
