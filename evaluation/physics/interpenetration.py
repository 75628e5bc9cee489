"""Interpenetration: bodies in one another, and bodies in the floor or a wall.

Two things that change each other's motion have met; where their centres are then much nearer than their outlines allow,
they are in one another. Things that go on as they went have passed before or behind one another, which is no failure.
A floor or wall is known by an edge of the scene on which something turns or rests; what is found beyond that edge
without a change of its motion, or turns only there, is in it.
"""

import numpy as np

from evaluation.evidence.clip import Evidence
from evaluation.findings import Candidate, Finding, calibrated, unmeasurable
from evaluation.physics.meetings import MUCH, SURELY, Meeting, meetings, nearest
from evaluation.physics.momentum import box_about
from evaluation.physics.paths import Path, paths
from evaluation.physics.surfaces import Surface, surfaces

TYPE = "interpenetration"
TOUCH = 0.12  # of the distance at which two touch, by which outlines are uncertain
DEEP = 0.25  # of it, or of a radius, of strength log 2
OPPOSED = -0.5  # cosine between the changes of two that push each other
FARTHEST = 4.0  # radii: what is farther beyond an edge is before it or behind it
CLEAR = 0.5  # least quality of a track that may be in a surface
SELF_MOVED = 0.35  # times the strength, of what changes its shape
FEWEST = 8  # frames


def interpenetration(evidence: Evidence) -> Finding:
    """Find things that turn within one another, and things that sink into what carries others."""
    if len(evidence.luma) < FEWEST:
        return unmeasurable(TYPE, f"fewer than {FEWEST} frames show no contact", due=False)
    known = paths(evidence)
    if not known:
        return unmeasurable(TYPE, "nothing that moves can be followed well enough", due=False)
    met = meetings(evidence, known)
    walls = surfaces(evidence, known)
    if not met and not walls:
        return unmeasurable(TYPE, "nothing is seen to touch another thing, a floor or a wall", due=False)
    candidates = [c for meeting in met if (c := _within(evidence, meeting)) is not None]
    candidates += [c for path in known for wall in walls if (c := _sunk(evidence, path, wall)) is not None]
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
    credit = min(p.track.quality * (1.0 if p.track.rigid else SELF_MOVED) for p in (meeting.one, meeting.other)) ** 0.5
    if meeting.fewest < 4:
        credit *= 0.5
    t = meeting.frame
    start, end = _overlap(meeting, t)
    text = (
        f"Two things that push each other at frame {t} are {100 * meeting.depth:.0f} % of the way into one another: "
        f"their centres are {np.hypot(*meeting.apart):.1f} pixels apart, their outlines touch at {meeting.touch:.1f}."
    )
    box = box_about(evidence, (meeting.one, meeting.other), start, end)
    return Candidate(start, end, float(np.log1p(deep / DEEP)) * credit, text, box)


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


def _sunk(evidence: Evidence, path: Path, wall: Surface) -> Candidate | None:
    """Return a thing that is beyond the edge of what carries or stops others."""
    if path.track.shot != wall.shot or path in wall.owners:
        return None
    deep = wall.depth(evidence, path)
    inside = np.flatnonzero(deep > wall.error + 0.15 * path.radius)
    before = np.flatnonzero(deep < wall.error)
    if len(inside) < 2 or not len(before) or before[0] > inside[0]:
        return None
    enters = inside[0]
    if before[-1] < enters - 2 or path.track.quality < CLEAR or deep[inside].max() > FARTHEST * path.radius:
        return None
    most = float(deep[inside].max() - wall.error - 0.15 * path.radius)
    credit = wall.sure * (1.0 if path.track.rigid else SELF_MOVED) * path.track.quality**0.5
    frames = path.track.frames[inside]
    text = (
        f"From frame {frames[0]} on it is in what stops others: {deep[inside].max() / path.radius:.1f} of its radii "
        "beyond the edge."
    )
    box = box_about(evidence, (path,), int(frames[0]), int(frames[-1]))
    strength = float(np.log1p(most / (DEEP * path.radius))) * credit
    return Candidate(int(frames[0]), int(frames[-1]), strength, text, box)
