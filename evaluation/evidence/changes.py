"""What goes out of being between two frames, or comes into being: changes that neither motion nor an edge explains.

Three searches give candidates: pixels of a frame that the next does not show, pixels that a frame some way ahead does
not show along the motion to it (what fades), and tracks that end inside the frame. `weighing.py` says how surely each
is a thing that vanished. What appears is what vanishes in the mirrored clip.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from evaluation.evidence.flow import REACH, beyond, carried, pixel_grid
from evaluation.evidence.medians import median
from evaluation.evidence.mirror import KERNEL, End, View, both_ways
from evaluation.evidence.segments import smallest
from evaluation.evidence.weighing import Candidate, Crowd, log_odds, onset

if TYPE_CHECKING:
    from evaluation.evidence.clip import Evidence

SUDDEN, SLOW, ENDING = 8, 6, 16  # candidates of each search, at most
OF_A_FRAME = 4
LARGEST = 0.4  # of the frame that a thing takes
LAGS = ((3, 2), (8, 3))  # frames ahead that what fades is looked for in; frames from one search to the next
APART = 6  # frames between two slow changes of one place
FULL = 0.75  # of its usual contrast, with which a thing is wholly there
LAST_SIGHTS = 14
SHORTEST, SUREST = 3, 0.15  # frames, and quality, of a track whose end says something


@dataclass(frozen=True, eq=False)
class Change:
    """A thing that is in frame `there` of the clip and not in frame `absent`, which is later if it vanishes.

    `onset` is the first frame that is wrong; `mask` bool is of `box` in frame `there`; `odds` the logarithm of the odds
    that a thing vanished or came into being here; `end` the track that it was seen in, if it was.
    """

    there: int
    absent: int
    onset: int
    box: tuple[int, int, int, int]
    mask: np.ndarray
    step: np.ndarray  # pixels a frame of the clip that it moves against the scene
    odds: float
    end: End | None


@dataclass(frozen=True, eq=False)
class Changes:
    """What vanishes and what appears, the surest first."""

    gone: tuple[Change, ...]
    come: tuple[Change, ...]


def find_changes(evidence: "Evidence") -> Changes:
    """Return the candidates in a clip with how sure they are."""
    forwards, backwards = both_ways(evidence)
    last = len(evidence.rgb) - 1
    gone = [_change(c, odds, onset(forwards, c)[0]) for c, odds in _weighed(forwards)]
    come = [
        Change(last - c.a, last - c.b, last - onset(backwards, c)[1], c.box, c.mask, -c.step, odds, c.end)
        for c, odds in _weighed(backwards)
    ]
    return Changes(*(tuple(sorted(found, key=lambda c: -c.odds)) for found in (gone, come)))


def _change(c: Candidate, odds: float, frame: int) -> Change:
    return Change(c.a, c.b, frame, c.box, c.mask, c.step, odds, c.end)


def _weighed(view: View) -> list[tuple[Candidate, float]]:
    if len(view.rgb) < 2:
        return []
    sudden, crowd = _sudden(view)
    most = LARGEST * view.rgb[0, ..., 0].size
    things = [c for c in [*sudden, *_slow(view), *_ending(view)] if 0 < c.mask.sum() <= most]
    return [(c, log_odds(view, c, crowd)) for c in things]


def _sudden(view: View) -> tuple[list[Candidate], Crowd]:
    """Return what is lost from one frame to the next, and how much is in every frame."""
    steps, (h, w) = len(view.lost), view.lost.shape[1:]
    top, share = np.zeros(steps), np.zeros(steps)
    found: list[tuple[float, Candidate]] = []
    for t in map(int, np.flatnonzero(~view.cut)):
        mask = (view.lost[t] > view.threshold).astype(np.uint8)
        share[t] = mask.mean()
        if not mask.any():
            continue
        for mass, box, piece in heaviest(mask, view.lost[t], smallest(h, w), OF_A_FRAME):
            top[t] = max(top[t], mass)
            beside = [_mean(view, s, box, piece) for s in (t - 1, t + 1) if 0 <= s < steps]
            alone = 1 - min(1.0, max(beside, default=0.0) / max(_mean(view, t, box, piece), 1e-6))
            found.append((mass * alone, Candidate(t, t + 1, box, piece, _step(view, t, box, piece))))
    found.sort(key=lambda pair: -pair[0])
    return [candidate for _, candidate in found[:SUDDEN]], Crowd(top, share)


def _mean(view: View, t: int, box: tuple[int, int, int, int], mask: np.ndarray) -> float:
    x0, y0, x1, y1 = box
    return float(view.lost[t, y0:y1, x0:x1][mask].mean())


def heaviest(
    mask: np.ndarray, levels: np.ndarray, least: float, most: int
) -> list[tuple[float, tuple[int, int, int, int], np.ndarray]]:
    """Return the sum of levels, box and mask of the `most` heaviest regions, without those of under `least` pixels."""
    mask = cv2.medianBlur(mask, 3)
    if not mask.any():
        return []
    mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, KERNEL)
    left, top, across, down = cv2.boundingRect(mask)
    place = slice(top, top + down), slice(left, left + across)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask[place], connectivity=8)
    at = np.flatnonzero(labels)
    mass = np.bincount(labels.ravel().take(at), weights=levels[place].ravel().take(at), minlength=count)
    found = []
    for i in (np.argsort(-mass[1:]) + 1)[:most]:
        x, y, wide, high, area = (int(v) for v in stats[i])
        if area >= least:
            box = (left + x, top + y, left + x + wide, top + y + high)
            found.append((float(mass[i]), box, labels[y : y + high, x : x + wide] == i))
    return found


def _slow(view: View) -> list[Candidate]:
    """Return what is lost over several frames along the motion through them, searched at half the size."""
    T, h, w = view.rgb.shape[:3]
    H, W = view.small.shape[1:3]
    grid, by = pixel_grid(H, W), np.array([W / w, H / h], np.float32)
    scale = np.array([[by[0], 0, (by[0] - 1) / 2], [0, by[1], (by[1] - 1) / 2], [0, 0, 1]])
    large = np.linalg.inv(scale)
    flows = [cv2.resize(flow, (W, H), interpolation=cv2.INTER_AREA) * by for flow in view.forward]
    threshold, found = view.threshold - 1.6 * view.noise, []
    for lag, stride in LAGS:
        for t in range(0, T - lag, stride):
            if view.cut[t : t + lag].any():
                continue
            still = grid
            if view.moves:
                still = cv2.perspectiveTransform(grid, scale @ view.between(t, t + lag) @ large)
            lost = beyond(view.small[t + lag], view.small[t], still, grid)
            mask = (lost > threshold).astype(np.uint8)
            if not mask.any():
                continue
            x, y, wide, high = cv2.boundingRect(mask)  # elsewhere nothing is lost; with what is around it
            place = slice(max(0, y - REACH), y + high + REACH), slice(max(0, x - REACH), x + wide + REACH)
            origins = [carried(flows, t, t + lag, grid[place], place)]
            if t and not view.cut[t - 1]:
                came = cv2.resize(view.backward[t - 1], (W, H), interpolation=cv2.INTER_AREA) * by
                origins.append((grid - lag * came)[place])
            for origin in origins:
                there = beyond(view.small[t + lag], view.small[t][place], origin, grid[place])
                lost[place] = cv2.min(lost[place], there)
            mask = (lost > threshold).astype(np.uint8)
            if mask.any():
                found += [(m / min(lag, 4) ** 0.3, t, lag, b, p) for m, b, p in heaviest(mask, lost, 5, OF_A_FRAME)[:3]]
    found.sort(key=lambda entry: -entry[0])
    kept: list[Candidate] = []
    for _, t, lag, small, piece in found:
        x0, y0, x1, y1 = (int(v) for v in np.round(np.array(small) / [*by, *by]))
        box = (x0, y0, min(w, max(x1, x0 + 1)), min(h, max(y1, y0 + 1)))
        if any(abs(t - other.a) <= APART and _overlap(box, other.box) for other in kept):
            continue
        size = (box[2] - box[0], box[3] - box[1])
        mask = cv2.resize(piece.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST).astype(bool)
        kept.append(Candidate(t, t + lag, box, mask, _step(view, t, box, mask)))
        if len(kept) == SLOW:
            break
    return kept


def _overlap(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    return max(one[0], other[0]) < min(one[2], other[2]) and max(one[1], other[1]) < min(one[3], other[3])


def _step(view: View, t: int, box: tuple[int, int, int, int], mask: np.ndarray) -> np.ndarray:
    """Return how a region came, in pixels a frame against the scene."""
    if not t or view.cut[t - 1] or not mask.any():
        return np.zeros(2)
    x0, y0, x1, y1 = box
    came = median(view.backward[t - 1][y0:y1, x0:x1][mask])
    centre = np.array([(x0 + x1) / 2, (y0 + y1) / 2, 1.0])
    before = view.between(t, t - 1) @ centre
    return np.asarray(before[:2] / before[2] - centre[:2] - came, dtype=float)


def _ending(view: View) -> list[Candidate]:
    """Return the tracks that end inside the frame, seen from where they were last wholly there."""
    T = len(view.rgb)
    found = []
    for end in view.ends:
        t, n = int(end.frames[-1]), len(end.frames)
        if end.why in ("clip", "cut", "border") or t >= T - 1 or view.cut[t]:
            continue
        if n < SHORTEST or end.track.quality < SUREST:
            continue
        first = max(0, n - LAST_SIGHTS)
        contrasts = np.array([_contrast(view, end, i) for i in range(first, n)])
        i = first + int(np.flatnonzero(contrasts >= FULL * np.median(contrasts))[-1])
        few = end.steady[max(0, i - 4) : i + 1]
        a, b = int(end.frames[i]), t + 1 if i == n - 1 or t + 2 > T - 1 or view.cut[t + 1] else t + 2
        x0, y0, x1, y1 = (int(v) for v in end.boxes[i])
        step = (few[-1] - few[0]) / max(1, len(few) - 1)
        found.append(Candidate(a, b, (x0, y0, x1, y1), end.masks[i], step, end, i))
    found.sort(key=lambda c: -(c.end.absent * c.end.track.quality if c.end else 0))
    return found[:ENDING]


def _contrast(view: View, end: End, i: int) -> float:
    """Return by how many levels a thing differs from what is behind it, or beside it, in one sight."""
    t, mask = int(end.frames[i]), end.masks[i]
    x0, y0, x1, y1 = (int(v) for v in end.boxes[i])
    known = view.known[t, y0:y1, x0:x1] & mask
    if 2 * known.sum() > mask.sum():
        frame, scene = view.rgb[t, y0:y1, x0:x1][known].astype(np.float32), view.scene[t, y0:y1, x0:x1][known]
        return float(np.abs(frame - scene).mean())
    wide = np.pad(mask, 2)[max(0, 2 - y0) :, max(0, 2 - x0) :]
    around = view.rgb[t, max(0, y0 - 2) : y1 + 2, max(0, x0 - 2) : x1 + 2].astype(np.float32)
    wide = wide[: around.shape[0], : around.shape[1]]
    return float(np.abs(around[wide] - around[~wide].mean(axis=0)).mean()) if (~wide).any() else 0.0
