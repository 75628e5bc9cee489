"""A cause without its mark: what left a mark on one thing before, and leaves none on another that it happens to.

That something marks is known only from what it did in the same clip. A stain came on a thing just where something of
its colour rests, so what touches that is stained as well. Or a thing got another surface as it was struck, so what is
struck as hard does too. The more things the rule held for, and the fewer it failed for, the surer it is one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import cv2
import numpy as np

from evaluation.evidence.marks import Mark, inside, new_colour, struck
from evaluation.evidence.stains import (
    ALIKE,
    FEWEST,
    RARE,
    SAMPLES,
    carried_by_camera,
    far,
    nearest,
    shades,
    some,
    source,
)

if TYPE_CHECKING:
    from evaluation.evidence.clip import Evidence
    from evaluation.evidence.tracks import Track

LAG, SIGHTS, FEWEST_LATER = 0.2, 3, 2  # seconds after which a mark is seen; sights before it, and after
MARKED = 0.1  # of a thing, at least, that is marked
AS_LARGE = 0.3  # of the size of the marked thing
SEEN = 0.6  # of a thing's usual area, from which its colours are asked
CLOSE = 2.5  # pixels by which one may be farther from a source than what it stained
CLEAN = 0.5  # of a mark that may be missing where the rule held
AGAIN = 1.0  # seconds after a thing is lost within which another track may go on with it
ANOTHER = 10.0  # of `shades`: another surface
BLOW, AS_HARD = 0.6, 0.7  # heights a second by which the velocity of what is struck leaps; times the blow that marked
STEPS_SECONDS, MOST_STEPS = 0.1, 3  # before and after a blow


@dataclass(frozen=True, eq=False)
class Missing:
    """A thing that a cause happens to from a frame on, and how much of its mark is missing, 0..1.

    `kept` and `broken` count the other things that the cause marked, and that it did not.
    """

    track: "Track"
    start: int
    end: int
    share: float
    kept: int = 1
    broken: int = 0

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Return x0, y0, x1, y1 of where it touches, the last two exclusive."""
        x0, y0, x1, y1 = (float(v) for v in self.track.boxes[self.start - self.track.start])
        return x0, y0, x1, y1


def find_missing(evidence: "Evidence", mark: Mark) -> list[Missing]:
    """Return the things on which the mark is missing that a mark on another says should be there."""
    found = []
    for happened in (_at_source(evidence, mark), _struck(evidence, mark)):
        kept = 1 + sum(missing.share < CLEAN for missing in happened)
        for missing in happened:
            others = sum(other.share >= CLEAN for other in happened if other is not missing)
            found.append(replace(missing, kept=kept, broken=others))
    return found


def _at_source(evidence: "Evidence", mark: Mark) -> list[Missing]:
    """Return what else touches what left a stain, and how much of the stain is missing."""
    colour = new_colour(evidence, mark)
    places = source(evidence, mark.a, mark.b, mark.mask, mark.after[0], colour)
    if len(places) < FEWEST:
        return []
    gained = _stain(evidence, mark.track, range(mark.b, mark.b + SIGHTS), colour)
    gained -= _share(evidence, mark.track, mark.a, colour)
    if gained < MARKED:
        return []
    places = _whole(evidence, mark, places, colour)
    reach = CLOSE + min(_away(evidence, mark.track, t, places, mark.b) for t in (mark.a, mark.b) if t <= mark.track.end)
    found = []
    for track in _others(evidence, mark):
        sights = _sights(track, track.frames.tolist())
        touches = [t for t in sights if _away(evidence, track, t, places, mark.b) <= reach]
        if not touches or touches[0] <= mark.b:
            continue
        start = touches[0]
        after = start + max(1, round(LAG * evidence.clip.fps))
        was = _stain(evidence, track, range(start - SIGHTS, start), colour)
        later = _sights(track, range(after, track.end + 1))
        if len(later) >= FEWEST_LATER and was < MARKED:
            now = _stain(evidence, track, later, colour)
            found.append(Missing(track, start, after, 1 - min(1.0, max(0.0, now - was) / gained)))
    return found


def _struck(evidence: "Evidence", mark: Mark) -> list[Missing]:
    """Return what is struck as hard as what got another surface by a blow, and how much of the change is missing."""
    if not struck(evidence, mark):
        return []
    lasts = max(1, round(LAG * evidence.clip.fps))
    at = slice(max(0, mark.index - lasts), mark.index + (mark.b - mark.a) + 2)
    blow = float(_leaps(evidence, mark.track)[at].max(initial=0))
    gained = _changed(evidence, mark.track, mark.a, mark.b + lasts)
    if blow < BLOW or gained < MARKED:
        return []
    found = []
    for track in _others(evidence, mark):
        leaps = _leaps(evidence, track)
        hard = np.flatnonzero(leaps >= max(BLOW, AS_HARD * blow)) + track.start
        hard = hard[(hard > mark.b) & (hard - track.start >= SIGHTS) & (hard + lasts <= track.end)]
        if len(hard):
            t = int(hard[np.argmax(leaps[hard - track.start])])
            share = _changed(evidence, track, t - 2, t + lasts) / gained
            found.append(Missing(track, t, t + lasts, 1 - min(1.0, share)))
    return found


def _leaps(evidence: "Evidence", track: "Track") -> np.ndarray:
    """Return by how much the velocity of a thing leaps at each sight of it, heights a second, `[n]`."""
    speeds = np.diff(track.steady, axis=0) * evidence.clip.fps / evidence.luma.shape[1]
    n, k = len(track.frames), int(np.clip(round(STEPS_SECONDS * evidence.clip.fps), 1, MOST_STEPS))
    leaps = np.zeros(n)
    for i in range(k, n - k):
        if _seen(track)[i - k : i + k + 1].all():
            before, after = np.median(speeds[i - k : i], axis=0), np.median(speeds[i : i + k], axis=0)
            leaps[i] = np.hypot(*(after - before))
    return leaps


def _changed(evidence: "Evidence", track: "Track", a: int, b: int) -> float:
    """Return which share of the inside of a thing in frame `b` has colours that are none of it in frame `a`."""
    a, b = (int(np.clip(t, track.start, track.end)) for t in (a, b))
    was, now = (_colours(evidence, track, t, inside(track.masks[t - track.start])) for t in (a, b))
    return float((nearest(some(now, SAMPLES), some(was, SAMPLES)) > ANOTHER).mean())


def _others(evidence: "Evidence", mark: Mark) -> list["Track"]:
    """Return the things that are followed besides the one that has a mark."""
    large = [track for track in evidence.tracks if track.area >= AS_LARGE * mark.track.area]
    return [track for track in large if track is not mark.track and not _goes_on(evidence, track, mark.track)]


def _goes_on(evidence: "Evidence", track: "Track", lost: "Track") -> bool:
    """Say whether a track may be the thing that another lost: it begins soon after, and near."""
    gap = track.start - lost.end
    radius = np.sqrt(lost.area / np.pi)
    near = np.hypot(*(track.steady[0] - lost.steady[-1])) < 2 * radius * (1 + max(0, gap) / evidence.clip.fps)
    return bool(-1 <= gap <= AGAIN * evidence.clip.fps and near)


def _seen(track: "Track") -> np.ndarray:
    """Say in which sights most of a thing is seen, bool `[n]`."""
    return np.asarray((track.areas > SEEN * track.area) & ~track.at_border)


def _sights(track: "Track", frames: Sequence[int]) -> list[int]:
    seen = _seen(track)
    return [t for t in frames if track.start <= t <= track.end and seen[t - track.start]]


def _whole(evidence: "Evidence", mark: Mark, places: np.ndarray, colour: np.ndarray) -> np.ndarray:
    """Return all of a source in frame `b` of a mark, of which some places are known, float `[n, 2]`."""
    alike = far(shades(evidence.rgb[mark.b].astype(np.float32)), colour) < ALIKE
    for track in evidence.tracks:
        if track.start <= mark.b <= track.end:
            alike &= ~track.mask(mark.b - track.start, *alike.shape)
    labels = cv2.connectedComponents(alike.astype(np.uint8))[1]
    h, w = labels.shape
    x, y = np.clip(np.round(places).astype(int), 0, [w - 1, h - 1]).T
    numbers = np.unique(labels[y, x])
    y, x = np.nonzero(np.isin(labels, numbers[numbers > 0]))
    return np.concatenate([places, np.stack([x, y], axis=-1)]) if len(x) < RARE * labels.size else places


def _away(evidence: "Evidence", track: "Track", t: int, places: np.ndarray, b: int) -> float:
    """Return how far a thing is in frame `t` from the nearest of some places of the scene in frame `b`, pixels."""
    x0, y0, x1, y1 = track.boxes[t - track.start]
    x, y = carried_by_camera(evidence, some(places, SAMPLES), b, t).T
    beyond = np.hypot(np.maximum(0, np.maximum(x0 - x, x - x1 + 1)), np.maximum(0, np.maximum(y0 - y, y - y1 + 1)))
    near = beyond < beyond.min() + FEWEST
    rows, columns = np.nonzero(track.masks[t - track.start])
    outline = np.stack([columns + x0, rows + y0], axis=-1)
    some_near = np.stack([x, y], axis=-1)[near]
    return float(np.sqrt(((outline[:, None] - some_near) ** 2).sum(axis=-1).min()))


def _stain(evidence: "Evidence", track: "Track", frames: Sequence[int], colour: np.ndarray) -> float:
    """Return which share of a thing has a colour of `shades` in a quarter of some frames at least, or 0."""
    there = [t for t in frames if track.start <= t <= track.end]
    return float(np.quantile([_share(evidence, track, t, colour) for t in there], 0.75)) if there else 0.0


def _share(evidence: "Evidence", track: "Track", t: int, colour: np.ndarray) -> float:
    """Return which share of a thing has a colour of `shades` in a frame."""
    seen = _colours(evidence, track, t, track.masks[t - track.start])
    return float((far(seen, colour) < ALIKE).mean())


def _colours(evidence: "Evidence", track: "Track", t: int, mask: np.ndarray) -> np.ndarray:
    x0, y0, x1, y1 = track.boxes[t - track.start]
    return np.asarray(shades(evidence.rgb[t][y0:y1, x0:x1].astype(np.float32))[mask])
