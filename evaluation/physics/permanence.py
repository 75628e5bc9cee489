"""Objects do not come from nothing, vanish, or vanish and come back.

Three types: `appearance` (an object comes into being inside the frame), `disappearance` (one is gone and stays gone)
and `permanence` (one is gone for a while and returns). Leaving or entering by the frame's edge, or behind another
object, is no failure.
"""

from dataclasses import dataclass

import numpy as np

from evaluation.findings import Failure, Finding, measured, unmeasurable
from evaluation.objects.observation import Observation
from evaluation.objects.tracking import Track, begins_hidden, ends_hidden

CHANGING = ("shatter", "paint right", "paint left", "paint up", "paint down")
SHORTEST = 2  # frames that a clip must have


@dataclass(frozen=True)
class Events:
    """What the tracks of a clip do that objects do not."""

    appeared: list[Track]
    disappeared: list[Track]
    returned: list[tuple[Track, Track]]  # the track that was lost and the one that takes it up again


def appearance(seen: Observation) -> Finding:
    """Find objects that come from nothing, located where they are seen."""
    return _judge(seen, "appearance")


def disappearance(seen: Observation) -> Finding:
    """Find objects that vanish for good, located from the first frame without them to the clip's end."""
    return _judge(seen, "disappearance")


def permanence(seen: Observation) -> Finding:
    """Find objects that vanish and return, located at the frames without them."""
    return _judge(seen, "permanence")


def events(seen: Observation) -> Events:
    """Find the unexcused beginnings and ends of tracks and pair each end with the next beginning like it."""
    lost = [
        track
        for track in seen.tracks
        if track.end < seen.frames - 1 and not ends_hidden(track, seen.tracks, seen.scene)
    ]
    new = [track for track in seen.tracks if track.start > 0 and not begins_hidden(track, seen.tracks, seen.scene)]
    returned = []
    for track in sorted(lost, key=lambda t: t.end):
        later = [t for t in new if t.start > track.end and _alike(track, t)]
        if later:
            successor = min(later, key=lambda t: t.start)
            returned.append((track, successor))
            new.remove(successor)
    gone = {id(track) for track, _ in returned}
    return Events(new, [track for track in lost if id(track) not in gone], returned)


def _judge(seen: Observation, kind: str) -> Finding:
    due = seen.wanted is not None and seen.frames >= SHORTEST
    if seen.frames < SHORTEST:
        return unmeasurable(kind, "an image shows nothing come or go", due=False)
    if seen.unseen:
        return unmeasurable(kind, seen.unseen, due=due)
    if seen.wanted is not None and seen.wanted.motion in CHANGING:
        return unmeasurable(kind, "what the prompt asks for changes what there is", due=False)
    found = events(seen)
    last = seen.frames - 1
    if kind == "appearance":
        spans = [(t, t.start, t.end, f"appears from nothing in frame {t.start}") for t in found.appeared]
    elif kind == "disappearance":
        spans = [(t, t.end + 1, last, f"vanishes after frame {t.end}") for t in found.disappeared]
    else:
        spans = [
            (old, old.end + 1, new.start - 1, f"is gone from frame {old.end + 1} to {new.start - 1}, then returns")
            for old, new in found.returned
        ]
    return measured(kind, [_failure(seen, kind, *span) for span in spans])


def _failure(seen: Observation, kind: str, track: Track, start: int, end: int, event: str) -> Failure:
    # A gap can be empty where an object jumps: the frame of the jump is named.
    end = max(start, end)
    share = (end - start + 1) / seen.frames
    weight = min(1.0, 2 * track.area / max(seen.largest, 1.0))  # half the largest object's size counts in full
    score = weight * (0.6 + 0.4 * share)
    where = f"at ({track.centres[0 if kind == 'appearance' else -1][0]:.0f}, "
    where += f"{track.centres[0 if kind == 'appearance' else -1][1]:.0f})"
    return Failure(kind, start, end, score, f"An object {where} {event}.")


def _alike(one: Track, other: Track) -> bool:
    return bool(np.linalg.norm(one.rgb - other.rgb) < 60 and 0.4 < one.area / other.area < 2.5)
