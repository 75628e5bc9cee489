"""Names for what happens between things: collisions, passing behind, shattering, painting, orbiting, playing."""

from collections.abc import Callable, Sequence

import numpy as np

from evaluation.fidelity.motions import find_bounces
from evaluation.objects.ground import find_turns
from evaluation.objects.observation import Observation
from evaluation.objects.tracking import Track

NEARER = 0.12  # world units by which things come nearer, and then part again
PIECES = 3  # a thing that shatters leaves so many at least
LEFT = 0.7  # of the whole: no piece is as large, once they are apart
CLOSE_S = 0.4  # seconds after the break in which pieces may still hang together
GROWTH = 0.15  # world units by which a stroke grows
EXPLAINED = 0.25  # of the ground's change: a turn that explains less is none
SLOWEST_TURN = 0.15  # radians per second; the worlds' cameras circle at 0.5 and more
OFF_BALL = 0.09  # world units that a paddle is off the ball, on average, at most
PADDLE = 0.26  # world units from a side wall to the paddle's middle, at least

Tracks = Sequence[Track | None]  # those of the prompt's objects, in its order


def collide(seen: Observation, tracks: Tracks) -> str | None:
    """Return 'collide' where two things meet and part again on the sides that they came from."""
    paths = [path for path in (_path(seen, track) for track in tracks) if path is not None]
    if len(paths) < 2:
        return None
    apart = paths[0] - paths[1]
    apart = apart[~np.isnan(apart[:, 0])]
    if len(apart) < 4:
        return None
    distance = np.linalg.norm(apart, axis=1)
    nearest = distance.min()
    if distance[0] - nearest < NEARER or distance[-1] - nearest < NEARER:
        return "no collision"
    return "collide" if apart[0] @ apart[-1] > 0 else "passing through"


def behind(seen: Observation, tracks: Tracks) -> str | None:
    """Return 'behind right' or 'behind left' where a thing goes to one side of a wall and comes out on the other."""
    mover, wall = [*tracks, None, None][:2]
    if mover is None or wall is None:
        return None
    alike = [t for t in seen.objects if t is not wall and np.linalg.norm(t.rgb - mover.rgb) < 80]
    wall_x = float(np.median(seen.steady(wall)[:, 0]))
    first, last = min(alike, key=lambda t: t.start), max(alike, key=lambda t: t.end)
    start, end = seen.steady(first)[0, 0] - wall_x, seen.steady(last)[-1, 0] - wall_x
    if start * end >= 0:
        return "not behind"
    return "behind right" if end > 0 else "behind left"


def shatter(seen: Observation, tracks: Tracks) -> str | None:
    """Return 'shatter' where one thing becomes several, for good."""
    del tracks
    counts, first = pieces(seen), breaking(seen)
    if not counts.any():
        return None
    broken = 0 < first < seen.frames and counts[:first].max() == 1 and shattered(seen)[first:].all()
    return "shatter" if broken and counts[first:].max() >= PIECES else "whole"


def pieces(seen: Observation) -> np.ndarray:
    """Return how many things are in sight in every frame `[T]`, however small beside the whole."""
    return np.array([len(blobs) for blobs in seen.scene.blobs])


def breaking(seen: Observation) -> int:
    """Return the first frame with more than one thing in sight, the number of frames if there is none."""
    several = np.flatnonzero(pieces(seen) > 1)
    return int(several[0]) if len(several) else seen.frames


def shattered(seen: Observation) -> np.ndarray:
    """Return `bool [T]`: the frames in which nothing is as large as the whole was; pieces lie close at first."""
    first = breaking(seen)
    largest = np.array([max((blob.area for blob in blobs), default=0.0) for blobs in seen.scene.blobs])
    zoom = np.exp(2 * seen.scene.camera.zooms)
    whole = float(np.median((largest / zoom)[:first])) if first else np.inf
    close = np.arange(seen.frames) < first + CLOSE_S * seen.clip.fps
    return np.asarray((largest > 0) & ((largest / zoom < LEFT * whole) | (close & (largest / zoom < 1.1 * whole))))


def paint(seen: Observation, tracks: Tracks) -> str | None:
    """Return 'paint' and the direction in which what is painted grows."""
    track = next(iter(tracks), None) or max(seen.objects, key=lambda t: len(t.blobs), default=None)
    if track is None or len(track.blobs) < 3:
        return None
    boxes = steady_boxes(seen, track) / seen.unit
    (left, top, right, bottom), now = boxes[0], boxes[-1]
    growth = {"right": now[2] - right, "left": left - now[0], "up": top - now[1], "down": now[3] - bottom}
    most = max(growth, key=lambda name: growth[name])
    return f"paint {most}" if growth[most] > GROWTH else "no line"


def steady_boxes(seen: Observation, track: Track) -> np.ndarray:
    """Return the track's boxes `[n, 4]` (left, top, right, bottom) in the first frame's pixels."""
    boxes = np.array([blob.box for blob in track.blobs], dtype=float)
    corners = [seen.scene.camera.steady(track.frames, boxes[:, k : k + 2]) for k in (0, 2)]
    return np.concatenate(corners, axis=1)


def circle(seen: Observation, tracks: Tracks) -> str | None:
    """Return 'orbit' and the side to which the camera circles, by how the ground turns."""
    del tracks
    turns = find_turns(seen.luma, ~seen.scene.stands_out, seen.clip.fps)
    if not turns:
        return None
    explained = 1 - sum(turn.left for turn in turns) / max(sum(turn.change for turn in turns), 1e-6)
    rate = float(np.mean([turn.angle / (turn.end - turn.start) for turn in turns])) * seen.clip.fps
    if explained < EXPLAINED or abs(rate) < SLOWEST_TURN:
        return "no orbit"
    return "orbit right" if rate > 0 else "orbit left"


def play(seen: Observation, tracks: Tracks) -> str | None:
    """Return 'play' where a ball turns round above a paddle that stays below it."""
    paddle, ball = [*tracks, None, None][:2]
    off = off_ball(seen, paddle, ball)
    if off is None or ball is None:
        return None
    bounces = find_bounces(seen, ball)
    return "play" if off < OFF_BALL and bounces.upward + bounces.downward + bounces.across else "no play"


def off_ball(seen: Observation, paddle: Track | None, ball: Track | None) -> float | None:
    """Return how far the paddle is from below the ball on average, as far as the walls let it, in world units."""
    paths = _path(seen, paddle), _path(seen, ball)
    if paths[0] is None or paths[1] is None:
        return None
    width = seen.scene.width / seen.unit
    wanted = np.clip(paths[1][:, 0], PADDLE, width - PADDLE)
    off = np.abs(paths[0][:, 0] - wanted)
    return float(np.nanmean(off)) if not np.isnan(off).all() else None


def _path(seen: Observation, track: Track | None) -> np.ndarray | None:
    """Return a track's places `[T, 2]` in world units, nan where it is not seen."""
    if track is None:
        return None
    path = np.full((seen.frames, 2), np.nan)
    path[track.frames] = seen.steady(track) / seen.unit
    return path


SCENES: dict[str, Callable[[Observation, Tracks], str | None]] = {
    "collide": collide,
    "behind right": behind,
    "behind left": behind,
    "shatter": shatter,
    "paint right": paint,
    "paint left": paint,
    "paint up": paint,
    "paint down": paint,
    "orbit right": circle,
    "orbit left": circle,
    "play": play,
}
