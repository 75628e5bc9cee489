"""Gravity: what flies is accelerated as everything else that flies in the same scene, from one contact to the next.

The law of a scene is the acceleration that most flights share, for the longest time: of its size nothing is assumed,
and of its direction that it is rather down the picture than not. A flight of another acceleration breaks it, and so
does a thing that falls and then does otherwise, with nothing near that carries, strikes or releases it. Where nothing
falls down the picture, what flies in a bend up or sideways is odd by itself. What moves along a straight line may be
carried, by what has an edge below it.

Velocities must tell of it, and the places of the outline too: flow lags in what is plain, outlines are frayed by what
is near, and seldom do both err alike. Whole pieces of a path tell of what breaks the law for long, windows about one
moment (`bends.py`) of when a fall goes over into something else: what both tell of one thing and moment counts most.
"""

from dataclasses import replace

import numpy as np

from evaluation.evidence.clip import Evidence
from evaluation.evidence.tracks import Track
from evaluation.findings import Candidate, Finding, calibrated, unmeasurable
from evaluation.physics.bends import Bend, bends
from evaluation.physics.carried import alone, carried, lies, straight
from evaluation.physics.contacts import cause_of
from evaluation.physics.laws import Law, law_of
from evaluation.physics.paths import GAP, Path, Piece, Turn, paths

TYPE = "gravity"
SURE = 4.0  # standard errors of an acceleration
LEAST = 1.0  # radii a second squared: a smaller acceleration is no fall
FLIGHT = 0.12  # seconds that a flight lasts at least
LARGEST = 7.0  # of gravity: a larger acceleration is a blow, not a fall
FAR = 0.8  # radii that a flight leads from where the law does, of strength log 2
BRIEF = 0.15  # seconds of a flight by which half is known of what it breaks itself
KNOWN = 0.4  # seconds of other flights by which half is known of the law
DOWN = 1.2  # of its pull aside, which a flight down the picture is drawn down at least
GROWS = 0.5  # difference of the areas' logarithms, from which a thing comes nearer or goes away
LITTLE = 30.0  # pixels: what is smaller tells nothing of a law
RELEASED = 0.4  # times the strength, of what went straight and then falls as the others: it may have been held
WEAK = 0.25  # of gravity: what is accelerated less does not fly
LONE = 0.6  # times the strength, where no other flight tells the law
FEWEST_SIGHTS, BLUR = 4, 0.2  # whole sights that tell an acceleration, and pixels of error of each at least
UNSEEN = 0.5  # times the strength, of what has fewer
EARLY = 0.3  # of the surest break of a law, by which an earlier one of the same thing is where it begins
LONG, ONCE = 0.5, 4  # times the strength of what pieces tell, and frames by which both tell of one moment
FEWEST = 8  # frames


def gravity(evidence: Evidence) -> Finding:
    """Find flights that are not accelerated as the others are, or not any more as they were."""
    if len(evidence.luma) < FEWEST:
        return unmeasurable(TYPE, f"fewer than {FEWEST} frames show no acceleration", due=False)
    known = paths(evidence)
    flights = [(path, piece) for path in known for piece in path.pieces if falls(path, piece)]
    down = [flight for flight in flights if draws_down(flight[1])]
    bent = bends(evidence, known, down)
    if not known and not bent:
        return unmeasurable(TYPE, "nothing that moves can be followed well enough", due=False)
    if not flights and not bent:
        return unmeasurable(TYPE, "nothing falls or flies", due=False)
    candidates = _together(evidence, known, law_of(down), bent)
    return calibrated(TYPE, sorted(candidates, key=lambda c: -c.strength)[:5])


def _together(evidence: Evidence, known: tuple[Path, ...], law: Law | None, bent: list[Bend]) -> list[Candidate]:
    """Return what pieces and windows tell, as one where it is of one thing and moment."""
    broken = {id(path.track): found for path in known if (found := _broken(evidence, path, known, law))}
    candidates = []
    for bend in bent:
        found, strength = broken.get(id(bend.track)), bend.strength
        if found is not None and abs(found.start_frame - bend.frame) <= ONCE:
            strength += LONG * broken.pop(id(bend.track)).strength
        last = min(len(bend.track.frames) - 1, bend.kink.sight + bend.kink.steps[1])
        accelerations, sights = (bend.kink.before, bend.kink.after), (bend.kink.sight, last)
        candidates.append(_candidate(evidence, bend.track, sights, *accelerations, bend.frame, strength))
    return candidates + [replace(found, strength=LONG * found.strength) for found in broken.values()]


def _broken(evidence: Evidence, path: Path, known: tuple[Path, ...], law: Law | None) -> Candidate | None:
    """Return where a path breaks the law most surely, from where it does so at all clearly on."""
    flights = [piece for piece in path.pieces if falls(path, piece)]
    if law is None:
        found = [_upwards(evidence, path, piece) for piece in flights]
    else:
        found = [_odd(evidence, path, piece, law) for piece in flights]
    found += [_changes(evidence, turn, known, law) for turn in path.turns]
    candidates = [candidate for candidate in found if candidate is not None]
    if not candidates:
        return None
    most = max(candidate.strength for candidate in candidates)
    first = min((c for c in candidates if c.strength >= EARLY * most), key=lambda c: (c.start_frame, -c.strength))
    return replace(first, strength=most)


def falls(path: Path, piece: Piece) -> bool:
    """Say whether a piece is surely accelerated, for long enough to be a flight, and not only slower and slower."""
    size = float(np.hypot(*piece.acceleration))
    sure = size > SURE * piece.acceleration_error and size > LEAST * path.radius
    whole = piece.seconds >= FLIGHT and _in_sight(path, piece) and not _grows(path, piece) and path.track.area >= LITTLE
    return sure and whole and (draws_down(piece) or not _brakes(piece, size))


def _grows(path: Path, piece: Piece) -> bool:
    """Say whether it comes nearer or goes away: what is seen of its motion is not its acceleration alone."""
    some = slice(path.index[piece.first], path.index[piece.last] + 1)
    areas = path.track.areas[some][path.track.whole[some]]
    if not len(areas):
        return False
    third = max(1, len(areas) // 3)
    return abs(float(np.log(np.median(areas[-third:]) / np.median(areas[:third])))) > GROWS


def _in_sight(path: Path, piece: Piece) -> bool:
    areas = path.track.areas[path.index[piece.first] : path.index[piece.last] + 1]
    return float(np.median(areas)) > 0.5 * path.track.area


def _brakes(piece: Piece, pull: float) -> bool:
    """Say whether it goes straight on, slower and slower."""
    return (
        straight(piece, pull)
        and max(float(piece.velocity(time) @ piece.acceleration) for time in (piece.start, piece.end)) < 0
    )


def draws_down(piece: Piece) -> bool:
    """Say whether it is accelerated rather down the picture than not."""
    x, y = piece.acceleration
    return bool(y > DOWN * abs(x))


def _odd(evidence: Evidence, path: Path, piece: Piece, law: Law) -> Candidate | None:
    """Return a flight that is not accelerated as the others are."""
    if law.holds(piece) or not WEAK * law.size < float(np.hypot(*piece.acceleration)) < LARGEST * law.size:
        return None
    seconds = sum(other.seconds for whose, other in law.flights if whose is not path or other.end < piece.start)
    strength = _strength(path, piece, law) * seconds / (seconds + KNOWN)
    strength *= carried(evidence, path, piece, law) * alone(evidence, path, piece, law)
    return _of_piece(evidence, path, piece, law.pull, strength)


def _upwards(evidence: Evidence, path: Path, piece: Piece) -> Candidate | None:
    """Return a flight that is drawn up the picture or aside, where nothing is drawn down it."""
    size = float(np.hypot(*piece.acceleration))
    law = Law(np.array([0.0, size]), piece.acceleration_error, ())
    rises = piece.acceleration[1] < -0.7 * size
    if draws_down(piece) or (straight(piece, size) and not rises):
        return None
    strength = LONE * _strength(path, piece, law) * alone(evidence, path, piece, law)
    return _of_piece(evidence, path, piece, law.pull, strength)


def _changes(evidence: Evidence, turn: Turn, known: tuple[Path, ...], law: Law | None) -> Candidate | None:
    """Return a change of a flight's acceleration that nothing near explains."""
    path, before, after = turn.path, turn.before, turn.after
    if turn.gap > GAP or after.seconds < FLIGHT or not _in_sight(path, after) or not turn.same:
        return None
    lawful = law is not None and law.holds(before)
    lawful &= float(np.hypot(*before.acceleration)) > 2 * before.acceleration_error
    if law is not None and lawful and len(law.flights) > 1:
        own = law
    elif falls(path, before):
        own = Law(before.acceleration, before.acceleration_error, ((path, before),))
    else:
        return None
    size = float(np.hypot(*after.acceleration))
    others = law is not None and any(whose is not path for whose, _ in law.flights)
    if (
        own.holds(after)
        or size > LARGEST * own.size
        or (others and law is not None and not WEAK * law.size < own.size < LARGEST * law.size)
    ):
        return None
    if cause_of(evidence, turn, known, -own.pull / own.size).border < 2:
        return None
    seconds = (before.seconds, after.seconds)
    struck = float(np.hypot(*turn.change)) / (0.5 * own.size * min(0.25, *seconds) + 2 * turn.error)
    strength = _strength(path, after, own) / (1 + 0.5 * max(0.0, struck - 1))
    if law is not None and law.holds(after) and not lawful and straight(before, own.size):
        strength *= RELEASED
    # What came flying and is not struck has come to no floor.
    held = carried(evidence, path, after, own)
    if falls(path, before) and not lies(path, after, own):
        held = max(held, 1 - struck)
    told = sum(piece.seconds for _, piece in own.flights)
    strength *= held * told / (told + BRIEF) * alone(evidence, path, after, own)
    return _of_piece(evidence, path, after, own.pull, strength)


def _strength(path: Path, piece: Piece, law: Law) -> float:
    """Return how surely and how far a piece leads elsewhere than the law does."""
    off = float(np.hypot(*(piece.acceleration - law.pull)))
    sure = off / (0.4 * law.margin(piece) * SURE)
    far = 0.5 * off * piece.seconds**2 / (FAR * path.radius)
    strength = float(np.log1p(min(sure, far, off / (0.4 * law.size)))) * path.credit
    upright = max(0.0, float(law.pull[1])) / law.size
    return strength * upright**2 * (1 - 1 / (piece.steps - 1)) * _outlined(path, piece, law)


def _outlined(path: Path, piece: Piece, law: Law) -> float:
    """Return how far the places of its outline tell the same as its velocities do, 0..1."""
    sights = np.arange(path.index[piece.first], path.index[piece.last] + 2)
    sights = sights[path.track.whole[sights]]
    if len(sights) < FEWEST_SIGHTS:
        return UNSEEN
    times = path.track.frames[sights] / path.fps
    powers = np.stack([np.ones(len(times)), times - times.mean(), (times - times.mean()) ** 2 / 2], axis=1)
    inverse = np.linalg.pinv(powers)
    fitted = inverse @ path.track.steady[sights]
    left = path.track.steady[sights] - powers @ fitted
    spread = max(BLUR, float(np.sqrt((left**2).sum() / max(1, 2 * len(sights) - 6))))
    off = piece.acceleration - law.pull
    along = float((fitted[2] - law.pull) @ off) / float(np.hypot(*off))
    sure = max(0.0, along) / (spread * float(np.linalg.norm(inverse[2])))
    return float(np.clip(along / np.hypot(*off), 0, 1)) * sure / (sure + SURE)


def _candidate(
    evidence: Evidence,
    track: Track,
    sights: tuple[int, int],
    pull: np.ndarray,
    acceleration: np.ndarray,
    start: int,
    strength: float,
) -> Candidate:
    """Return what a thing does from a frame on, seen from one sight to another, instead of what the law wants."""
    size, radius = float(np.hypot(*pull)), float(np.sqrt(track.area / np.pi))
    down = pull / size
    now = float(acceleration @ down) / radius
    aside = abs(float(acceleration @ [-down[1], down[0]])) / radius
    if aside > 0.5 * abs(now) and aside > 0.3 * size / radius:
        does = f"{now:.1f} and {aside:.1f} sideways"
    elif now < -0.3 * size / radius:
        does = f"{-now:.1f} up"
    else:
        does = f"{now:.1f}"
    text = (
        f"It does not fall as things fall here from frame {start} on, though it touches nothing: its acceleration is "
        f"{does}, not {size / radius:.1f}, in its radii a second squared."
    )
    boxes = track.boxes[sights[0] : sights[1] + 1]
    low, high = boxes.min(axis=0), boxes.max(axis=0)
    end = max(start, int(track.frames[sights[1]]))
    return Candidate(start, end, strength, text, evidence.box(low[0], low[1], high[2], high[3]))


def _of_piece(evidence: Evidence, path: Path, piece: Piece, pull: np.ndarray, strength: float) -> Candidate:
    start, sights = int(path.frames[piece.first]) + (piece.first > 0), (path.index[piece.first], path.index[piece.last])
    return _candidate(evidence, path.track, sights, pull, piece.acceleration, start, strength)
