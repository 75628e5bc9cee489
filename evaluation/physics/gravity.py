"""Gravity: what flies is accelerated as everything else that flies in the same scene, from one contact to the next.

The law of a scene is the acceleration that most flights share, for the longest time: of its size nothing is assumed,
and of its direction that it is rather down the picture than not. A flight of another acceleration breaks it, and so
does a thing that falls and then does otherwise, with nothing near that carries, strikes or releases it. Where nothing
falls down the picture, what flies in a bend up or sideways is odd by itself. What moves along a straight line may be
carried, by what has an edge below it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evaluation.evidence.clip import Evidence
from evaluation.findings import Candidate, Finding, calibrated, unmeasurable
from evaluation.physics.contacts import REACH, between, cause_of, plainness
from evaluation.physics.mending import followed
from evaluation.physics.paths import GAP, Path, Piece, Turn, paths

TYPE = "gravity"
SURE = 4.0  # standard errors of an acceleration
LEAST = 1.0  # radii a second squared: a smaller acceleration is no fall
FLIGHT = 0.12  # seconds that a flight lasts at least
SHARED = 0.2  # of gravity, by which two flights that share it may differ, beside their errors
LARGEST = 7.0  # of gravity: a larger acceleration is a blow, not a fall
FAR = 0.8  # radii that a flight leads from where the law does, of strength log 2
BRIEF = 0.15  # seconds of a flight by which half is known of what it breaks itself
KNOWN = 0.4  # seconds of other flights by which half is known of the law
DOWN = 0.7  # of its pull aside, which a flight down the picture is drawn down at least
GROWS = 0.5  # difference of the areas' logarithms, from which a thing comes nearer or goes away
LITTLE = 30.0  # pixels: what is smaller tells nothing of a law
RELEASED = 0.4  # times the strength, of what went straight and then falls as the others: it may have been held
LIES = 0.2  # times the strength, of what lies as low as it ever was
CLEAR = 0.1  # of an acceleration: the error of what tells the law
WEAK = 0.25  # of gravity: what is accelerated less does not fly
LONE = 0.6  # times the strength, where no other flight tells the law
PART = 0.6  # of a thing's area: less does not carry it
FEWEST = 8  # frames

Flight = tuple[Path, Piece]


@dataclass(frozen=True, eq=False)
class Law:
    """The acceleration `[2]` in pixels / s² that flights share, its standard error, and those flights."""

    pull: np.ndarray
    error: float
    flights: tuple[Flight, ...]

    @property
    def size(self) -> float:
        """Its size."""
        return float(np.hypot(*self.pull))

    def holds(self, piece: Piece) -> bool:
        """Say whether a piece keeps to it, within the errors and a part of it."""
        return float(np.hypot(*(piece.acceleration - self.pull))) < self.margin(piece) + SHARED * self.size

    def margin(self, piece: Piece) -> float:
        """Return how far a piece may be off by its error and the law's."""
        return 2.5 * float(np.hypot(piece.acceleration_error, self.error))


def gravity(evidence: Evidence) -> Finding:
    """Find flights that are not accelerated as the others are, or not any more as they were."""
    if len(evidence.luma) < FEWEST:
        return unmeasurable(TYPE, f"fewer than {FEWEST} frames show no acceleration", due=False)
    known = paths(evidence)
    if not known:
        return unmeasurable(TYPE, "nothing that moves can be followed well enough", due=False)
    flights = [(path, piece) for path in known for piece in path.pieces if falls(path, piece)]
    if not flights:
        return unmeasurable(TYPE, "nothing falls or flies", due=False)
    law = law_of([flight for flight in flights if draws_down(flight[1])])
    if law is None:
        found = [_upwards(evidence, path, piece) for path, piece in flights]
    else:
        found = [_odd(evidence, path, piece, law) for path, piece in flights]
    found += [_changes(evidence, turn, known, law) for path in known for turn in path.turns]
    candidates = [candidate for candidate in found if candidate is not None]
    return calibrated(TYPE, sorted(candidates, key=lambda c: -c.strength)[:5])


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


def _straight(piece: Piece, pull: float) -> bool:
    """Say whether its path is straight: its acceleration across it is a small part of a pull."""
    velocity, pulled = piece.velocity(piece.middle), piece.acceleration
    along = velocity / max(float(np.hypot(*velocity)), 0.1 * pull * piece.seconds, 1e-9)
    return float(np.hypot(*(pulled - (pulled @ along) * along))) < 0.3 * pull


def _brakes(piece: Piece, pull: float) -> bool:
    """Say whether it goes straight on, slower and slower."""
    return (
        _straight(piece, pull)
        and max(float(piece.velocity(time) @ piece.acceleration) for time in (piece.start, piece.end)) < 0
    )


def draws_down(piece: Piece) -> bool:
    """Say whether it is accelerated rather down the picture than not."""
    x, y = piece.acceleration
    return bool(y > DOWN * abs(x))


def law_of(flights: Sequence[Flight]) -> Law | None:
    """Return the law that most flights keep to, None if there is none."""
    best, most = None, 0.0
    vague = [piece.acceleration_error / np.hypot(*piece.acceleration) for _, piece in flights]
    clear = [flight for flight, off in zip(flights, vague, strict=True) if off <= max(CLEAR, min(vague))]
    for _, own in clear:
        law = Law(own.acceleration, own.acceleration_error, ())
        alike = tuple(flight for flight in flights if law.holds(flight[1]))
        weight = sum(_weight(path, piece) for path, piece in alike)
        if weight > most:
            weights = np.array([piece.acceleration_error**-2 for _, piece in alike])
            pull = weights @ [piece.acceleration for _, piece in alike] / weights.sum()
            best, most = Law(pull, float(weights.sum() ** -0.5), alike), weight
    return best


def _weight(path: Path, piece: Piece) -> float:
    return float(piece.seconds * path.track.quality * path.credit)


def _odd(evidence: Evidence, path: Path, piece: Piece, law: Law) -> Candidate | None:
    """Return a flight that is not accelerated as the others are."""
    if law.holds(piece) or not WEAK * law.size < float(np.hypot(*piece.acceleration)) < LARGEST * law.size:
        return None
    seconds = sum(other.seconds for whose, other in law.flights if whose is not path or other.end < piece.start)
    strength = _strength(path, piece, law) * seconds / (seconds + KNOWN)
    strength *= _carried(evidence, path, piece, law) * (1 - 0.8 * accompanied(evidence, path, piece, law))
    return _candidate(evidence, path, piece, law.pull, strength)


def _upwards(evidence: Evidence, path: Path, piece: Piece) -> Candidate | None:
    """Return a flight that is drawn up the picture or aside, where nothing is drawn down it."""
    size = float(np.hypot(*piece.acceleration))
    law = Law(np.array([0.0, size]), piece.acceleration_error, ())
    rises = piece.acceleration[1] < -0.7 * size
    if draws_down(piece) or (_straight(piece, size) and not rises):
        return None
    strength = LONE * _strength(path, piece, law) * (1 - 0.8 * accompanied(evidence, path, piece, law))
    return _candidate(evidence, path, piece, law.pull, strength)


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
    if (
        own.holds(after)
        or size > LARGEST * own.size
        or (law is not None and not WEAK * law.size < own.size < LARGEST * law.size)
    ):
        return None
    if cause_of(evidence, turn, known, -own.pull / own.size).border < 2:
        return None
    seconds = (before.seconds, after.seconds)
    struck = float(np.hypot(*turn.change)) / (0.5 * own.size * min(0.25, *seconds) + 2 * turn.error)
    strength = _strength(path, after, own) / (1 + 0.5 * max(0.0, struck - 1))
    if law is not None and law.holds(after) and not lawful and _straight(before, own.size):
        strength *= RELEASED
    # What came flying and is not struck has come to no floor.
    held = _carried(evidence, path, after, own)
    if falls(path, before) and not _lies(path, after, own):
        held = max(held, 1 - struck)
    told = sum(piece.seconds for _, piece in own.flights)
    strength *= held * told / (told + BRIEF) * (1 - 0.8 * accompanied(evidence, path, after, own))
    return _candidate(evidence, path, after, own.pull, strength)


def _strength(path: Path, piece: Piece, law: Law) -> float:
    """Return how surely and how far a piece leads elsewhere than the law does."""
    off = float(np.hypot(*(piece.acceleration - law.pull)))
    sure = off / (0.4 * law.margin(piece) * SURE)
    far = 0.5 * off * piece.seconds**2 / (FAR * path.radius)
    return float(np.log1p(min(sure, far, off / (0.4 * law.size)))) * path.credit


def _carried(evidence: Evidence, path: Path, piece: Piece, law: Law) -> float:
    """Return how little there is that may carry it, 0..1: what rests, slides or rolls does so straight, on an edge."""
    down = law.pull / law.size
    pulled = float(piece.acceleration @ down) / law.size
    if not -0.3 < pulled < 1.3 or not _straight(piece, law.size):
        return 1.0
    if _lies(path, piece, law):
        return LIES
    frames = path.frames[[piece.first, (piece.first + piece.last) // 2, piece.last]]
    edge = float(np.median([plainness(evidence, path, int(frame), down) for frame in frames]))
    return float(np.clip((1 - edge) / 0.4, 0.1, 1.0))


def _lies(path: Path, piece: Piece, law: Law) -> bool:
    """Say whether it stays as low as it ever was."""
    index, down = path.index[piece.first], law.pull / law.size
    heights = path.track.steady @ -down
    level = abs(float(piece.velocity(piece.middle) @ down)) * piece.seconds < 0.5 * path.radius
    low = float(np.median(heights[index : path.index[piece.last] + 1]))
    return bool(level and index and low < float(heights[:index].min()) + REACH[0] + REACH[1] * path.radius)


def _candidate(evidence: Evidence, path: Path, piece: Piece, pull: np.ndarray, strength: float) -> Candidate:
    size = float(np.hypot(*pull))
    down, radius = pull / size, path.radius
    now = float(piece.acceleration @ down) / radius
    aside = abs(float(piece.acceleration @ [-down[1], down[0]])) / radius
    if aside > 0.5 * abs(now) and aside > 0.3 * size / radius:
        does = f"{now:.1f} and {aside:.1f} sideways"
    elif now < -0.3 * size / radius:
        does = f"{-now:.1f} up"
    else:
        does = f"{now:.1f}"
    t, end = int(path.frames[piece.first]), int(path.frames[piece.last])
    text = (
        f"It does not fall as things fall here from frame {t} on, though it touches nothing: its acceleration is "
        f"{does}, not {size / radius:.1f}, in its radii a second squared."
    )
    boxes = path.track.boxes[path.index[piece.first] : path.index[piece.last] + 1]
    low, high = boxes.min(axis=0), boxes.max(axis=0)
    return Candidate(t, end, strength, text, evidence.box(low[0], low[1], high[2], high[3]))


def accompanied(evidence: Evidence, path: Path, piece: Piece, law: Law) -> float:
    """Return the share of a piece's frames in which another thing is within reach that moves along, and may carry it.

    What falls itself carries nothing.
    """
    own, reach = path.track, REACH[0] + REACH[1] * path.radius
    frames = path.frames[piece.first : piece.last + 1]
    near = np.zeros(len(frames), bool)
    falling = {id(whose.track) for whose, _ in law.flights}
    for track in (one.track for one in followed(evidence)):
        both = (frames >= track.start) & (frames <= track.end)
        if track is own or track.area < PART * own.area or id(track) in falling or both.sum() < 2:
            continue
        mine, its = (t.steady[frames[both] - t.start] for t in (own, track))
        if float(np.hypot(*((its - mine)[-1] - (its - mine)[0]))) > 1 + 0.5 * float(np.hypot(*(mine[-1] - mine[0]))):
            continue
        for k in np.flatnonzero(both & ~near):
            i, j = frames[k] - own.start, frames[k] - track.start
            near[k] = between(own.masks[i], own.boxes[i], track.masks[j], track.boxes[j]) < reach
    return float(near.mean())
