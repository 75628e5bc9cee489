"""Interpenetration: bodies in one another, and bodies in the floor or a wall.

Two things that change each other's motion have met; where their centres are then much nearer than their outlines allow,
they are in one another. Things that go on as they went have passed before or behind one another, which is no failure,
unless where they cross the picture is a mixture of both.
A ground is a level edge of the scene across all of the picture; what falls past it and turns up again only within it,
or leaves the picture through it, is in it.
"""

import numpy as np

from evaluation.evidence.clip import Evidence
from evaluation.findings import Candidate, Finding, calibrated, unmeasurable
from evaluation.physics.gravity import draws_down, falls
from evaluation.physics.meetings import LATE, MUCH, SURELY, Meeting, meetings, nearest, turned
from evaluation.physics.mixing import Mixture, mixtures
from evaluation.physics.momentum import UPRIGHT, box_about
from evaluation.physics.paths import SMALL, Path, paths
from evaluation.physics.surfaces import Ground, grounds

TYPE = "interpenetration"
TOUCH = 0.12  # of the distance at which two touch, by which outlines are uncertain
DEEP = 0.25  # of it, or of a radius, of strength log 2
OPPOSED = -0.5  # cosine between the changes of two that push each other
MIXED = 3.0  # times the frames that wholly show a mixture, to tell how surely things go through one another
GROUND = 0.8  # times the strength, of what goes into a ground that nothing else tells
LARGER, STRIP = 1.4, 2.5  # times its area, of what is of another too; radii of ground that are seen at most
TURNED = 1.2  # radii below the edge of a ground, above which something turns in it
CLEAR, NEAR = 0.35, 1.5  # least quality of what may be in a ground, and pixels below its edge that are not in it
FEWEST = 8  # frames


def interpenetration(evidence: Evidence) -> Finding:
    """Find things that turn within one another or are seen through one another, and things that sink into a ground."""
    if len(evidence.luma) < FEWEST:
        return unmeasurable(TYPE, f"fewer than {FEWEST} frames show no contact", due=False)
    known = paths(evidence)
    if not known:
        return unmeasurable(TYPE, "nothing that moves can be followed well enough", due=False)
    met = meetings(evidence, known)
    crossed, levels = mixtures(evidence), grounds(evidence)
    if not met and not crossed and not levels:
        return unmeasurable(TYPE, "nothing is seen to touch another thing, a floor or a wall", due=False)
    candidates = [c for meeting in met if (c := _within(evidence, meeting)) is not None]
    candidates += [_through(evidence, mixture) for mixture in crossed]
    candidates += [c for path in known for level in levels if (c := _into(evidence, path, level)) is not None]
    return calibrated(TYPE, sorted(candidates, key=lambda c: -c.strength)[:5])


def _within(evidence: Evidence, meeting: Meeting) -> Candidate | None:
    """Return two that turn each other while in one another."""
    changes = meeting.changes
    sizes = [float(np.hypot(*change)) for change in changes]
    moved = [
        size > SURELY * error and size > MUCH * path.radius
        for size, error, path in zip(sizes, meeting.errors, (meeting.one, meeting.other), strict=True)
    ]
    if not all(moved) or float(changes[0] @ changes[1]) > OPPOSED * sizes[0] * sizes[1]:
        return None
    deep = meeting.depth - TOUCH - 2 * meeting.apart_error / meeting.touch
    if deep <= 0:
        return None
    credit = min(meeting.one.credit, meeting.other.credit) * (0.5 if meeting.fewest < 4 else 1.0)
    t = meeting.frame
    start, end = _overlap(meeting, t)
    text = (
        f"Two things that push each other at frame {t} are {100 * meeting.depth:.0f} % of the way into one another: "
        f"their centres are {np.hypot(*meeting.apart):.1f} pixels apart, their outlines touch at {meeting.touch:.1f}."
    )
    box = box_about(evidence, (meeting.one.track, meeting.other.track), start, end)
    return Candidate(start, end, float(np.log1p(deep / DEEP)) * credit, text, box)


def _through(evidence: Evidence, mixture: Mixture) -> Candidate:
    """Return two that are seen through one another."""
    tracks = mixture.one, mixture.other
    credit = min(track.quality**0.5 * min(1.0, track.area / SMALL) for track in tracks)
    text = (
        f"Where two things cross after frame {mixture.start}, {100 * mixture.share:.0f} % of what is seen is a mixture "
        "of both."
    )
    start, end = mixture.start, mixture.end
    box = box_about(evidence, tracks, start - 1, end)
    return Candidate(start, end, float(np.log1p(MIXED * mixture.amount * mixture.share**2)) * credit, text, box)


def _overlap(meeting: Meeting, t: int) -> tuple[int, int]:
    """Return the frames about one in which the outlines touch."""
    start = end = t
    first = max(meeting.one.track.start, meeting.other.track.start)
    last = min(meeting.one.track.end, meeting.other.track.end)
    while start > first and nearest(meeting.one, meeting.other, start - 1, start - 1) < 1.5:
        start -= 1
    while end < last and nearest(meeting.one, meeting.other, end + 1, end + 1) < 1.5:
        end += 1
    return start, end


def _into(evidence: Evidence, path: Path, level: Ground) -> Candidate | None:
    """Return a thing that falls into a ground: it turns up again within it, or leaves the picture through it."""
    track, radius = path.track, path.radius
    if track.shot != level.shot or track.quality < CLEAR:
        return None
    lowest = track.boxes[:, 3] + track.steady[:, 1] - track.centres[:, 1]
    lowest[track.areas > LARGER * track.area] = -np.inf  # it is one region with another
    below = np.flatnonzero(lowest > level.row + NEAR)
    if not len(below) or not below[0]:
        return None
    deep = -np.inf
    for turn in path.turns:
        push = turn.change / max(float(np.hypot(*turn.change)), 1e-9)
        if turned(turn) and push[1] < -UPRIGHT and turn.before.velocity(turn.time)[1] > turn.error:
            first, last = (frame - track.start for frame in turn.span)
            depth = float(lowest[first : last + 1].max()) - level.row
            deep = max(deep, depth if depth < TURNED * radius else -np.inf)
    if track.boxes[-1, 3] >= evidence.luma.shape[1] - 1:
        entered = track.frames[below[0]]
        for piece in path.pieces:
            first, last = path.frames[[piece.first, piece.last]]
            if (
                first < entered - 1 <= last + LATE
                and falls(path, piece)
                and draws_down(piece)
                and lowest[-1] > lowest[below[0]]
            ):
                depth = float(lowest[-1]) - level.row
                deep = max(deep, depth if depth < STRIP * radius else -np.inf)
    deep -= NEAR + 0.15 * radius
    if deep <= 0:
        return None
    frames = track.frames[below]
    text = f"From frame {frames[0]} on it is in the ground, up to {deep / radius:.1f} of its radii below its edge."
    box = box_about(evidence, (track,), int(frames[0]), int(frames[-1]))
    strength = GROUND * float(np.log1p(deep / (DEEP * radius))) * path.credit * level.share
    return Candidate(int(frames[0]), int(frames[-1]), strength, text, box)
