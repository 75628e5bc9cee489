"""Every way in which a cut-out that is put into a scene can fail: each changes the act that was right."""

from collections.abc import Callable
from dataclasses import replace
from math import ceil

import numpy as np

from evaluation.proving.case import Known
from evaluation.proving.edits.acts import Act, Motion, fitting, room
from evaluation.proving.edits.degrees import (
    ASIDE,
    BOUNCES,
    CHANGE_SECONDS,
    FADES,
    GONE_SECONDS,
    JUMPS,
    NOT_AT_ALL,
    SCALES,
    TINTS,
    TURNS,
    UPWARD,
    degree,
    grown,
)
from evaluation.proving.edits.workbench import Bench, Sprite, around, other_colour

Way = Callable[[Bench, np.random.Generator, Act, Motion], tuple[Act, Known] | None]


def vanishing(bench: Bench, rng: np.random.Generator, act: Act, motion: Motion) -> tuple[Act, Known] | None:
    """It vanishes for good."""
    t, severity = _moment(bench, rng, act)
    share = 1 - grown(np.arange(len(act.at)) - t, FADES[severity])
    return replace(act, share=share), Known(
        "disappearance", t, min(t + FADES[severity], len(act.at) - 1), act.box(bench, t), severity
    )


def emerging(bench: Bench, rng: np.random.Generator, act: Act, motion: Motion) -> tuple[Act, Known] | None:
    """It comes from nothing."""
    t, severity = _moment(bench, rng, act)
    share = grown(np.arange(len(act.at)) - t, FADES[severity])
    return replace(act, share=share), Known(
        "appearance", t, min(t + FADES[severity], len(act.at) - 1), act.box(bench, t), severity
    )


def blinking(bench: Bench, rng: np.random.Generator, act: Act, motion: Motion) -> tuple[Act, Known] | None:
    """It is gone for some frames."""
    t, severity = _moment(bench, rng, act)
    gone = max(2, round(GONE_SECONDS[severity] * bench.piece.fps))
    end = min(t + gone - 1, len(act.at) - 5)
    share = act.share.copy()
    share[t : end + 1] = 0
    box = around([act.box(bench, t), act.box(bench, end)])
    return replace(act, share=share), Known("permanence", t, end, box, severity)


def jumping(bench: Bench, rng: np.random.Generator, act: Act, motion: Motion) -> tuple[Act, Known] | None:
    """It is suddenly elsewhere, and goes on from there."""
    t, severity = _moment(bench, rng, act)
    size = max(act.sprite.alpha.shape)
    space = room(bench, 0.3 * size)
    for angle in rng.uniform(0, 2 * np.pi, 16):
        away = JUMPS[severity] * size * np.array([np.cos(angle), np.sin(angle)])
        moved = act.at[t] + away
        if space is not None and (moved > space[0]).all() and (moved < space[1]).all():
            at = act.at.copy()
            at[t:] += away
            after = replace(act, at=at)
            return after, Known("teleport", t, t, around([act.box(bench, t - 1), after.box(bench, t)]), severity)
    return None


def recolouring(bench: Bench, rng: np.random.Generator, act: Act, motion: Motion) -> tuple[Act, Known] | None:
    """It takes another colour."""
    t, severity = _moment(bench, rng, act)
    mean = act.sprite.image[act.sprite.alpha > 0.5].mean(axis=0)
    over = CHANGE_SECONDS[severity] * bench.piece.fps
    tint = TINTS[severity] * grown(np.arange(len(act.at)) - t, over)
    known = Known("identity_drift", t, min(t + ceil(over), len(act.at) - 1), act.box(bench, t), severity)
    return replace(act, tint=tint, colour=other_colour(mean, rng)), known


def growing(bench: Bench, rng: np.random.Generator, act: Act, motion: Motion) -> tuple[Act, Known] | None:
    """It grows or shrinks."""
    t, severity = _moment(bench, rng, act)
    final = SCALES[severity] if rng.random() < 0.6 else 1 / SCALES[severity]
    over = CHANGE_SECONDS[severity] * bench.piece.fps
    known = Known("identity_drift", t, min(t + ceil(over), len(act.at) - 1), act.box(bench, t), severity)
    return replace(act, scale=final ** grown(np.arange(len(act.at)) - t, over)), known


def turning_into_another(bench: Bench, rng: np.random.Generator, act: Act, motion: Motion) -> tuple[Act, Known] | None:
    """It is suddenly another thing."""
    t, _ = _moment(bench, rng, act)
    height = float(np.sqrt(act.sprite.alpha.size))
    others = [sprite for sprite in bench.sprites if _differ(sprite, act.sprite)]
    if not others:
        return None
    then = others[int(rng.integers(len(others)))].sized(height)
    known = Known("identity_drift", t, t, act.box(bench, t), "gross")
    return replace(act, then=then, turned=t), known


def pushed_by_nothing(bench: Bench, rng: np.random.Generator, act: Act, motion: Motion) -> tuple[Act, Known] | None:
    """It turns sharply, with nothing near that it could have met."""
    if motion.g or np.linalg.norm(np.diff(act.at, axis=0), axis=1).max() * bench.piece.fps < act.sprite.alpha.shape[0]:
        return None
    t, severity = _moment(bench, rng, act)
    angle = np.radians(TURNS[severity]) * rng.choice([-1, 1])
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    at = act.at.copy()
    at[t:] = at[t] + (at[t:] - at[t]) @ turn.T
    after = replace(act, at=at)
    return after, Known("momentum", t, min(t + 2, len(at) - 1), act.box(bench, t), severity)


def gaining_at_a_bounce(bench: Bench, rng: np.random.Generator, act: Act, motion: Motion) -> tuple[Act, Known] | None:
    """It leaves the floor faster than it came."""
    T, severity = len(act.at), degree(rng)
    bounces = [t for t in motion.bounces if 5 < t < T - 8]
    if not bounces or not motion.g:
        return None
    t, fps = bounces[0], bench.piece.fps
    came = float(act.at[t - 1, 1] - act.at[t - 3, 1]) * fps / 2
    if came <= 0:
        return None
    time = np.arange(T - t) / fps
    at = act.at.copy()
    up = at[t, 1] - BOUNCES[severity] * came * time + 0.5 * motion.g * time**2
    at[t:, 1] = np.where(time < 2 * BOUNCES[severity] * came / motion.g, up, at[t, 1])
    if at[t:, 1].min() < -act.sprite.alpha.shape[0]:
        return None
    return replace(act, at=at), Known("momentum", t, min(t + 4, T - 1), act.box(bench, t), severity)


def falling_upward(bench: Bench, rng: np.random.Generator, act: Act, motion: Motion) -> tuple[Act, Known] | None:
    """What flies is drawn up instead of down, from a moment on."""
    return _other_pull(bench, rng, act, motion, UPWARD, np.array([0.0, -1.0]))


def drawn_aside(bench: Bench, rng: np.random.Generator, act: Act, motion: Motion) -> tuple[Act, Known] | None:
    """What flies is drawn to a side instead of down, from a moment on."""
    aside = np.array([rng.choice([-1.0, 1.0]), 0.0])
    return _other_pull(bench, rng, act, motion, ASIDE, aside)


def hanging(bench: Bench, rng: np.random.Generator, act: Act, motion: Motion) -> tuple[Act, Known] | None:
    """What flies stops falling, and goes on evenly or hangs in the air."""
    return _other_pull(bench, rng, act, motion, NOT_AT_ALL, np.zeros(2))


def passing_through(bench: Bench, rng: np.random.Generator) -> tuple[list[Act], list[Act], Known] | None:
    """Return two things that meet and part, and the same two going through each other, half transparent in between."""
    sprites = fitting(bench, rng, 2)
    T, fps = len(bench.frames), bench.piece.fps
    if len(sprites) < 2:
        return None
    reach = 0.5 * sum(sprite.alpha.shape[1] for sprite in sprites)
    space = room(bench, 0.6 * max(sprite.alpha.shape[1] for sprite in sprites))
    if space is None or space[1][0] - space[0][0] < 2.2 * reach:
        return None
    (x0, y0), (x1, y1) = space
    y, middle = rng.uniform(y0, y1), (x0 + x1) / 2
    meet = int(rng.uniform(0.35, 0.6) * T)
    speed = min((x1 - x0 - reach) / 2 / meet, (x1 - x0 - reach) / 2 / (T - meet)) * rng.uniform(0.8, 1.0)
    if speed * fps < 0.4 * reach:
        return None
    time = np.arange(T) - meet
    right, through = middle + reach / 2 + speed * np.abs(time), middle + reach / 2 - speed * time
    apart = [np.stack([2 * middle - right, np.full(T, y)], 1), np.stack([right, np.full(T, y)], 1)]
    into = [np.stack([2 * middle - through, np.full(T, y)], 1), np.stack([through, np.full(T, y)], 1)]
    inside = np.abs(into[0][:, 0] - into[1][:, 0]) < 0.9 * reach
    if inside.sum() < 4:
        return None
    stretch = np.flatnonzero(inside)
    still = [Act(s, at, np.ones(T), np.ones(T), np.zeros(T)) for s, at in zip(sprites, apart, strict=True)]
    wrong = [replace(still[0], at=into[0]), replace(still[1], at=into[1], share=np.where(inside, 0.5, 1.0))]
    box = around([wrong[i].box(bench, int(t)) for i in (0, 1) for t in (stretch[0], stretch[-1])])
    return still, wrong, Known("interpenetration", int(stretch[0]), int(stretch[-1]), box, degree(rng))


def _other_pull(
    bench: Bench,
    rng: np.random.Generator,
    act: Act,
    motion: Motion,
    strengths: dict[str, float],
    way: np.ndarray,
) -> tuple[Act, Known] | None:
    """Return the act with another acceleration than gravity's from a moment of its first flight on."""
    if not motion.g or not motion.bounces:
        return None
    T, severity, fps = len(act.at), degree(rng), bench.piece.fps
    first = motion.bounces[0]
    t = int(rng.uniform(0.25, 0.6) * first)
    if t < 4 or T - t < 8:
        return None
    time = np.arange(T - t)[:, None] / fps
    speed = (act.at[t] - act.at[t - 1]) * fps
    at = act.at.copy()
    at[t:] = at[t] + speed * time + 0.5 * strengths[severity] * motion.g * way * time**2
    after = replace(act, at=at)
    end = min(T - 1, t + round(0.6 * fps))
    return after, Known("gravity", t, end, around([after.box(bench, f) for f in (t, (t + end) // 2, end)]), severity)


def _moment(bench: Bench, rng: np.random.Generator, act: Act) -> tuple[int, str]:
    T, settled = len(act.at), bench.settled()
    first, last = max(settled, T // 4), min(T - settled - 1, 3 * T // 4)
    return int(rng.integers(min(first, last), max(first, last) + 1)), degree(rng)


def _differ(one: Sprite, other: Sprite) -> bool:
    means = [sprite.image[sprite.alpha > 0.5].mean(axis=0) for sprite in (one, other)]
    return bool(np.abs(means[0] - means[1]).max() > 45)


_ANY: dict[str, dict[str, Way]] = {
    "disappearance": {"vanishes": vanishing},
    "appearance": {"comes from nothing": emerging},
    "permanence": {"is gone for a while": blinking},
    "teleport": {"jumps": jumping},
    "identity_drift": {
        "takes another colour": recolouring,
        "changes its size": growing,
        "turns into another": turning_into_another,
    },
}
# By how a cut-out moves and by type, in words.
FAILURES: dict[str, dict[str, dict[str, Way]]] = {
    "glides": _ANY | {"momentum": {"turns with nothing near": pushed_by_nothing}},
    "lies": _ANY,
    "is thrown": _ANY
    | {
        "momentum": {"gains speed at a bounce": gaining_at_a_bounce},
        "gravity": {
            "falls upward": falling_upward,
            "is drawn aside": drawn_aside,
            "goes on without falling": hanging,
        },
    },
}
