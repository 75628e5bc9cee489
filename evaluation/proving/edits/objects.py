"""Edits of things that are in the footage: removed, put back, moved, recoloured, resized, exchanged."""

from collections.abc import Iterator
from math import ceil

import cv2
import numpy as np

from evaluation.proving.case import Known
from evaluation.proving.edits.cutouts import Thing, soft
from evaluation.proving.edits.degrees import (
    CHANGE_SECONDS,
    FADES,
    GONE_SECONDS,
    JUMPS,
    SCALES,
    TINTS,
    degree,
    grown,
)
from evaluation.proving.edits.workbench import Bench, around, other_colour, tinted

Edited = tuple[np.ndarray, Known]
SETTLED_AFTER = 4  # frames that something is seen again for


def removed(bench: Bench, rng: np.random.Generator) -> Edited | None:
    """Something vanishes for good."""
    for thing in _shuffled(bench, rng):
        moments = [t for t in bench.clear_frames(thing, 3) if t - thing.start >= bench.settled()]
        if not bench.goes_over_border(thing) or len(moments) <= bench.settled():
            continue
        t, severity = int(rng.choice(moments[: -bench.settled()])), degree(rng)
        frames = bench.frames.copy()
        for frame in range(t, thing.end + 1):
            frames[frame] = bench.without(thing, frame, grown(frame - t, FADES[severity]))
        return frames, Known("disappearance", t, min(t + FADES[severity], len(frames) - 1), _place(thing, t), severity)
    return None


def uncovered(bench: Bench, rng: np.random.Generator) -> Edited | None:
    """Something is not there, and then it is."""
    for thing in _shuffled(bench, rng):
        moments = [t for t in bench.clear_frames(thing, 3) if thing.end - t >= bench.settled()]
        if not bench.comes_from_border(thing) or len(moments) <= bench.settled():
            continue
        t, severity = int(rng.choice(moments[bench.settled() :])), degree(rng)
        frames, fade = bench.frames.copy(), FADES[severity]
        for frame in range(thing.start, min(t + fade, thing.end + 1)):
            share = 1.0 if frame < t else 1 - grown(frame - t, fade)
            frames[frame] = bench.without(thing, frame, share)
        return frames, Known("appearance", t, min(t + fade, len(frames) - 1), _place(thing, t), severity)
    return None


def gone_for_a_while(bench: Bench, rng: np.random.Generator) -> Edited | None:
    """Something is gone for some frames."""
    for thing in _shuffled(bench, rng):
        severity = degree(rng)
        gone = max(2, round(GONE_SECONDS[severity] * bench.piece.fps))
        clear = set(bench.clear_frames(thing, 2))
        moments = [
            t
            for t in sorted(clear)
            if t - thing.start >= bench.settled() and thing.end - t - gone >= SETTLED_AFTER and t + gone in clear
        ]
        if not moments:
            continue
        t = int(rng.choice(moments))
        frames = bench.frames.copy()
        for frame in range(t, t + gone):
            frames[frame] = bench.without(thing, frame)
        return frames, Known("permanence", t, t + gone - 1, _place(thing, t), severity)
    return None


def jumped(bench: Bench, rng: np.random.Generator) -> Edited | None:
    """Something is suddenly elsewhere and goes on from there."""
    height, width = bench.frames.shape[1:3]
    for thing in _shuffled(bench, rng):
        moments = [t for t in bench.clear_frames(thing, 3) if t - thing.start >= bench.settled()]
        if not bench.goes_over_border(thing) or len(moments) <= bench.settled():
            continue
        t, severity = int(rng.choice(moments[: -bench.settled()])), degree(rng)
        x0, y0, x1, y1 = thing.box(t)
        length = JUMPS[severity] * max(x1 - x0, y1 - y0)
        for angle in rng.uniform(0, 2 * np.pi, 12):
            dx, dy = round(length * np.cos(angle)), round(length * np.sin(angle))
            moved = (x0 + dx, y0 + dy, x1 + dx, y1 + dy)
            inside = moved[0] >= 2 and moved[1] >= 2 and moved[2] <= width - 2 and moved[3] <= height - 2
            if not inside or bench.scene.differs[t][moved[1] : moved[3], moved[0] : moved[2]].mean() > 0.3:
                continue
            frames = bench.frames.copy()
            for frame in range(t, thing.end + 1):
                frames[frame] = _redrawn(bench, thing, frame, np.array([[1, 0, dx], [0, 1, dy]], dtype=float))
            return frames, Known("teleport", t, t, around([_place(thing, t), moved]), severity)
    return None


def recoloured(bench: Bench, rng: np.random.Generator) -> Edited | None:
    """Something takes another colour."""
    found = _turning(bench, rng)
    if found is None:
        return None
    thing, t, severity, frames = found
    mean = bench.frames[t][thing.mask(t)].mean(axis=0)
    target, over = other_colour(mean, rng), CHANGE_SECONDS[severity] * bench.piece.fps
    for frame in range(t, thing.end + 1):
        alpha = soft(thing.mask(frame), 1, 0.7)
        share = TINTS[severity] * grown(frame - t, over)
        frames[frame] = ((1 - alpha) * frames[frame] + alpha * tinted(frames[frame], target, share)).round()
    return frames, Known("identity_drift", t, min(t + ceil(over), thing.end), _place(thing, t), severity)


def resized(bench: Bench, rng: np.random.Generator) -> Edited | None:
    """Something grows or shrinks."""
    found = _turning(bench, rng)
    if found is None:
        return None
    thing, t, severity, frames = found
    final = SCALES[severity] if rng.random() < 0.6 else 1 / SCALES[severity]
    over = CHANGE_SECONDS[severity] * bench.piece.fps
    for frame in range(t, thing.end + 1):
        x0, _, x1, low = thing.box(frame)
        scale = final ** grown(frame - t, over)
        cx = (x0 + x1) / 2  # it keeps standing where it stands
        frames[frame] = _redrawn(
            bench, thing, frame, np.array([[scale, 0, cx - scale * cx], [0, scale, low - scale * low]])
        )
    return frames, Known("identity_drift", t, min(t + ceil(over), thing.end), _place(thing, t), severity)


def exchanged(bench: Bench, rng: np.random.Generator) -> Edited | None:
    """Something is suddenly another thing of its size."""
    found = _turning(bench, rng)
    if found is None or not bench.sprites:
        return None
    thing, t, _, frames = found
    sprite = bench.sprites[int(rng.integers(len(bench.sprites)))]
    for frame in range(t, thing.end + 1):
        x0, y0, x1, y1 = thing.box(frame)
        size = (x1 - x0, y1 - y0)
        alpha = cv2.resize(sprite.alpha, size, interpolation=cv2.INTER_AREA)[..., None]
        image = cv2.resize(sprite.image, size, interpolation=cv2.INTER_AREA)
        frames[frame] = bench.without(thing, frame)
        part = frames[frame, y0:y1, x0:x1]
        frames[frame, y0:y1, x0:x1] = ((1 - alpha) * part + alpha * image).round()
    return frames, Known("identity_drift", t, t, _place(thing, t), "gross")


def _turning(bench: Bench, rng: np.random.Generator) -> tuple[Thing, int, str, np.ndarray] | None:
    """Return a thing that can be changed from a frame on, that frame, a severity, and frames to change."""
    for thing in _shuffled(bench, rng):
        moments = [t for t in bench.clear_frames(thing, 3) if t - thing.start >= bench.settled()]
        if len(moments) > bench.settled():
            return thing, int(rng.choice(moments[: -bench.settled()])), degree(rng), bench.frames.copy()
    return None


def _redrawn(bench: Bench, thing: Thing, frame: int, change: np.ndarray) -> np.ndarray:
    """Return a frame in which a thing is drawn again after an affine change `[2, 3]` of the picture."""
    height, width = bench.frames.shape[1:3]
    behind = bench.without(thing, frame)
    alpha = cv2.warpAffine(soft(thing.mask(frame), 1, 0.8), change, (width, height))[..., None]
    drawn = cv2.warpAffine(bench.frames[frame], change, (width, height), flags=cv2.INTER_LINEAR)
    return np.asarray(((1 - alpha) * behind + alpha * drawn).round().astype(np.uint8))


def _shuffled(bench: Bench, rng: np.random.Generator) -> Iterator[Thing]:
    """Yield the things, large ones first more often than not."""
    weights = [rng.random() * float(np.mean([m.sum() for m in thing.masks])) for thing in bench.things]
    yield from (bench.things[i] for i in np.argsort(weights)[::-1])


def _place(thing: Thing, t: int) -> tuple[int, int, int, int]:
    return around([thing.box(frame) for frame in range(max(thing.start, t - 1), min(thing.end, t + 1) + 1)])
