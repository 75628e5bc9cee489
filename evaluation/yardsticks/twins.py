"""Possible clips and their impossible twins: the same scene, drawn by the same renderer, with one law broken.

Lengths are those of the worlds: shorter sides of the frame, y upward.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from kinora.worlds import PALETTE, Sample, WorldsConfig, draw_sample, render
from kinora.worlds.scene import ANGLE, TIME, VISIBLE, X, Y

TRIES = 60  # scenes drawn for each that is asked for, at most


@dataclass(frozen=True, eq=False)
class Twins:
    """A possible clip `uint8 [T, H, W, 3]`, its impossible twins by what is broken in them, and what is the same in
    all: the sentence, the frames a second, and the number of the scene."""

    scene: int
    possible: np.ndarray
    impossible: dict[str, np.ndarray]
    prompt: str
    fps: float


def draw_twins(worlds: WorldsConfig, count: int, seed: int) -> list[Twins]:
    """Return scenes of the combinations that `worlds` holds out, until each kind of violation is in `count` of them.

    A scene has all twins that it allows and that are still wanted. Kinds that no configured world shows are missing.
    """
    wanted = {kind for kind, (shown_in, _) in VIOLATIONS.items() if set(shown_in) & set(worlds.worlds)}
    rng, drawn, found = np.random.default_rng(seed), Counter[str](), list[Twins]()
    for scene in range(TRIES * count):
        lacking = sorted(kind for kind in wanted if drawn[kind] < count)
        if not lacking:
            break
        sample = draw_sample(worlds, rng, held_out=True)
        impossible = {kind: frames for kind in lacking if (frames := broken(sample, kind, rng)) is not None}
        drawn.update(impossible.keys())
        if impossible:
            found.append(Twins(scene, sample.frames, impossible, sample.caption, sample.fps))
    return found


def broken(sample: Sample, kind: str, rng: np.random.Generator) -> np.ndarray | None:
    """Return the frames of a clip with one law broken; None where its scene does not show that law."""
    shown_in, breaks = VIOLATIONS[kind]
    return breaks(sample, rng) if sample.scene.world in shown_in else None


def gravity_reversed(sample: Sample, rng: np.random.Generator) -> np.ndarray | None:
    """Everything falls upward: each path is turned over about its own middle height."""
    states = sample.states.copy()
    heights = states[:, :, Y]
    states[:, :, Y] = heights.max(axis=0) + heights.min(axis=0) - heights
    return _drawn(sample, states)


def gravity_absent(sample: Sample, rng: np.random.Generator) -> np.ndarray | None:
    """Everything moves evenly from where it starts to where it ends."""
    states = sample.states.copy()
    states[:, :, Y] = np.linspace(states[0, :, Y], states[-1, :, Y], len(states))
    return _drawn(sample, states)


def teleport(sample: Sample, rng: np.random.Generator) -> np.ndarray | None:
    """From the middle on the first object is elsewhere, two of its sizes away at least, and moves as before."""
    middle, scene = len(sample.states) // 2, sample.scene
    if not _in_sight(sample, middle):
        return None
    size, extent = scene.bodies[0].size, np.array([scene.width, scene.height])
    path = sample.states[middle:, 0, [X, Y]]
    low, high = size - path.min(axis=0), extent - size - path.max(axis=0)
    shift = rng.uniform(np.minimum(low, high), np.maximum(low, high), (64, 2))
    far = shift[np.hypot(*shift.T) >= 2 * size]
    if (low > high).any() or not len(far):
        return None
    states = sample.states.copy()
    states[middle:, 0, [X, Y]] += far[0]
    return _drawn(sample, states)


def passing_through(sample: Sample, rng: np.random.Generator) -> np.ndarray | None:
    """What should collide goes on as if nothing was in its way."""
    states = sample.states.copy()
    for index, body in enumerate(sample.scene.bodies):
        states[:, index, X] = body.x + body.vx * states[:, index, TIME]
        states[:, index, Y] = body.y + body.vy * states[:, index, TIME]
        states[:, index, ANGLE] = body.angle
    return _drawn(sample, states)


def vanishing(sample: Sample, rng: np.random.Generator) -> np.ndarray | None:
    """The first object is gone from the middle on."""
    middle = len(sample.states) // 2
    if not _in_sight(sample, middle):
        return None
    states = sample.states.copy()
    states[middle:, 0, VISIBLE] = 0
    return _drawn(sample, states)


def colour_switch(sample: Sample, rng: np.random.Generator) -> np.ndarray | None:
    """From the middle on the first object has a colour that nothing in the scene has."""
    middle, scene = len(sample.states) // 2, sample.scene
    if not _in_sight(sample, middle):
        return None
    first, *others = scene.bodies
    unused = [colour for colour in PALETTE if colour not in {body.colour for body in scene.bodies}]
    recoloured = replace(first, colour=unused[int(rng.integers(len(unused)))])
    after = replace(sample, scene=replace(scene, bodies=(recoloured, *others)))
    return np.concatenate([sample.frames[:middle], _drawn(after, sample.states)[middle:]])


FREE = ("uniform", "ballistics")
Breaks = Callable[[Sample, np.random.Generator], np.ndarray | None]
VIOLATIONS: dict[str, tuple[tuple[str, ...], Breaks]] = {
    "gravity reversed": (("ballistics",), gravity_reversed),
    "no gravity": (("ballistics",), gravity_absent),
    "teleport": (FREE, teleport),
    "passing through": (("collision",), passing_through),
    "vanishing": (FREE, vanishing),
    "colour switch": (FREE, colour_switch),
}


def _drawn(sample: Sample, states: np.ndarray) -> np.ndarray:
    height, width = sample.frames.shape[1:3]
    return render(sample.scene, states, width, height)


def _in_sight(sample: Sample, middle: int) -> bool:
    """Say whether the first object's centre is in the frame for a quarter of the clip, from the middle on."""
    place = sample.states[middle : middle + len(sample.states) // 4, 0, [X, Y]]
    return bool(((place >= 0) & (place <= [sample.scene.width, sample.scene.height])).all())
