"""Where two things meet: how they moved before and after, how near they came, and what each did to the other."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from evaluation.evidence.clip import Evidence
from evaluation.physics.contacts import between
from evaluation.physics.moves import outlines_fit
from evaluation.physics.paths import Path, Piece, Turn

NEAR = 2.5, 0.3  # pixels, and radii of the smaller, between things that may touch
LATE = 3  # frames by which the turns of the two may differ
SURELY, MUCH = 4.0, 0.35  # standard errors, and radii a second, from which a velocity has changed
MASS = 1.25  # power of the area, between those of flat things and of balls, that their masses are taken to be as
AROUND, FIT = 6, (0.5, 0.8)  # frames about a meeting, and fits of outlines that are bad and good enough, for its motion


@dataclass(frozen=True, eq=False)
class Meeting:
    """Two paths that come together, and their velocities `[2]` in pixels / s just before and after."""

    one: Path
    other: Path
    frame: int  # the first that shows the new motion
    time: float
    before: tuple[np.ndarray, np.ndarray]
    after: tuple[np.ndarray, np.ndarray]
    errors: tuple[float, float]  # standard errors of a component of the changes
    apart: np.ndarray  # float [2], from the one's centre to the other's at that time
    apart_error: float
    touch: float  # pixels between the centres at which their outlines would touch
    fewest: int  # sights that one of the velocities is known by

    @property
    def changes(self) -> tuple[np.ndarray, np.ndarray]:
        """The changes of velocity of both, `[2]`."""
        return self.after[0] - self.before[0], self.after[1] - self.before[1]

    @property
    def depth(self) -> float:
        """How deep they are in one another, of the distance at which they touch; negative: how far apart."""
        return float(1 - np.hypot(*self.apart) / self.touch)

    @property
    def unbalanced(self) -> float:
        """What of the momentum that both get, by their sizes, is not taken from one another, 0..1."""
        given = [
            change * path.track.area**MASS for change, path in zip(self.changes, (self.one, self.other), strict=True)
        ]
        return float(np.hypot(*sum(given)) / max(sum(float(np.hypot(*part)) for part in given), 1e-9))

    @cached_property
    def clear(self) -> tuple[float, float]:
        """How much of both is wholly seen about then, and how well their outlines keep their shapes, both 0..1."""
        whole, fits = [], []
        for track in (self.one.track, self.other.track):
            first, last = (
                int(np.clip(self.frame + k, track.start, track.end)) - track.start for k in (-AROUND, AROUND)
            )
            whole.append(track.whole[first : last + 1].mean())
            fits += [outlines_fit(track, i) for i in range(first, last)]
        fit = float(np.mean(fits)) if fits else 0.0
        return float(np.mean(whole)), float(np.clip((fit - FIT[0]) / (FIT[1] - FIT[0]), 0, 1))


def meetings(evidence: Evidence, paths: tuple[Path, ...]) -> list[Meeting]:
    """Return where a thing turns with another one near, each pair and time once."""
    known = evidence.__dict__.get("_meetings")
    if known is not None:
        return list(known)
    found: list[Meeting] = evidence.__dict__.setdefault("_meetings", [])
    for path in paths:
        for turn in path.turns:
            if not turned(turn):
                continue
            for other in paths:
                if other is path or other.track.shot != path.track.shot:
                    continue
                meeting = _meeting(evidence, turn, other)
                if meeting is not None and not any(_same(meeting, known) for known in found):
                    found.append(meeting)
    return found


def turned(turn: Turn) -> bool:
    """Say whether the velocity surely changed."""
    change = float(np.hypot(*turn.change))
    return change > SURELY * turn.error and change > MUCH * turn.path.radius


def _same(one: Meeting, other: Meeting) -> bool:
    return {id(one.one), id(one.other)} == {id(other.one), id(other.other)} and abs(one.frame - other.frame) <= LATE


def _meeting(evidence: Evidence, turn: Turn, other: Path) -> Meeting | None:
    path = turn.path
    first, last = turn.span
    reach = NEAR[0] + NEAR[1] * min(path.radius, other.radius)
    if nearest(path, other, first, last) > reach:
        return None
    before, after, time = around(other, turn)
    if before is None or after is None:
        return None
    moment = (turn.time + time) / 2 if time is not None else turn.time
    pairs = ((turn.before, turn.after), (before, after))
    errors = [float(np.hypot(a.velocity_error(moment), b.velocity_error(moment))) for a, b in pairs]
    places = [[p.place(piece, moment) for piece in pair] for p, pair in zip((path, other), pairs, strict=True)]
    aparts = [places[1][i] - places[0][i] for i in (0, 1)]
    apart = (aparts[0] + aparts[1]) / 2
    towards = apart / max(float(np.hypot(*apart)), 1e-9)
    return Meeting(
        path, other, turn.frame, moment,
        (turn.before.velocity(moment), before.velocity(moment)),
        (turn.after.velocity(moment), after.velocity(moment)),
        (errors[0], errors[1]), apart,
        float(np.hypot(*(aparts[1] - aparts[0])) / 2 + 0.5),
        support(path, towards) + support(other, -towards),
        min(piece.steps for pair in pairs for piece in pair),
    )  # fmt: skip


def nearest(one: Path, other: Path, first: int, last: int) -> float:
    """Return the least distance of the outlines of two things over frames that both are seen in."""
    a, b, least = one.track, other.track, np.inf
    for t in range(max(first, a.start, b.start), min(last, a.end, b.end) + 1):
        i, j = t - a.start, t - b.start
        least = min(least, between(a.masks[i], a.boxes[i], b.masks[j], b.boxes[j]))
    return float(least)


def around(path: Path, turn: Turn) -> tuple[Piece | None, Piece | None, float | None]:
    """Return the pieces of a path before and after a turn of another one, and when it turned itself, if it did."""
    (first, last), fps = turn.span, path.fps
    for own in path.turns:
        a, b = own.span
        if a <= last + LATE and b >= first - LATE and turned(own):
            return own.before, own.after, own.time
    for piece in path.pieces:
        if piece.start - LATE / fps <= turn.time <= piece.end + LATE / fps:
            return piece, piece, None
    return None, None, None


def support(path: Path, towards: np.ndarray) -> float:
    """Return how far a thing reaches from its centre in a direction, typically, in pixels."""
    chosen = path.index[np.unique(np.linspace(0, len(path.index) - 1, 8).round().astype(int))]
    reaches = []
    for index in chosen:
        y, x = np.nonzero(path.track.masks[index])
        inside = np.stack([x, y], axis=1) + path.track.boxes[index][:2] - path.track.centres[index]
        last = round(0.98 * (len(inside) - 1))
        reaches.append(np.partition(inside @ towards, last)[last] + 0.5)
    scale = np.sqrt(path.track.area / max(1.0, float(np.median(path.track.areas[chosen]))))
    return float(np.median(reaches) * scale)
