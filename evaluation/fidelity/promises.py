"""What a prompt of the worlds promises beyond what any clip must keep: how its things fall, and that they are there.

Detectors of any video know no world. Where a prompt is in the worlds' language, more is known: what is let go or thrown
falls with the world's gravity and what moves evenly does not accelerate; what is named is seen, so that a clip which
shows nothing is not excused; and what shatters or is painted changes what there is.

A parabola is fitted to the track of every object; its vertical acceleration, in shorter sides of the frame per second
squared, is compared with the one the prompt calls for.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from evaluation.fidelity.motions import BOUNCING, EVEN, FLYING, find_bounces
from evaluation.findings import Failure, Finding, measured, unmeasurable
from evaluation.objects.motion import Motion, Parabola, fit_motion
from evaluation.objects.observation import Observation
from evaluation.objects.tracking import Track
from kinora.worlds import GRAVITY

TYPE = "gravity"
SHORTEST = 5  # frames that must show the whole object
VAGUE = 0.4  # of gravity: a standard error above this tells nothing
OF_THINGS = ("appearance", "disappearance", "permanence", "identity_drift", "teleport", "state_change")
CHANGING = ("shatter", "paint right", "paint left", "paint up", "paint down")


def held_against(seen: Observation, found: Mapping[str, Finding]) -> dict[str, Finding]:
    """Return the findings on a clip as its prompt has them: of gravity the worse, and none that the prompt excuses."""
    kept = dict(found)
    if seen.wanted is None or seen.frames < 2:
        return kept
    for kind in kept.keys() & set(OF_THINGS):
        if seen.unseen:
            kept[kind] = unmeasurable(kind, seen.unseen, due=True)
        elif seen.wanted.motion in CHANGING:
            kept[kind] = unmeasurable(kind, "what the prompt asks for changes what there is", due=False)
    if TYPE in kept:
        law, own = falling(seen), kept[TYPE]
        if law.score is None:
            kept[TYPE] = law if law.due else own
        elif law.score >= (own.score or 0.0):
            kept[TYPE] = replace(law, strength=own.strength, candidates=own.candidates)
    return kept


def falling(seen: Observation) -> Finding:
    """Find objects that do not accelerate as the prompt's motion has them do."""
    motion = seen.wanted.motion if seen.wanted is not None else None
    due = motion in FLYING
    if motion in BOUNCING:
        return _between_bounces(seen, 0.0 if motion == "around" else -GRAVITY)
    if motion not in EVEN + FLYING:
        return unmeasurable(TYPE, "the prompt asks for no free motion", due=False)
    if seen.frames < SHORTEST:
        return unmeasurable(TYPE, f"fewer than {SHORTEST} frames show no acceleration", due=False)
    if seen.unseen:
        return unmeasurable(TYPE, seen.unseen, due=due)
    fits = [(track, fit_motion(track, seen.steady(track), seen.unit, seen.clip.fps)) for track in seen.objects]
    clear = [(track, fit) for track, fit in fits if fit is not None and is_clear(fit.y)]
    if not clear:
        return unmeasurable(TYPE, f"no object is whole in {SHORTEST} frames on a track clear enough", due=due)
    expected = 0.0 if motion in EVEN else -GRAVITY
    failures = [_failure(track, fit, expected) for track, fit in clear]
    _, longest = max(clear, key=lambda found: found[1].y.end - found[1].y.start)
    return measured(TYPE, failures, {"acceleration": longest.y.acceleration / GRAVITY})


def _between_bounces(seen: Observation, expected: float) -> Finding:
    """Find objects that bounce and do not accelerate as expected between their bounces."""
    if seen.unseen:
        return unmeasurable(TYPE, seen.unseen, due=True)
    pulls = [(track, find_bounces(seen, track).pull) for track in seen.objects]
    known = [(track, pull) for track, pull in pulls if pull is not None]
    if not known:
        return unmeasurable(TYPE, "no object is whole between two bounces for long enough", due=False)
    failures = []
    for track, pull in known:
        text = f"Between its bounces an object accelerates at {-pull / GRAVITY:.1f} times gravity downward."
        score = min(1.0, abs(pull - expected) / GRAVITY)
        failures.append(Failure(TYPE, track.start, track.end, score, text))
    return measured(TYPE, failures, {"acceleration": known[0][1] / GRAVITY})


def is_clear(upward: Parabola) -> bool:
    """Say whether a track shows enough of its object, for long enough, to tell its vertical acceleration."""
    return upward.whole and upward.end - upward.start + 1 >= SHORTEST and upward.error < VAGUE * GRAVITY


def _failure(track: Track, motion: Motion, expected: float) -> Failure:
    # What the fit's own uncertainty may explain is not held against the clip.
    vertical = max(0.0, abs(motion.y.acceleration - expected) - 2 * motion.y.error) / GRAVITY
    sideways = max(0.0, abs(motion.x.acceleration) - 2 * motion.x.error) / GRAVITY if motion.x.whole else 0.0
    should = "should not accelerate" if expected == 0.0 else "should fall with the world's gravity"
    found = motion.y.acceleration / GRAVITY
    if abs(found) < 0.3:
        does = "hardly accelerates upward or downward"
    else:
        does = f"accelerates {'upward' if found > 0 else 'downward'} at {abs(found):.1f} times gravity"
    if sideways >= 0.3:
        does += f", and sideways at {abs(motion.x.acceleration) / GRAVITY:.1f} times"
    score = min(1.0, float(np.hypot(vertical, sideways)))
    return Failure(TYPE, track.start, track.end, score, f"An object that {should} {does}.")
