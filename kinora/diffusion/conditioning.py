"""One mask unifies the tasks: it says which latent frames of a clip are conditioning frames.

Their tokens are clean, count as time 0, and are not part of the loss. Text to video and to image have none; image to
video has the first latent frame; forward extension the first k; backward extension the last k.
"""

from enum import StrEnum

import torch
from torch import Tensor

from kinora.data.packing import Layout


class Task(StrEnum):
    """What a clip is generated from, besides its text."""

    TEXT = "text"
    IMAGE = "image"
    FORWARD = "forward"
    BACKWARD = "backward"


def conditioning_frames(task: Task, frames: int, count: int = 1) -> list[bool]:
    """Return which of `frames` latent frames are conditioning frames; `count` of them in the two extensions."""
    count = {Task.TEXT: 0, Task.IMAGE: 1}.get(task, count)
    assert count < frames or count == 0, "something must be left to generate"
    if task is Task.BACKWARD:
        return [frame >= frames - count for frame in range(frames)]
    return [frame < count for frame in range(frames)]


def draw_conditioning_frames(frames: int, generator: torch.Generator, share: float) -> list[bool]:
    """Draw a task for training: with probability `share` one that has conditioning frames, else text alone."""
    choice = torch.rand(2, generator=generator).tolist()
    if frames == 1 or choice[0] >= share:
        return conditioning_frames(Task.TEXT, frames)
    if choice[1] < 0.5:
        return conditioning_frames(Task.IMAGE, frames)
    count = int(torch.randint(1, frames, (1,), generator=generator))
    return conditioning_frames(Task.FORWARD if choice[1] < 0.75 else Task.BACKWARD, frames, count)


def conditioning_mask(layout: Layout, frames: list[list[bool]]) -> Tensor:
    """Return which tokens are of conditioning frames, `[N]`, from those of each clip in the order of `pack`."""
    masks = []
    for place, (_, rows, columns) in zip(layout.order, layout.grids, strict=True):
        masks.append(torch.tensor(frames[place]).repeat_interleave(rows * columns))
    return torch.cat(masks)
