"""Momentum: nothing turns with nothing near it, leaves a wall faster than it came, or acts without a reaction.

Velocities before and after a turn come from the paths (`moves.py`) with their errors. What turns alone needs something
that it met: an edge of the scene, or the frame's, on the side from which it was pushed. How surely it met nothing is
told by a logistic model of a few measures, and believed as far as its places tell what the flow does. A wall gives back
at most the speed that came. Where two things meet, the changes of their velocities point away from each other, are to
one another as the masses, which an eye guesses by the size, and they part at most as fast as they came together, and do
not both stop.
"""

from itertools import chain

import numpy as np

from evaluation.evidence.clip import Evidence
from evaluation.evidence.tracks import Track
from evaluation.findings import Candidate, Finding, calibrated, unmeasurable
from evaluation.physics.contacts import REACH, Cause, cause_of, ran_into, surface
from evaluation.physics.gravity import falls
from evaluation.physics.meetings import MASS, Meeting, around, meetings, turned
from evaluation.physics.moves import moves
from evaluation.physics.paths import GAP, SMALL, Path, Turn

TYPE = "momentum"
SURE, MUCH = 5.0, 0.7  # standard errors, and radii a second, of a change of velocity of strength log 2
ELASTIC = 1.12  # of the speed that comes: a wall gives back no more, but for errors
MASSES = 2.5  # times another ratio of the masses than the sizes say
TOUCHING = 0.3  # of the distance at which two touch: farther apart, they did not
UNTOUCHED = 0.4  # times the strength, where one of two is as if it had met nothing
CLOSE = 0.15  # of that distance: as far apart, two that stop hardly did so by one another
BACK = 0.15  # of the momentum that a thing gets, by their sizes, which one that struck it loses at least
FLOORED = 0.3  # times the strength, where it turns as on a floor that is not seen
FROM_ABOVE = 0.4  # cosine between straight down and the way to the one that is struck
UPRIGHT = 0.9  # cosine between the push of a floor and straight up
FACING = 0.7  # cosine between the change of one that is struck, and the way from the other to it
ALONG = 0.5  # cosine between the changes of two, from which they did not push each other
FEWEST = 8  # frames
SURELY, CHANGED = 2.5, 0.35  # standard errors, and radii a second, of a change that is weighed
FASTER, GAINED = 1.05, 3.0  # of the speed that came, and errors beyond it, from which what bounces surely gains speed
SIGHTS, UNTOLD = 5, 0.7  # beside a turn that tell its velocities, and parts of the change that they are off by untold
DISAGREES = 0.4, 1.2  # parts of the change by which the velocities that they tell are little and too much off
HELD = 0.75  # of the strength, that it takes to see two that meet wholly
TOGETHER = 1.5  # times the strength of what two do: what is weighed so much seems wrong less often than a push
LEAST, BESIDE = 0.02, 3  # added to what is large before its logarithm; sights on both sides of a turn
# Fitted by `benchmarks.fit_weights` to clips of paper, clay and footage (half `dev`): those that fail have something
# pushed by nothing, or a bounce that gains speed.
BIAS = -0.14
WEIGHTS = {
    "large": 1.75,
    "credit": 0.80,
    "pixels": 1.65,
    "whole": 0.23,
    "others turn": -0.53,
    "gap": -0.55,
    "ran into": -0.83,
    "border": -0.52,
    "wall": -1.24,
    "floor": -2.26,
}


def momentum(evidence: Evidence) -> Finding:
    """Find changes of velocity without a cause, and collisions that do not keep the momentum."""
    if len(evidence.luma) < FEWEST:
        return unmeasurable(TYPE, f"fewer than {FEWEST} frames show no change of motion", due=False)
    evidence, known = moves(evidence)
    if not known:
        return unmeasurable(TYPE, "nothing that moves can be followed well enough", due=False)
    met = meetings(evidence, known)
    alone = [c for path in known for turn in path.turns if (c := _alone(evidence, turn, known)) is not None]
    both = [c for meeting in met if (c := _together(evidence, meeting)) is not None]
    return calibrated(TYPE, sorted(chain(alone, both), key=lambda c: -c.strength)[:5])


def _alone(evidence: Evidence, turn: Turn, known: tuple[Path, ...]) -> Candidate | None:
    """Return a change of velocity that no other thing near explains."""
    change, speed, path = turn.change, float(np.hypot(*turn.change)), turn.path
    if speed < SURELY * turn.error or speed < CHANGED * path.radius or turn.gap > GAP:
        return None
    agrees = _agreement(turn)
    if not agrees:
        return None
    push = change / speed
    cause = cause_of(evidence, turn, known, push)
    if cause.thing < REACH[0] + REACH[1] * path.radius and cause.other and _struck(turn, cause.other, push):
        return None  # the two are judged together
    measured = measure(evidence, turn, known, cause)
    odds = BIAS + sum(weight * measured[name] for name, weight in WEIGHTS.items())
    given, radius, t = _given_back(turn, push, 0.0), path.radius, turn.frame
    if given > ELASTIC and turn.before.velocity(turn.time) @ push < -turn.error and cause.surface > 0.8:
        text = f"It leaves what it bounces off at frame {t} at {given:.1f} times the speed that it came with."
    else:
        text = (
            f"It turns at frame {t} with nothing near: its velocity changes by {speed / radius:.1f} of its radii a "
            f"second, {speed / turn.error:.0f} times the error."
        )
    strength = float(np.logaddexp(0, odds)) * agrees
    box = box_about(evidence, (path.track,), t - 1, t + 1)
    return Candidate(t, min(t + 1, len(evidence.luma) - 1), strength, text, box)


def measure(evidence: Evidence, turn: Turn, known: tuple[Path, ...], cause: Cause) -> dict[str, float]:
    """Return everything that the model weighs of a turn, by name."""
    path, track, speed = turn.path, turn.path.track, float(np.hypot(*turn.change))
    push, (first, last) = turn.change / speed, turn.span
    large = min(speed / (SURE * turn.error), speed / (MUCH * path.radius))
    others = [sum(turned(one) for one in other.turns) for other in known if other is not path]
    bounces = _bounces(turn, push)
    fastest = float(np.hypot(*turn.before.velocity(turn.time))) / path.fps
    around = slice(max(0, first - track.start - BESIDE), last - track.start + BESIDE + 1)
    return {
        "large": float(np.log(np.log1p(large) + LEAST)),
        "credit": float(np.log(path.credit)),
        "pixels": min(1.0, track.area / SMALL),
        "whole": float(track.whole[around].mean()),
        "others turn": float(np.log1p(np.mean(others))) if others else 0.0,
        "gap": float(turn.gap),
        "ran into": ran_into(evidence, turn, push),
        "border": float(cause.border < 2 + 0.5 * fastest),
        "wall": bounces * (1 - _open(cause.surface)),
        "floor": bounces * (_floored(turn, push) or _again(turn, push)),
    }


def _bounces(turn: Turn, push: np.ndarray) -> float:
    """Return how surely it came against a push and goes no faster than it came, 0..1."""
    came, goes = -float(turn.before.velocity(turn.time) @ push), float(turn.after.velocity(turn.time) @ push)
    if came < turn.error:
        return 0.0
    return float(np.clip(1 - (goes - FASTER * came) / (GAINED * turn.error), 0, 1))


def _agreement(turn: Turn) -> float:
    """Return how far the places in which it is wholly seen tell the same of its velocities, 0..1."""
    path, track = turn.path, turn.path.track
    change, worst = float(np.hypot(*turn.change)), 0.0
    for piece, first, last in (
        (turn.before, turn.span[0] - SIGHTS, turn.span[0]),
        (turn.after, turn.span[1], turn.span[1] + SIGHTS),
    ):
        sights = np.arange(max(first, track.start), min(last, track.end) + 1) - track.start
        whole = sights[track.whole[sights]]
        if len(whole) < 2 or whole[-1] - whole[0] < 2:
            worst = max(worst, UNTOLD)
            continue
        times = track.frames[whole] / path.fps
        velocity = np.polyfit(times - times.mean(), track.steady[whole], 1)[0]
        worst = max(worst, float(np.hypot(*(velocity - piece.velocity(times.mean())))) / change)
    return float(np.clip((DISAGREES[1] - worst) / (DISAGREES[1] - DISAGREES[0]), 0, 1))


def _struck(turn: Turn, other: Path, push: np.ndarray) -> bool:
    """Say whether another thing near explains a turn: it is pushed back, or is as a wall that stands or comes near."""
    before, after, time = around(other, turn)
    if before is None or after is None:
        return True
    if time is not None:
        back = -float((after.velocity(time) - before.velocity(time)) @ push) * (other.track.area / turn.path.track.area)
        if back > BACK * float(np.hypot(*turn.change)):
            return True
    return _given_back(turn, push, float(before.velocity(turn.time) @ push)) <= ELASTIC


def _given_back(turn: Turn, push: np.ndarray, wall: float) -> float:
    """Return how much faster it leaves a wall than it came, along a push, by two errors at least; 9 if it did not come.

    `wall` is the velocity of the wall along the push, in pixels a second.
    """
    came, goes = (
        wall - float(turn.before.velocity(turn.time) @ push),
        float(turn.after.velocity(turn.time) @ push) - wall,
    )
    if came < turn.error:
        return 9.0
    return max(0.0, goes - 2 * turn.error) / (came + 2 * turn.error)


def _floored(turn: Turn, push: np.ndarray) -> bool:
    """Say whether it falls and is thrown up again, as by a floor that is not seen."""
    return (
        turn.before.velocity(turn.time)[1] > turn.error and float(push[1]) < -UPRIGHT and falls(turn.path, turn.before)
    )


def _again(turn: Turn, push: np.ndarray) -> bool:
    """Say whether it is turned in the same way on the same line at another time, as by a floor that is not seen."""
    track = turn.path.track

    def reached(one: Turn) -> float:
        first, last = (frame - track.start for frame in one.span)
        return float((track.steady[first : last + 1] @ -push).max())

    return any(
        float(other.change @ push) > 0.9 * float(np.hypot(*other.change))
        and abs(reached(other) - reached(turn)) < REACH[0] + REACH[1] * turn.path.radius
        for other in turn.path.turns
        if other is not turn and other.frame != turn.frame and turned(other)
    )


def _open(plainness: float) -> float:
    """Return how little an edge of a plainness is something that it could have bounced off, 0..1."""
    return float(np.clip((1 - plainness) / 0.6, 0.1, 1))


def _together(evidence: Evidence, meeting: Meeting) -> Candidate | None:
    """Return what is wrong with how two things change each other's motion."""
    one, other = meeting.changes
    sizes = np.hypot(*one), np.hypot(*other)
    if meeting.depth < -TOUCHING:
        return None
    towards = meeting.apart / max(float(np.hypot(*meeting.apart)), 1e-9)
    error = float(np.hypot(*meeting.errors))
    came = float((meeting.before[0] - meeting.before[1]) @ towards)
    parts = float((meeting.after[1] - meeting.after[0]) @ towards)
    radius = min(meeting.one.radius, meeting.other.radius)
    gained = parts - ELASTIC * max(came, 0.0)
    expected = MASS * np.log(meeting.other.track.area / meeting.one.track.area)
    most = [np.log((sizes[0] + 2 * meeting.errors[0]) / max(sizes[1] - 2 * meeting.errors[1], 1e-9))]
    least = [np.log(max(sizes[0] - 2 * meeting.errors[0], 1e-9) / (sizes[1] + 2 * meeting.errors[1]))]
    uneven = max(0.0, least[0] - expected, expected - most[0]) - np.log(MASSES)
    whole, fit = meeting.clear
    credit = min(meeting.one.credit, meeting.other.credit) * (0.5 if meeting.fewest < 4 else 1.0)
    credit *= TOGETHER * fit * (1 - HELD + HELD * whole)
    index = int(np.argmax(sizes))
    pushed = float(meeting.changes[index] @ (-towards, towards)[index]) > FACING * sizes[index]
    dead = _stopped(meeting, came, min(came / (SURE * error), came / (MUCH * radius))) * credit if pushed else 0.0
    if min(sizes) < 3 * max(meeting.errors):  # they may only pass one another
        credit, gained = credit * UNTOUCHED * (pushed and came >= MUCH * radius), 0.0
    elif float(one @ other) > ALONG * sizes[0] * sizes[1]:  # not by one another: they may be taken for each other
        credit *= UNTOUCHED
    if _lies(meeting, towards):
        dead *= FLOORED
    t, ratio = meeting.frame, parts / max(came, 0.1 * parts, 1e-9)
    faster = max(0.0, min(gained / (SURE * error), gained / (MUCH * radius)))
    unlike = max(0.0, min(2 * uneven, max(sizes) / (SURE * error), max(sizes) / (MUCH * radius)))
    if credit * max(faster, unlike):
        credit *= _off_the_scene(evidence, meeting)
    weigh = [
        (credit * float(np.log1p(faster)),
         f"Two things part after frame {t} {ratio:.1f} times as fast as they came together."),
        (credit * float(np.log1p(unlike)),
         f"One of two things that meet at frame {t} changes its velocity by {max(sizes) / radius:.1f} of its radii a "
         f"second, the other by {min(sizes) / radius:.1f}."),
        (dead, f"Two things that meet at frame {t} both stop: what the one brought is lost."),
    ]  # fmt: skip
    strength, text = max(weigh)
    if strength <= 0:
        return None
    box = box_about(evidence, (meeting.one.track, meeting.other.track), t - 1, t + 1)
    return Candidate(t, min(t + 1, len(evidence.luma) - 1), strength, text, box)


def _stopped(meeting: Meeting, came: float, large: float) -> float:
    """Return how surely two that came together, so much for sure, both rest after they touched."""
    if came <= 0:
        return 0.0
    masses = np.array([path.track.area**MASS for path in (meeting.one, meeting.other)])
    had, has = (float(np.hypot(*(masses @ np.stack(both)))) for both in (meeting.before, meeting.after))
    left = max(sum(float(np.hypot(*velocity)) for velocity in meeting.after) / came, has / max(had, 1e-9))
    touched = float(np.clip(1 + meeting.depth / CLOSE, 0, 1))
    return float(np.clip(1.5 - 2 * left, 0, 1)) * touched * float(np.log1p(large))


def _lies(meeting: Meeting, towards: np.ndarray) -> bool:
    """Say whether the slower of two is struck from above, so that what it lies on may take what the other brought."""
    slower = int(np.argmin([np.hypot(*velocity) for velocity in meeting.before]))
    return float((-towards, towards)[slower][1]) > FROM_ABOVE


def _off_the_scene(evidence: Evidence, meeting: Meeting) -> float:
    """Return how little there is that the one which turned most may have bounced off besides the other, 0..1."""
    index = int(np.argmax([np.hypot(*change) for change in meeting.changes]))
    path = (meeting.one, meeting.other)[index]
    turn = min(path.turns, key=lambda turn: abs(turn.frame - meeting.frame))
    push = turn.change / max(float(np.hypot(*turn.change)), 1e-9)
    return _open(surface(evidence, turn, -push)) * (FLOORED if _floored(turn, push) or _again(turn, push) else 1.0)


def box_about(evidence: Evidence, moved: tuple[Track, ...], start: int, end: int) -> tuple[int, int, int, int] | None:
    """Return a box about things over frames `start` to `end`, both inclusive; None if they are not seen."""
    boxes = [
        box for track in moved for box, frame in zip(track.boxes, track.frames, strict=True) if start <= frame <= end
    ]
    if not boxes:
        return None
    low, high = np.min(boxes, axis=0), np.max(boxes, axis=0)
    return evidence.box(low[0], low[1], high[2], high[3])
