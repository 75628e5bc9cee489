"""Clips whose failure is known, made by breaking the simulator's own clips: where it is, and of what type."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from evaluation.findings import ClipInput
from kinora.worlds import PALETTE, SHAPES, Body, Sample, parse, render, sentences

VISIBLE = 3  # column of the states
GONE_FOR = 3  # frames that an object is gone where it returns
INSERTED = 0.8  # size of an inserted object beside the one that is there


@dataclass(frozen=True, eq=False)
class CorruptedClip:
    """A clip with one failure put in, its type, and the frames that show it (inclusive)."""

    clip: ClipInput
    type: str
    start_frame: int
    end_frame: int


def deleted(sample: Sample, clip: ClipInput) -> CorruptedClip | None:
    """The object is gone from the middle of the clip on."""
    middle = _middle(sample)
    if middle is None:
        return None
    states = sample.states.copy()
    states[middle:, 0, VISIBLE] = 0
    return CorruptedClip(_drawn(sample, states, clip), "disappearance", middle, len(states) - 1)


def blinking(sample: Sample, clip: ClipInput) -> CorruptedClip | None:
    """The object is gone for three frames."""
    middle = _middle(sample)
    if middle is None:
        return None
    states = sample.states.copy()
    states[middle : middle + GONE_FOR, 0, VISIBLE] = 0
    return CorruptedClip(_drawn(sample, states, clip), "permanence", middle, middle + GONE_FOR - 1)


def inserted(sample: Sample, clip: ClipInput) -> CorruptedClip | None:
    """A second object is there from the middle of the clip on, as far from the first as the frame allows."""
    scene, states = sample.scene, sample.states
    first = scene.bodies[0]
    size = INSERTED * first.size
    grid = [
        (x, y)
        for x in np.linspace(1.4 * size, scene.width - 1.4 * size, 9)
        for y in np.linspace(1.4 * size, scene.height - 1.4 * size, 9)
    ]
    clear = [np.hypot(states[:, 0, 0] - x, states[:, 0, 1] - y).min() for x, y in grid]
    if max(clear) < 1.5 * (size + first.size):
        return None  # it could come from behind the first
    x, y = grid[int(np.argmax(clear))]
    colour = next(name for name in PALETTE if name != first.colour)
    middle = len(states) // 2
    column = np.zeros((len(states), 1, states.shape[2]))
    column[:, 0, :2] = x, y
    column[middle:, 0, VISIBLE] = 1
    scene = replace(scene, bodies=(*scene.bodies, Body(colour, "circle", size, float(x), float(y))))
    sample = replace(sample, scene=scene)
    drawn = _drawn(sample, np.concatenate([states, column], axis=1), clip)
    return CorruptedClip(drawn, "appearance", middle, len(states) - 1)


def frozen(sample: Sample, clip: ClipInput) -> CorruptedClip | None:
    """Every frame from the middle on repeats the middle one."""
    middle = len(clip.frames) // 2
    frames = clip.frames.copy()
    frames[middle:] = frames[middle]
    return CorruptedClip(replace(clip, frames=frames), "freeze", middle + 1, len(frames) - 1)


def upside_down(sample: Sample, clip: ClipInput) -> CorruptedClip | None:
    """Gravity points upward: the clip is turned over."""
    if not sample.scene.gravity:
        return None
    return CorruptedClip(replace(clip, frames=clip.frames[:, ::-1]), "gravity", 0, len(clip.frames) - 1)


def weightless(sample: Sample, clip: ClipInput) -> CorruptedClip | None:
    """There is no gravity: the object moves evenly from where it starts to where it would end."""
    if not sample.scene.gravity:
        return None
    states = sample.states.copy()
    states[:, 0, 1] = np.linspace(states[0, 0, 1], states[-1, 0, 1], len(states))
    return CorruptedClip(_drawn(sample, states, clip), "gravity", 0, len(states) - 1)


def scrambled(sample: Sample, clip: ClipInput) -> CorruptedClip | None:
    """The second half of the clip is noise."""
    middle = len(clip.frames) // 2
    frames = clip.frames.copy()
    frames[middle:] = np.random.default_rng(middle).integers(0, 256, frames[middle:].shape)
    return CorruptedClip(replace(clip, frames=frames), "incoherence", middle, len(frames) - 1)


def another_colour(sample: Sample, clip: ClipInput) -> CorruptedClip | None:
    """The prompt names another colour."""
    return _other_prompt(clip, lambda colour, shape: (_other(tuple(PALETTE), colour), shape))


def another_shape(sample: Sample, clip: ClipInput) -> CorruptedClip | None:
    """The prompt names another shape."""
    return _other_prompt(clip, lambda colour, shape: (colour, _other(SHAPES, shape)))


CORRUPTIONS: dict[str, Callable[[Sample, ClipInput], CorruptedClip | None]] = {
    "object deleted midway": deleted,
    "object gone for three frames": blinking,
    "object inserted midway": inserted,
    "frozen from the middle on": frozen,
    "gravity turned upward": upside_down,
    "no gravity": weightless,
    "noise from the middle on": scrambled,
    "prompt names another colour": another_colour,
    "prompt names another shape": another_shape,
}


def _middle(sample: Sample) -> int | None:
    """Return a frame of the middle third at which the object is well inside the frame and stays for a while."""
    scene, states = sample.scene, sample.states
    size, frames = scene.bodies[0].size, len(states)
    x, y = states[:, 0, 0], states[:, 0, 1]
    room = np.minimum.reduce([x, y, scene.width - x, scene.height - y]) / size
    speed = np.abs(np.gradient(states[:, 0, :2], axis=0)).max(axis=1) / size
    candidates = [
        t
        for t in range(frames // 3, frames - GONE_FOR - 1)
        if (room - 2 * speed)[t - 1 : t + GONE_FOR + 1].min() > 1.05
    ]
    return min(candidates, key=lambda t: abs(t - frames // 2), default=None)


def _drawn(sample: Sample, states: np.ndarray, clip: ClipInput) -> ClipInput:
    height, width = clip.frames.shape[1:3]
    return replace(clip, frames=render(sample.scene, states, width, height))


def _other_prompt(
    clip: ClipInput, change: Callable[[str | None, str | None], tuple[str | None, str | None]]
) -> CorruptedClip | None:
    said = parse(clip.prompt or "")
    if said is None or not said.objects:
        return None
    (first, *rest) = said.objects
    prompt = sentences(replace(said, objects=(change(*first), *rest)))[0]
    return CorruptedClip(replace(clip, prompt=prompt), "prompt_mismatch", 0, len(clip.frames) - 1)


def _other(names: tuple[str, ...], name: str | None) -> str:
    return names[(names.index(str(name)) + 1) % len(names)]
