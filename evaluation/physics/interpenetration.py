"""Interpenetration: bodies in one another, and bodies in the floor or a wall.

Two things that change each other's motion have met; where their centres are then much nearer than their outlines allow,
they are in one another. Things that go on as they went have passed before or behind one another, which is no failure,
unless where they cross the picture is a mixture of both.
A ground is a level edge of the scene across all of the picture; what falls past it and turns up again only within it,
or leaves the picture through it, is in it.
"""

import numpy as np

from evaluation.evidence.clip import Evidence
from evaluation.evidence.tracks import Track
from evaluation.findings import Candidate, Finding, calibrated, unmeasurable
from evaluation.physics.meetings import Meeting, meetings, turned
from evaluation.physics.mixing import Mixture, mixtures
from evaluation.physics.momentum import UPRIGHT, box_about
from evaluation.physics.moves import moves
from evaluation.physics.paths import SMALL, Path
from evaluation.physics.surfaces import Ground, grounds

TYPE = "interpenetration"
TOUCH = 0.12  # of the distance at which two touch, by which outlines are uncertain
DEEP = 0.25  # of it, or of a radius, of strength log 2
FACING = 0.8, 0.95  # cosine of what changes of their relative velocity, and the line between them: too little, enough
PUSHED = 3.0, 5.5  # standard errors of the change of the one that is surely pushed: too few, enough
HELD, BALANCED = 0.75, 0.6  # of the strength, that it takes to see both wholly, and what each gives the other
WITHIN = 2.0  # times the strength
NEARER, STILL = 0.3, 0.3  # radii a second at which two came together, and parts of it at which they may go on so
MIXED = 3.0  # times the frames that wholly show a mixture, to tell how surely things go through one another
GROUND, ALONE = 1.0, 0.8  # times the strength, of what goes into a ground that something lies on, or nothing else
LYING, LOOSE = 5, 0.6  # sights that show it to lie there; times the strength, of what changes its shape
AS_EVER, KNOWN = 0.2, 0.5  # difference of its area's logarithm, and least credit, of what tells where a ground is
UNEVEN = 0.25  # radii by which what turns reaches lower and higher
USUAL = 75  # percent of the sights of a thing, that show it to reach no lower below its centre
DOWN, BEFORE = 1.5, 4  # radii a second at which it goes down at least, and sights before its edge that show it
STEPS = 2  # from the frame's lower edge, where it is seen last
LARGER, STRIP = 1.4, 2.5  # times its area, of what is of another too; radii of ground that are seen at most
TURNED = 1.2  # radii below the edge of a ground, above which something turns in it
CLEAR, NEAR = 0.2, 1.5  # least quality of what may be in a ground, and pixels below its edge that are not in it
FEWEST = 8  # frames


def interpenetration(evidence: Evidence) -> Finding:
    """Find things that turn within one another or are seen through one another, and things that sink into a ground."""
    if len(evidence.luma) < FEWEST:
        return unmeasurable(TYPE, f"fewer than {FEWEST} frames show no contact", due=False)
    evidence, known = moves(evidence)
    if not known:
        return unmeasurable(TYPE, "nothing that moves can be followed well enough", due=False)
    met = meetings(evidence, known)
    crossed, levels = mixtures(evidence), grounds(evidence)
    if not met and not crossed and not levels:
        return unmeasurable(TYPE, "nothing is seen to touch another thing, a floor or a wall", due=False)
    candidates = [c for meeting in met if (c := _within(evidence, meeting)) is not None]
    candidates += [_through(evidence, mixture) for mixture in crossed]
    candidates += [
        c for path in known for level in levels if (c := _into(evidence, path, level, levels, known)) is not None
    ]
    return calibrated(TYPE, sorted(candidates, key=lambda c: -c.strength)[:5])


def _within(evidence: Evidence, meeting: Meeting) -> Candidate | None:
    """Return two that end each other's approach while in one another."""
    towards = meeting.apart / max(float(np.hypot(*meeting.apart)), 1e-9)
    away = (-towards, towards)
    pushed = [float(change @ way) for change, way in zip(meeting.changes, away, strict=True)]
    came = float((meeting.before[0] - meeting.before[1]) @ towards)
    parts = float((meeting.after[1] - meeting.after[0]) @ towards)
    error, radius = float(np.hypot(*meeting.errors)), min(meeting.one.radius, meeting.other.radius)
    facing = sum(pushed) / max(float(np.hypot(*(meeting.changes[1] - meeting.changes[0]))), 1e-9)
    deep = meeting.depth - TOUCH - meeting.apart_error / meeting.touch
    surely = max(push / error for push, error in zip(pushed, meeting.errors, strict=True))
    if deep <= 0 or facing < FACING[0] or came < max(error, NEARER * radius) or parts < -STILL * came:
        return None
    whole, fit = meeting.clear
    sure = _share(facing, FACING) * _share(surely, PUSHED)
    credit = min(_credit(path.track) for path in (meeting.one, meeting.other))
    credit *= sure * fit * (1 - HELD + HELD * whole) * (1 - BALANCED * meeting.unbalanced)
    t = meeting.frame
    start, end = _overlap(meeting, came, parts)
    text = (
        f"Two things that push each other at frame {t} are {100 * meeting.depth:.0f} % of the way into one another: "
        f"their centres are {np.hypot(*meeting.apart):.1f} pixels apart, their outlines touch at {meeting.touch:.1f}."
    )
    box = box_about(evidence, (meeting.one.track, meeting.other.track), start, end)
    return Candidate(start, end, WITHIN * float(np.log1p(deep / DEEP)) * credit, text, box)


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


def _share(value: float, limits: tuple[float, float]) -> float:
    """Return how far a value is from the lower of two limits to the upper, 0..1."""
    return float(np.clip((value - limits[0]) / (limits[1] - limits[0]), 0, 1))


def _credit(track: Track) -> float:
    """Return how far what is seen of a thing is to be believed, 0..1."""
    return float(track.quality**0.5 * min(1.0, track.area / SMALL) * (1.0 if track.rigid else LOOSE))


def _overlap(meeting: Meeting, came: float, parts: float) -> tuple[int, int]:
    """Return the first and last frame in which two are in one another, by how fast they came together and part."""
    fps, inside = meeting.one.fps, meeting.touch - float(np.hypot(*meeting.apart))
    first = max(meeting.one.track.start, meeting.other.track.start)
    last = min(meeting.one.track.end, meeting.other.track.end)
    start = int(np.ceil((meeting.time - inside / came) * fps))
    end = int((meeting.time + inside / parts) * fps) if parts * (last / fps - meeting.time) > inside else last
    return min(max(start, first), meeting.frame), max(min(end, last), meeting.frame)


def _into(
    evidence: Evidence, path: Path, level: Ground, levels: list[Ground], known: tuple[Path, ...]
) -> Candidate | None:
    """Return a thing that falls into a ground: it turns up again within it, or leaves the picture through it."""
    track, radius = path.track, path.radius
    if track.shot != level.shot or track.quality < CLEAR:
        return None
    lowest = _lowest(path)
    below = np.flatnonzero(lowest > level.row + NEAR)
    if not len(below) or not below[0]:
        return None
    deep = max(_turned_in(path, lowest, level, levels), _fallen_through(evidence, path, lowest, level))
    deep -= NEAR + UNEVEN * radius
    others = [other for other in known if other is not path and other.track.shot == level.shot]
    if deep <= 0 or any(_lies(other, level.row + NEAR + 0.15 * other.radius, np.inf) for other in others):
        return None
    frames = track.frames[below]
    text = f"From frame {frames[0]} on it is in the ground, up to {deep / radius:.1f} of its radii below its edge."
    box = box_about(evidence, (track,), int(frames[0]), int(frames[-1]))
    credit = _credit(track)
    slack = NEAR + 0.15 * radius
    credit *= GROUND if any(_lies(other, level.row - slack, level.row + slack) for other in others) else ALONE
    strength = float(np.log1p(deep / (DEEP * radius))) * credit * level.share
    return Candidate(int(frames[0]), int(frames[-1]), strength, text, box)


def _lowest(path: Path) -> np.ndarray:
    """Return the row of the lowest pixel in every sight of a track, in steady pixels, `[n]`.

    It is no lower than mostly below its centre: a shadow or another thing may be of one region with it.
    """
    track = path.track
    reach = track.boxes[:, 3] - track.centres[:, 1]
    most = float(np.percentile(reach[track.whole], USUAL)) if track.whole.any() else np.inf
    return np.asarray(track.steady[:, 1] + np.minimum(reach, most))


def _lies(path: Path, above: float, below: float) -> bool:
    """Say whether something that is well known lies or rolls where its lowest pixel is between two rows."""
    track = path.track
    clear = track.whole & (np.abs(np.log(track.areas / track.area)) < AS_EVER)
    lowest = _lowest(path)[clear]
    return path.credit >= KNOWN and bool(((lowest > above) & (lowest < below)).sum() >= LYING)


def _turned_in(path: Path, lowest: np.ndarray, level: Ground, levels: list[Ground]) -> float:
    """Return how deep in a ground, in pixels, a thing that falls is when it turns up again, not on another ground."""
    slack = NEAR + UNEVEN * path.radius
    lower = [other.row - level.row for other in levels if other.shot == level.shot and other.row > level.row + slack]
    track, deep = path.track, -np.inf
    alone = np.where(track.areas > LARGER * track.area, -np.inf, lowest)  # else it is one region with another
    for turn in path.turns:
        push = turn.change / max(float(np.hypot(*turn.change)), 1e-9)
        if turned(turn) and push[1] < -UPRIGHT and turn.before.velocity(turn.time)[1] > turn.error:
            first, last = (frame - track.start for frame in turn.span)
            depth = float(alone[first : last + 1].max()) - level.row
            if depth < TURNED * path.radius and not any(abs(depth - row) < slack for row in lower):
                deep = max(deep, depth)
    return deep


def _fallen_through(evidence: Evidence, path: Path, lowest: np.ndarray, level: Ground) -> float:
    """Return how deep in a ground, in pixels, a thing that goes down is when it leaves the picture through it."""
    track, radius, bottom = path.track, path.radius, evidence.luma.shape[1]
    entered = len(lowest) - int(np.argmax(lowest[::-1] <= level.row + NEAR))
    if track.ends != "border" or not 1 < entered < len(lowest):
        return -np.inf
    rows = track.steady[max(0, entered - BEFORE) :, 1]
    pace = float(rows[-1] - rows[0]) / max(1, len(rows) - 1)
    left = bottom - int(track.boxes[-1, 3])
    if left > STEPS * pace + 1 or pace * path.fps < DOWN * radius or (np.diff(rows) < 0).any():
        return -np.inf
    depth = float(lowest[-1]) + min(left, pace) - level.row
    return depth if depth < STRIP * radius else -np.inf
