"""Gravity: what flies keeps the acceleration that it has, from one contact to the next, and shares it with others.

Nothing is assumed of the size or the direction of gravity. A path bends evenly while its thing is in the air; where the
acceleration changes with nothing near that carries, strikes or releases the thing, it does not fall as things do. What
starts to fall as the others do (it was held, or rolled off an edge) is as it should be.
"""

from collections.abc import Sequence

import numpy as np

from evaluation.evidence.clip import Evidence
from evaluation.findings import Candidate, Finding, calibrated, unmeasurable
from evaluation.physics.contacts import PART, REACH, between, cause_of
from evaluation.physics.paths import GAP, Path, Piece, Turn, paths

TYPE = "gravity"
SURE = 4.0  # standard errors of an acceleration
LEAST = 1.0  # radii a second squared: a smaller acceleration is no fall
FLIGHT = 0.18, 4  # seconds and sights that a flight lasts at least
SHARED = 0.2  # of gravity, by which two flights that share it may differ, beside their errors
LARGEST = 7.0  # of gravity: a larger acceleration is a blow, not a fall
SELF_MOVED = 0.3  # times the strength, of what changes its shape
FEWEST = 8  # frames


def gravity(evidence: Evidence) -> Finding:
    """Find flights that do not go on falling as they began, or as the others do."""
    if len(evidence.luma) < FEWEST:
        return unmeasurable(TYPE, f"fewer than {FEWEST} frames show no acceleration", due=False)
    known = paths(evidence)
    if not known:
        return unmeasurable(TYPE, "nothing that moves can be followed well enough", due=False)
    flights = [(path, piece) for path in known for piece in path.pieces if falls(path, piece)]
    if not flights:
        return unmeasurable(TYPE, "nothing falls or flies", due=False)
    candidates = [c for path in known for turn in path.turns if (c := _changes(evidence, turn, known, flights))]
    return calibrated(TYPE, sorted(candidates, key=lambda c: -c.strength)[:5])


def falls(path: Path, piece: Piece) -> bool:
    """Say whether a piece is surely accelerated, for long enough to be a flight."""
    size = float(np.hypot(*piece.acceleration))
    long = piece.seconds >= FLIGHT[0] and piece.steps >= FLIGHT[1]
    return long and size > SURE * piece.acceleration_error and size > LEAST * path.radius


def _changes(
    evidence: Evidence, turn: Turn, known: tuple[Path, ...], flights: Sequence[tuple[Path, Piece]]
) -> Candidate | None:
    """Return a change of a flight's acceleration that nothing near explains."""
    path, before, after = turn.path, turn.before, turn.after
    if not falls(path, before) or turn.gap > GAP:
        return None
    bend, g = turn.bend, before.acceleration
    pull = float(np.hypot(*g))
    sure = float(np.hypot(*bend)) / turn.bend_error
    if float(np.hypot(*after.acceleration)) > LARGEST * pull:
        return None
    cause = cause_of(evidence, turn, known, -g / pull)
    if cause.border < 2:
        return None
    others = [q for p, q in flights if p is not path or q.end < before.start]
    agree = [sum(q.seconds for q in others if shares(q, piece)) for piece in (before, after)]
    seconds = [piece.seconds for piece in (before, after)]
    # What falls harder from then on may have been held back before.
    alone = 1.0 if float(after.acceleration @ g) < 0.5 * pull**2 else 0.4
    odd = float(np.clip(alone + (agree[0] - agree[1]) / sum(seconds), 0.1, 1.0))
    struck = float(np.hypot(*turn.change)) / (0.5 * pull * min(0.25, *seconds) + 2 * turn.error)
    base = min(sure / SURE, float(np.hypot(*bend)) / (0.4 * pull))
    carried = float(np.clip((1 - cause.surface) / 0.3, 0.3, 1.0)) if _straight(after, g) else 1.0
    standing = carried * (1 - 0.8 * accompanied(evidence, path, after))
    strength = float(np.log1p(base)) * odd * standing / (1 + 0.5 * max(0.0, struck - 1))
    strength *= (1.0 if path.track.rigid else SELF_MOVED) * path.track.quality**0.5
    down = g / pull
    radius, t = path.radius, turn.frame
    now, aside = (
        float(after.acceleration @ down) / radius,
        abs(float(after.acceleration @ [-down[1], down[0]])) / radius,
    )
    if aside > 0.5 * abs(now) and aside > 0.3 * pull / radius:
        does = f"turns from {pull / radius:.1f} to {now:.1f}, and {aside:.1f} sideways"
    elif now < -0.3 * pull / radius:
        does = f"turns from {pull / radius:.1f} down to {-now:.1f} up"
    else:
        does = f"changes from {pull / radius:.1f} to {now:.1f}"
    text = (
        f"It does not go on falling at frame {t} though it touches nothing: its acceleration {does}, in its radii a "
        "second squared."
    )
    end = int(path.frames[after.last])
    boxes = path.track.boxes[path.index[after.first] : path.index[after.last] + 1]
    low, high = boxes.min(axis=0), boxes.max(axis=0)
    return Candidate(t, end, strength, text, evidence.box(low[0], low[1], high[2], high[3]))


def _straight(piece: Piece, g: np.ndarray) -> bool:
    """Say whether a thing may rest, slide or roll on something: it does not rise faster, and its path is straight."""
    pull, pulled = float(np.hypot(*g)), piece.acceleration
    if float(pulled @ g) < -0.3 * pull**2:
        return False
    velocity = piece.velocity(piece.middle)
    along = velocity / max(float(np.hypot(*velocity)), 0.1 * pull * piece.seconds, 1e-9)
    return float(np.hypot(*(pulled - (pulled @ along) * along))) < 0.3 * pull


def accompanied(evidence: Evidence, path: Path, piece: Piece) -> float:
    """Return the share of a piece's frames in which another thing is within reach, which may carry it."""
    own, reach = path.track, REACH[0] + REACH[1] * path.radius
    frames = path.frames[piece.first : piece.last + 1]
    near = np.zeros(len(frames), bool)
    for track in evidence.tracks:
        if track is own or track.area < PART * own.area:
            continue
        for k, t in enumerate(frames):
            if not near[k] and track.start <= t <= track.end:
                i, j = t - own.start, t - track.start
                near[k] = between(own.masks[i], own.boxes[i], track.masks[j], track.boxes[j]) < reach
    return float(near.mean())


def shares(one: Piece, other: Piece) -> bool:
    """Say whether two pieces have one acceleration, within their errors and a part of it."""
    apart = float(np.hypot(*(one.acceleration - other.acceleration)))
    size = max(float(np.hypot(*one.acceleration)), float(np.hypot(*other.acceleration)))
    error = float(np.hypot(one.acceleration_error, other.acceleration_error))
    return apart < 2.5 * error + SHARED * size
