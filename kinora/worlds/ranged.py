"""Scenes whose sizes and speeds are drawn evenly from given ranges, placed as PhyWorld places them.

After the simulator of Kang et al., "How Far is Video Generation from World Model" (arXiv:2411.02385), whose code is
github.com/phyworld/phyworld: what moves evenly or is thrown level, from near the top, begins whole in the frame and
stays for most of the clip where it can; two that run into each other do so head-on, late enough to be seen coming and
early enough to be seen going apart.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from kinora.errors import UsageError
from kinora.worlds.motion import DIRECTIONS, reach
from kinora.worlds.scene import Body, Brief, Scene

Ranges = Sequence[tuple[float, float]]  # (lowest, highest), one or more

MOTIONS = (*DIRECTIONS, "thrown right", "thrown left", "collide")  # those that can be drawn from ranges
GRAVITY = 0.25  # world units per second squared: theirs is 2.5 in a frame of 10
STAYS = 0.75  # of the clip is what moves whole in the frame, where its way is no longer than that
MARGIN = 0.05  # world units: between the frame's edges and what passes beside them
BEGINS = 0.05  # world units: how far from the edge at most what is too fast to stay begins
TOP = 0.1  # world units: over how much height throws begin
MEETS = (0.2, 0.75)  # when two touch, as a share of the clip
TRIES = 1000  # of two that meet in time


def check_ranges(radii: Ranges, speeds: Ranges, motions: set[str], *, alone: bool) -> None:
    """Raise UsageError if nothing can be drawn from ranges; `alone` says that there is one thing, which does not turn.

    What collides are two in any case.
    """
    if not (radii and speeds and motions <= set(MOTIONS) and alone):
        raise UsageError(
            "radii and speeds go together, for one thing that does not turn, and for no other motions than "
            f"{', '.join(MOTIONS)}."
        )
    if min(low for low, _ in radii) <= 0 or any(not 0 <= low <= high for low, high in (*radii, *speeds)):
        raise UsageError("a range of radii or speeds is (lowest, highest), above 0 of radii and from 0 of speeds.")


def ranged_scene(rng: np.random.Generator, brief: Brief, radii: Ranges, speeds: Ranges) -> Scene:
    """Draw a scene of one of `MOTIONS`, with `radii` in world units and `speeds` in world units per second.

    Raises:
        UsageError: if no two things of these radii and speeds meet in time.
    """
    return (_head_on if brief.motion == "collide" else _free)(rng, brief, radii, speeds)


def evenly(rng: np.random.Generator, ranges: Ranges) -> float:
    """Draw a number that is equally likely anywhere in the ranges."""
    lengths = np.array([high - low for low, high in ranges])
    chances = lengths / lengths.sum() if lengths.sum() else None
    return float(rng.uniform(*ranges[rng.choice(len(ranges), p=chances)]))


def _free(rng: np.random.Generator, brief: Brief, radii: Ranges, speeds: Ranges) -> Scene:
    ((colour, shape),) = brief.things
    thrown = brief.motion.startswith("thrown")
    forward = DIRECTIONS[brief.motion.removeprefix("thrown ")]
    speed = evenly(rng, speeds)
    body = Body(colour, shape, evenly(rng, radii), 0.0, 0.0)
    start = []
    for axis, extent in enumerate((brief.width, brief.height)):
        below, above = reach(body, axis)
        low, high = below, extent - above
        if forward[axis]:
            room = high - low - STAYS * brief.seconds * speed
            along = rng.uniform(0, room if room > 0 else BEGINS)
            start.append(low + along if forward[axis] > 0 else high - along)
        else:
            high -= MARGIN
            start.append(rng.uniform(high - TOP if thrown else low + MARGIN, high))
    x, y = map(float, start)
    moving = replace(body, x=x, y=y, vx=forward[0] * speed, vy=forward[1] * speed)
    world, gravity = ("ballistics", GRAVITY) if thrown else ("uniform", 0.0)
    return Scene(world, brief.motion, None, brief.background, brief.width, brief.height, (moving,), gravity)


def _head_on(rng: np.random.Generator, brief: Brief, radii: Ranges, speeds: Ranges) -> Scene:
    soonest, latest = (share * brief.seconds for share in MEETS)
    for _ in range(TRIES):
        sizes, paces = ([evenly(rng, ranges) for _ in range(2)] for ranges in (radii, speeds))
        still = [Body(*thing, size, 0.0, 0.0) for thing, size in zip(brief.things, sizes, strict=True)]
        reaches = [reach(body, 0) for body in still]
        room, closing = brief.width - sum(map(sum, reaches)), sum(paces)
        if 0 < closing * soonest <= room:
            break
    else:
        raise UsageError(
            f"no two things of these radii and speeds meet between {soonest:.2g} and {latest:.2g} s of a clip and "
            "begin whole in the frame; give smaller or slower ones."
        )
    meeting = float(rng.uniform(soonest, min(latest, room / closing)))
    tallest = max(side for body in still for side in reach(body, 1)) + MARGIN
    level = float(rng.uniform(tallest, brief.height - tallest))
    a, b = rng.permutation(2).tolist()  # from the left, and from the right
    x = reaches[a][0] + float(rng.uniform(0, room - closing * meeting))
    beside = x + reaches[a][1] + closing * meeting + reaches[b][0]
    placed = {
        a: replace(still[a], x=x, y=level, vx=paces[a]),
        b: replace(still[b], x=beside, y=level, vx=-paces[b]),
    }
    bodies = (placed[0], placed[1])
    return Scene("collision", brief.motion, None, brief.background, brief.width, brief.height, bodies, event_s=meeting)
