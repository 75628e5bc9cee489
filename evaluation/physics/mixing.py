"""Things seen through one another: where two cross, the picture is a mixture of both.

Two things that come together are carried on as they went, each as it looked when it was last seen whole. Where they
would lie over one another, the frame shows the one, the other, or, if they are in one another, a mixture
`one + share (other - one)`: its share is fitted by least squares over the pixels of both, and is about 0 or 1 where one
hides the other. What the mixture explains beyond the better of the two says whether it is one.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from evaluation.evidence.camera import carry
from evaluation.evidence.clip import Evidence
from evaluation.evidence.tracks import Track

SURE, SMALLEST = 0.2, 24.0  # least quality and area in pixels of a track
SIGHTS = 6  # nearly whole sights by which its velocity is known, at least half as many
WHOLE, AGO = 0.6, 3  # of its area, that such a sight shows; how much longer than these sights they may be ago
LASTS = 0.8  # seconds for which things are carried on, at most
OVERLAP, PIXELS = 0.2, 10  # of the smaller, and pixels: an overlap that is judged
SEARCH = 3  # pixels about where it should be, within which a thing is looked for
CONTRAST = 18.0  # levels, root mean square, by which two must differ to tell which is seen
LEFT = 0.5  # of that, which a mixture may leave unexplained
NEAR = 2  # pixels between boxes that touch


@dataclass(frozen=True)
class Mixture:
    """Two things that cross in frames `start` to `end`, both inclusive.

    `amount` sums over the frames that are judged how surely each shows a mixture, 0..1, and `share` is their mean.
    """

    one: Track
    other: Track
    start: int
    end: int
    amount: float
    share: float


@dataclass(frozen=True, eq=False)
class Going:
    """A thing as last seen whole before a frame, and how it goes on: steady pixels a frame."""

    frame: int
    place: np.ndarray  # float [2], its steady centre
    velocity: np.ndarray  # float [2]
    picture: np.ndarray  # float32 [h, w, 3]
    mask: np.ndarray  # bool [h, w]
    corner: np.ndarray  # float [2], of the picture from the centre


def mixtures(evidence: Evidence) -> list[Mixture]:
    """Return where two things cross as mixtures."""
    found = []
    for one, other, contact in _coming_together(evidence):
        goings = [_going(evidence, track, contact) for track in (one, other)]
        if goings[0] is None or goings[1] is None:
            continue
        shares = [
            (t, _mixed(evidence, goings[0], goings[1], t))
            for t in _frames(evidence, one, contact)
            if not (_elsewhere(one, goings[0], t) or _elsewhere(other, goings[1], t))
        ]
        judged = [(t, share) for t, share in shares if share is not None]
        if judged:
            amount = sum(share for _, share in judged)
            found.append(Mixture(one, other, judged[0][0], judged[-1][0], amount, amount / len(judged)))
    return found


def _coming_together(evidence: Evidence) -> Iterator[tuple[Track, Track, int]]:
    """Yield pairs of things and the first frame in which they touch, or one of them ends near the other."""
    tracks = [t for t in evidence.tracks if t.quality >= SURE and t.area >= SMALLEST and len(t.frames) > SIGHTS // 2]
    for i, one in enumerate(tracks):
        for other in tracks[:i]:
            first, last = max(one.start, other.start), min(one.end, other.end)
            if one.shot != other.shot or last - first < 2:
                continue
            a, b = (t.boxes[first - t.start : last + 1 - t.start] for t in (one, other))
            gaps = np.maximum(a[:, :2] - b[:, 2:], b[:, :2] - a[:, 2:]).max(axis=1)
            apart = np.flatnonzero(gaps > NEAR)
            touch = np.flatnonzero(gaps <= NEAR)
            touch = touch[touch > apart[0]] if len(apart) else touch[:0]
            if len(touch):
                yield one, other, first + int(touch[0])
            elif gaps[-1] < NEAR + np.abs(np.diff(gaps[-3:])).max() * 3:
                yield one, other, last + 1


def _going(evidence: Evidence, track: Track, contact: int) -> Going | None:
    clear = ~track.at_border & (track.areas > WHOLE * track.area)
    whole = np.flatnonzero(clear & (track.frames < contact))[-SIGHTS:]
    if len(whole) < SIGHTS // 2 or contact - track.frames[whole[0]] > AGO * SIGHTS:
        return None
    last = int(whole[-1])
    velocity = np.polyfit(track.frames[whole], track.steady[whole], 1)[0]
    t, (x0, y0, x1, y1) = int(track.frames[last]), track.boxes[last]
    picture = evidence.rgb[t, y0:y1, x0:x1].astype(np.float32)
    return Going(t, track.steady[last], velocity, picture, track.masks[last], np.array([x0, y0]) - track.centres[last])


def _frames(evidence: Evidence, track: Track, contact: int) -> range:
    end = min(evidence.shots[track.shot].end, contact + round(LASTS * evidence.clip.fps))
    return range(contact, end + 1)


def _elsewhere(track: Track, thing: Going, t: int) -> bool:
    """Say whether a thing is wholly seen in a frame, and not where it should be."""
    index = t - track.start
    if not 0 <= index < len(track.frames) or not track.whole[index]:
        return False
    away = track.steady[index] - thing.place - thing.velocity * (t - thing.frame)
    return float(np.hypot(*away)) > SEARCH + 0.5 * float(np.sqrt(track.area / np.pi))


def _mixed(evidence: Evidence, one: Going, other: Going, t: int) -> float | None:
    """Return how surely a frame shows a mixture where both would be, 0..1; None where that cannot be told."""
    h, w = evidence.luma.shape[1:]
    layers = [_drawn(evidence, thing, t, np.zeros((h, w), bool)) for thing in (one, other)]
    both = layers[0][1] & layers[1][1]
    if both.sum() < max(PIXELS, OVERLAP * min(one.mask.sum(), other.mask.sum())):
        return None
    layers = [_drawn(evidence, thing, t, both) for thing in (one, other)]
    both = layers[0][1] & layers[1][1]
    if both.sum() < PIXELS:
        return None
    frame = evidence.rgb[t].astype(np.float32)
    seen, (a, b) = frame[both], (picture[both] for picture, _ in layers)
    apart = b - a
    contrast = float((apart**2).mean())
    if contrast < CONTRAST**2:
        return None
    alone = [mask & ~both for _, mask in layers]
    off = [((frame - layer[0])[free] ** 2).mean() for layer, free in zip(layers, alone, strict=True) if free.any()]
    if off and min(off) > LEFT**2 * contrast:
        return None  # neither went on as it came
    share = float(np.clip(((seen - a) * apart).mean() / contrast, 0, 1))
    left = float(((seen - a - share * apart) ** 2).mean())
    better = min(float(((seen - a) ** 2).mean()), float(((seen - b) ** 2).mean()))
    clear = max(0.0, 1 - left / (LEFT**2 * contrast))
    return 4 * share * (1 - share) * clear * max(0.0, 1 - left / max(better, 1e-6))


def _drawn(evidence: Evidence, thing: Going, t: int, hidden: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a thing where it should be in a frame, float32 `[h, w, 3]` and bool `[h, w]`.

    It is moved to where the frame is most as it looked, but for what is `hidden`.
    """
    h, w = hidden.shape
    place = (thing.place + thing.velocity * (t - thing.frame))[None]
    centre = carry(np.linalg.inv(evidence.camera.to_first[t]), place)[0]
    x, y = np.round(centre + thing.corner).astype(int)
    rows, columns = thing.mask.shape
    picture, mask = np.zeros((h, w, 3), np.float32), np.zeros((h, w), bool)
    left, top = x - SEARCH, y - SEARCH
    if hidden.any() and left >= 0 and top >= 0 and x + columns + SEARCH <= w and y + rows + SEARCH <= h:
        free = thing.mask & ~hidden[y : y + rows, x : x + columns]
        if free.sum() > PIXELS:
            window = evidence.rgb[t, top : top + rows + 2 * SEARCH, left : left + columns + 2 * SEARCH]
            weight = np.repeat(free.astype(np.float32)[..., None], 3, axis=2)
            squares = cv2.matchTemplate(window.astype(np.float32), thing.picture, cv2.TM_SQDIFF, mask=weight)
            dy, dx = np.unravel_index(int(squares.argmin()), squares.shape)
            x, y = left + int(dx), top + int(dy)
    x0, y0, x1, y1 = max(0, x), max(0, y), min(w, x + columns), min(h, y + rows)
    if x0 < x1 and y0 < y1:
        inside = slice(y0 - y, y1 - y), slice(x0 - x, x1 - x)
        picture[y0:y1, x0:x1], mask[y0:y1, x0:x1] = thing.picture[inside], thing.mask[inside]
    return picture, mask
