"""How surely a thing that is followed got another surface: the log odds of a logistic model.

Candidates are where the colours of a track step, and where a region on one turned into something else (`turning.py`).
Segments break apart just where a mark comes, so the inside of the thing is taken from the last frame before and
followed by the flow. How its colours are distributed (`looks.py`) does not depend on how it turns; colours that were
beside it before are another thing's or the scene's.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from evaluation.evidence.looks import COLOURS, colours_of
from evaluation.evidence.marks_weights import BIAS, WEIGHTS
from evaluation.evidence.stains import ANOTHER, nearest, newest, shades, some
from evaluation.evidence.turning import cut_out, followed
from evaluation.evidence.turning_measures import Turned

if TYPE_CHECKING:
    from evaluation.evidence.clip import Evidence
    from evaluation.evidence.tracks import Track

WINDOW, FEWEST, MOST = 0.3, 3, 7  # seconds before and after that are compared; frames of it
LASTING = (0.0, 0.1, 0.25)  # seconds that a mark takes to come
SLOW = 0.35  # seconds: a turn that takes longer begins somewhere within
SHORTEST = 6  # frames of a track
STEPS, CANDIDATES = 4, 8  # of the colours of tracks; in all
SCATTER = 0.05  # of the colours of one thing, at least
ON_IT, LARGEST = 0.4, 0.3  # of a region that is on a thing; of the frame that a thing takes
RIM = 0.25  # of the depth of a thing's outline that is left out: it mixes with what is behind
BESIDE, LEAST, FARTHEST = 1.2, 5, 16  # radii, and pixels, that what is beside a thing may be away
OWN = 2.5  # pixels around the inside of a thing that are its own
SAMPLES, SAMPLES_BESIDE = 200, 600  # pixels of a thing, and with what is beside it, that are compared
BLOW = 0.6  # heights a second by which the velocity of what is struck leaps
WHOLE = 0.7  # of the area of a thing, from which its outline tells where its middle is
STEPS_BESIDE, SECONDS_BESIDE = 3, 0.1  # from frame to frame, before a blow and after, at least
EARLY, LATE = 0.06, 1  # seconds that a blow may come before a change is seen; frames after
BEGUN = 0.2  # of the way to what it becomes, from which it is seen to change


@dataclass(frozen=True, eq=False)
class Mark:
    """The inside of a thing that may be another surface in frame `b` than in frame `a`.

    `mask` bool is centred at the places `before`, float `[n, 2]`, in the frames a, a - 1, ..., and `after` in b, b + 1,
    ...; `index` is that of frame `a` in the track.
    """

    track: "Track"
    index: int
    a: int
    b: int
    mask: np.ndarray
    before: np.ndarray
    after: np.ndarray

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Return x0, y0, x1, y1 of where it is in both frames, the last two exclusive."""
        half = np.array(self.mask.shape[::-1]) / 2
        places = np.array([self.before[0], self.after[0]])
        x0, y0, x1, y1 = (float(v) for v in (*(places.min(axis=0) - half + 0.5), *(places.max(axis=0) + half + 0.5)))
        return x0, y0, x1, y1


def find_marks(evidence: "Evidence") -> list[Mark]:
    """Return the candidates in a clip."""
    found = [
        (track, *_within(evidence, turned))
        for turned in evidence.turned
        if (track := track_of(evidence, turned)) is not None
    ]
    kept: list[tuple[Track, int, int]] = []
    for track, a, b in [*found, *_steps(evidence)]:
        same = (track is other and abs(a - c) <= 1 and abs(b - d) <= 1 for other, c, d in kept)
        if track.start <= a <= track.end and not any(same):
            kept.append((track, a, b))
    return [_mark(evidence, *one) for one in kept[:CANDIDATES]]


def mark_of(evidence: "Evidence", turned: Turned) -> Mark | None:
    """Return the inside of the thing that a region which turned is on, None if it is on none that is followed then."""
    track, (a, b) = track_of(evidence, turned), _within(evidence, turned)
    return _mark(evidence, track, a, b) if track is not None and track.start <= a <= track.end else None


def struck(evidence: "Evidence", mark: Mark) -> bool:
    """Say whether a thing is struck as it begins to change: it moves otherwise from then on than it usually speeds up.

    Its outline tells its middle better than the flow of its inside does; a mark moves it once, which medians withstand.
    """
    frames, places = _places(evidence, mark)
    area = mark.track.areas[mark.index]
    radius = np.sqrt(area / np.pi)
    for i, t in enumerate(frames.tolist()):
        sights = [(track, t - track.start) for track in evidence.tracks if track.start <= t <= track.end]
        centres = [track.centres[k] for track, k in sights if WHOLE < track.areas[k] / area < 1 / WHOLE]
        away = [float(np.hypot(*(centre - places[i]))) for centre in centres]
        if away and min(away) < radius:
            places[i] = centres[int(np.argmin(away))]
    steady = evidence.camera.steady(frames, places)
    speeds = np.diff(steady, axis=0) * evidence.clip.fps / evidence.luma.shape[1]
    usual = np.median(np.diff(speeds, axis=0), axis=0) if len(speeds) > 1 else np.zeros(2)
    beside = max(STEPS_BESIDE, round(SECONDS_BESIDE * evidence.clip.fps))
    even = speeds - usual * np.arange(len(speeds))[:, None]
    leaps = np.zeros(len(speeds))
    for step in range(2, len(speeds) - 2):
        sides = even[max(0, step - beside) : step], even[step + 1 : step + 1 + beside]
        before, after = (np.median(side, axis=0) for side in sides)
        spread = [np.linalg.norm(side - m, axis=1).mean() for side, m in zip(sides, (before, after), strict=True)]
        leaps[step] = np.hypot(*(after - before)) - sum(spread)
    begins = onset(evidence, mark) - frames[0] - 1  # the step that leads to the first frame of the change
    early = max(2, round(EARLY * evidence.clip.fps))
    return bool(leaps.max() > BLOW and -early <= int(leaps.argmax()) - begins <= LATE)


def log_odds(measured: dict[str, float]) -> float:
    """Return the logarithm of the odds that a thing got another surface, by what is measured of it."""
    return BIAS + sum(weight * measured[name] for name, weight in WEIGHTS.items())


def measure(evidence: "Evidence", mark: Mark) -> dict[str, float]:
    """Return everything that a candidate is weighed by, by name."""
    track = mark.track
    m = {
        "clear": _clear(evidence, mark),
        "whole": float(track.whole[max(0, mark.index - MOST) : mark.index + 1].mean()),
        "usual": min(1.0, abs(float(np.log(track.areas[mark.index] / track.area)))),
        "size": float(np.log(track.area)),
        "kick": _kick(evidence, mark),
    } | _colours(evidence, mark)
    return m | {"clear and new": min(m["clear"], 1.5) * m["new"]}


def onset(evidence: "Evidence", mark: Mark) -> int:
    """Return the first frame in which the colours of a thing are on their way to what they become."""
    n = len(mark.before)
    frames, places = _places(evidence, mark)
    looks = np.stack([_look(evidence, t, place, mark.mask) for t, place in zip(frames.tolist(), places, strict=True)])
    was, now = np.median(looks[:n], axis=0), np.median(looks[-len(mark.after) :], axis=0)
    way = now - was
    begun = np.flatnonzero((looks[n:] - was) @ way > BEGUN * float(way @ way))
    return mark.a + 1 + int(begun[0]) if len(begun) else mark.b


def _places(evidence: "Evidence", mark: Mark) -> tuple[np.ndarray, np.ndarray]:
    """Return the frames in which a thing is followed, one after the other, and where it is in each, float `[n, 2]`."""
    between = followed(evidence, mark.a, mark.before[0], mark.mask, 1, mark.b - mark.a, mark.b)[1:-1]
    frames = np.arange(mark.a - len(mark.before) + 1, mark.b + len(mark.after))
    return frames, np.concatenate([mark.before[::-1], between, mark.after])


def new_colour(evidence: "Evidence", mark: Mark) -> np.ndarray:
    """Return the colour that a thing shows after and did not show before, of `shades`, `[3]`."""
    size = (mark.mask.shape[1], mark.mask.shape[0])
    i = min(2, len(mark.after) - 1)
    was = cut_out(evidence.rgb[mark.a], mark.before[0], size)[mark.mask]
    now = cut_out(evidence.rgb[mark.b + i], mark.after[i], size)[mark.mask]
    return newest(shades(was), shades(now))


def _mark(evidence: "Evidence", track: "Track", a: int, b: int) -> Mark:
    index, shot = a - track.start, evidence.shots[track.shot]
    mask = inside(track.masks[index])
    count = int(np.clip(round(WINDOW * evidence.clip.fps), FEWEST, MOST))
    x0, y0, x1, y1 = track.boxes[index]
    at = np.array([(x0 + x1 - 1) / 2, (y0 + y1 - 1) / 2])
    back = followed(evidence, a, at, mask, -1, count, shot.start)
    there = followed(evidence, a, at, mask, 1, b - a, shot.end)[-1]
    return Mark(track, index, a, b, mask, back, followed(evidence, b, there, mask, 1, count, shot.end))


def inside(mask: np.ndarray) -> np.ndarray:
    """Return a mask without its rim, if it is large enough to have one."""
    depth = cv2.distanceTransform(np.pad(mask.astype(np.uint8), 1), cv2.DIST_L2, 3)[1:-1, 1:-1]
    return np.asarray(depth >= max(1.5, RIM * depth.max()) if depth.max() >= 3 else depth > 0)


def _steps(evidence: "Evidence") -> list[tuple["Track", int, int]]:
    """Return where the colours of tracks step most, each with the frames before and after."""
    fps = evidence.clip.fps
    w = int(np.clip(round(WINDOW * fps), FEWEST, MOST))
    found = []
    for track in evidence.tracks:
        if len(track.frames) < SHORTEST:
            continue
        for lag in sorted({round(seconds * fps) for seconds in LASTING}):
            for step, t in peaks(track.look[:, :COLOURS], w, lag):
                found.append((step * track.quality**0.5, track, track.start + t - 1, track.start + t + lag))
    kept: list[tuple[Track, int, int]] = []
    for _, track, a, b in sorted(found, key=lambda one: -one[0]):
        if not any(track is other and abs(a + b - c - d) <= 2 * (w + 2) for other, c, d in kept):
            kept.append((track, a, b))
            if len(kept) == STEPS:
                break
    return kept


def peaks(looks: np.ndarray, w: int, lag: int) -> list[tuple[float, int]]:
    """Return how clear the two clearest steps of looks `[n, k]` are, and their first index that is not before.

    The means over up to `w` frames before `t` and from `t + lag` on are compared, beside how much looks vary there.
    """
    n = len(looks)
    t = np.arange(2, n - lag - 1)
    if not len(t):
        return []
    sums, squares = (
        np.vstack([np.zeros((1, x.shape[1])), np.cumsum(x, axis=0, dtype=float)]) for x in (looks, looks**2)
    )
    means, spreads = [], []
    for first, last in ((np.maximum(0, t - w), t), (t + lag, np.minimum(n, t + lag + w))):
        count = (last - first)[:, None]
        means.append((sums[last] - sums[first]) / count)
        spreads.append(np.sqrt(np.maximum((squares[last] - squares[first]) / count - means[-1] ** 2, 0).sum(axis=1)))
    size = np.linalg.norm(means[1] - means[0], axis=1)
    clear = size / (SCATTER + spreads[0] + spreads[1])
    best = int(clear.argmax())
    others = np.where(np.abs(t - t[best]) > w + lag, clear, -1)
    chosen = [best, int(others.argmax())] if others.max() > 0 else [best]
    return [(float(size[i] * clear[i]), int(t[i])) for i in chosen]


def _within(evidence: "Evidence", turned: Turned) -> tuple[int, int]:
    """Return the frames before and after a turn; of a slow one those around its onset."""
    a, b, fps = turned.turn.a, turned.turn.b, evidence.clip.fps
    if b - a <= max(FEWEST, SLOW * fps):
        return a, b
    a = max(a, min(turned.onset - 1, b - 2))
    return a, min(b, a + max(2, round(LASTING[-1] * fps)))


def track_of(evidence: "Evidence", turned: Turned) -> "Track | None":
    """Return the track that most of a region is on before it turns, None if it is on none."""
    turn, (h, w) = turned.turn, evidence.luma.shape[1:]
    rows, columns = turn.mask.shape
    x, y = np.round(turn.from_ - (np.array([columns, rows]) - 1) / 2).astype(int)
    most, best = ON_IT * float(turn.mask.sum()), None
    for track in evidence.tracks:
        i = turn.a - track.start
        if not 0 <= i < len(track.frames) or track.areas[i] > LARGEST * h * w:
            continue
        x0, y0, x1, y1 = track.boxes[i]
        left, right, top, bottom = max(x, x0), min(x + columns, x1), max(y, y0), min(y + rows, y1)
        if left < right and top < bottom:
            of_it = track.masks[i][top - y0 : bottom - y0, left - x0 : right - x0]
            both = float((turn.mask[top - y : bottom - y, left - x : right - x] & of_it).sum())
            if both > most:
                most, best = both, track
    return best


def _look(evidence: "Evidence", t: int, place: np.ndarray, mask: np.ndarray) -> np.ndarray:
    return colours_of(some(cut_out(evidence.rgb[t], place, (mask.shape[1], mask.shape[0]))[mask], SAMPLES))


def _clear(evidence: "Evidence", mark: Mark) -> float:
    """Return how far the colours on one side are at least from those on the other, beside the most that they vary."""
    before = np.stack([_look(evidence, mark.a - i, p, mark.mask) for i, p in enumerate(mark.before)])
    after = np.stack([_look(evidence, mark.b + i, p, mark.mask) for i, p in enumerate(mark.after)])
    sides = [(x, np.median(x, axis=0)) for x in (before, after)]
    varies = max(float(np.linalg.norm(x - middle, axis=1).max()) for x, middle in sides)
    apart = min(float(np.linalg.norm(x - sides[1 - i][1], axis=1).min()) for i, (x, _) in enumerate(sides))
    return float(np.log((apart + 0.01) / (0.04 + varies)))


def _colours(evidence: "Evidence", mark: Mark) -> dict[str, float]:
    """Return how much is of colours that were not on it or beside it before, how new and old ones stay and spill over.

    What covers a thing or leaves it is seen beside it too; a mark ends where the thing does.
    """
    reach = int(np.clip(round(BESIDE * np.sqrt(mark.mask.sum() / np.pi)), LEAST, FARTHEST))
    shape = np.pad(mark.mask.astype(np.uint8), reach)
    own, core = cv2.distanceTransform(1 - shape, cv2.DIST_L2, 3) < OWN, shape > 0
    size = (shape.shape[1], shape.shape[0])
    before = [shades(cut_out(evidence.rgb[mark.a - i], p, size)) for i, p in enumerate(mark.before)]
    after = [shades(cut_out(evidence.rgb[mark.b + i], p, size)) for i, p in enumerate(mark.after)]
    m: dict[str, float] = {}
    for name, first, later in (("new", before, after), ("old", after, before)):
        pixels = some(later[min(2, len(later) - 1)][core], SAMPLES)
        colour = newest(first[0][own], pixels)
        alike = [[((x - colour) ** 2).sum(axis=-1) < ANOTHER**2 for x in side] for side in (first, later)]
        counts = [[int(x[own].sum()) for x in side] for side in alike]
        beyond = [float((x & ~own).sum()) / (count + 3) for x, count in zip(alike[1], counts[1], strict=True)]
        m[f"{name} spills"] = min(1.0, float(np.median(beyond)))
        m[f"{name} stays"] = float(np.log((min(counts[1]) + 3) / (max(counts[0]) + 3)))
        if name == "new":
            beside = nearest(pixels, some(first[0].reshape(-1, 3), SAMPLES_BESIDE))
            m["new"] = float(np.log((beside > ANOTHER).mean() + 0.02) - np.log(0.02))
    return m


def _kick(evidence: "Evidence", mark: Mark) -> float:
    """Return how suddenly the thing's motion changes then, beside what it usually does, log of heights a second."""
    n = len(mark.before)
    frames = np.concatenate([mark.a - np.arange(n)[::-1], mark.b + np.arange(len(mark.after))])
    steady = evidence.camera.steady(frames, np.concatenate([mark.before[::-1], mark.after]))
    speeds = np.diff(steady, axis=0) / np.diff(frames)[:, None] * evidence.clip.fps / evidence.luma.shape[1]
    kicks = np.linalg.norm(np.diff(speeds, axis=0), axis=1)
    near = (frames[1:-1] >= mark.a - 2) & (frames[1:-1] <= mark.b + 2)
    return float(np.log1p(5 * max(0.0, kicks[near].max() - np.median(kicks)))) if near.any() else 0.0
