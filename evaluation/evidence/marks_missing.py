"""A cause without its mark: what left a stain on one thing, and leaves none on another that touches it as well.

That something stains is known only from what it did in the same clip: a mark came on a thing just where something of
that colour rests beside it.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from evaluation.evidence.marks import Mark, new_colour
from evaluation.evidence.stains import ALIKE, FEWEST, carried_by_camera, shades, source

if TYPE_CHECKING:
    from evaluation.evidence.clip import Evidence
    from evaluation.evidence.tracks import Track

LEAST_NEAR = 3.0  # pixels from the middle of a source
LAG, SIGHTS = 0.2, 3  # seconds after which a stain is seen; sights before and after
STAINED = 0.1  # of a thing, at least, that a source stains
AS_LARGE = 0.3  # of the size of the stained thing


@dataclass(frozen=True, eq=False)
class Missing:
    """A thing that touches what stained another, from a frame on, and how much of its stain is missing, 0..1."""

    track: "Track"
    start: int
    end: int
    share: float

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Return x0, y0, x1, y1 of where it touches, the last two exclusive."""
        x0, y0, x1, y1 = (float(v) for v in self.track.boxes[self.start - self.track.start])
        return x0, y0, x1, y1


def find_missing(evidence: "Evidence", mark: Mark) -> list[Missing]:
    """Return the things on which the stain is missing that a mark says should be there."""
    colour = new_colour(evidence, mark)
    places = source(evidence, mark.a, mark.b, mark.mask, mark.after[0], colour)
    if len(places) < FEWEST:
        return []
    found = []
    own = _share(evidence, mark.track, mark.a, colour)
    end = min(mark.track.end, mark.b + SIGHTS)
    gained = max(_share(evidence, mark.track, t, colour) for t in range(mark.a, end + 1)) - own
    if gained < STAINED:
        return []
    middle = places.mean(axis=0)
    near = max(float(np.hypot(*(mark.after[0] - middle))), LEAST_NEAR)
    for track in evidence.tracks:
        if track.area < AS_LARGE * mark.track.area or _same(track, mark):
            continue
        away = [np.hypot(*(c - carried_by_camera(evidence, middle, mark.b, t)))
                for t, c in zip(track.frames, track.centres, strict=True)]  # fmt: skip
        touches = track.frames[np.array(away) <= near]
        if not len(touches):
            continue
        start = int(touches[0])
        after = start + max(1, round(LAG * evidence.clip.fps))
        before = range(max(track.start, start - SIGHTS), start)
        later = range(after, track.end + 1)
        if len(before) < SIGHTS or len(later) < SIGHTS or start <= mark.b:
            continue
        was = max(_share(evidence, track, t, colour) for t in before)
        now = max(_share(evidence, track, t, colour) for t in later)
        if was < STAINED:
            found.append(Missing(track, start, after, 1 - min(1.0, max(0.0, now - was) / gained)))
    return found


def _same(track: "Track", mark: Mark) -> bool:
    """Say whether a track is, or goes on as, the thing that has a mark."""
    if track is mark.track:
        return True
    return any(
        bool((track.boxes[t - track.start][:2] <= place).all() and (place < track.boxes[t - track.start][2:]).all())
        for t, place in enumerate(mark.after, mark.b)
        if track.start <= t <= track.end
    )


def _share(evidence: "Evidence", track: "Track", t: int, colour: np.ndarray) -> float:
    """Return which share of a thing has a colour of `shades` in a frame."""
    x0, y0, x1, y1 = track.boxes[t - track.start]
    seen = shades(evidence.rgb[t][y0:y1, x0:x1].astype(np.float32))[track.masks[t - track.start]]
    return float((np.linalg.norm(seen - colour, axis=-1) < ALIKE).mean())
