"""What is another from a moment on, though nothing touched it: a part of the scene, or of something that moves in it.

What moves is looked at where it goes: regions that turn into something else (`turning.py`), and things whose inside
gets another surface (`marks.py`). What stained them as they came there is a cause, and so is a blow just then
(`causes.py`). What left a stain on one thing and leaves none on the next (`marks_missing.py`) fails as well. A pixel of
the steady picture changes lastingly where two levels, one before and one after a moment, explain it far better than one
(Page, "A test for a change in a parameter occurring at an unknown point", 1955). Pixels that change together are one
surface. What comes to rest there, leaves, or passes is seen around it at that moment: the cause.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import cv2
import numpy as np

from evaluation.evidence.causes import LIKELY, has_turned, is_marked, unexcused
from evaluation.evidence.clip import Evidence
from evaluation.evidence.marks import Mark, find_marks, log_odds, mark_of, measure, onset
from evaluation.evidence.marks_missing import Missing, find_missing
from evaluation.evidence.medians import median
from evaluation.evidence.shots import Shot
from evaluation.evidence.turning_measures import Turned
from evaluation.findings import Candidate, Finding, calibrated, unmeasurable

TYPE = "state_change"
SIDE = 64  # pixels of the longer side at which scenery is compared
SHORTEST = 12  # frames
SETTLED, SHARE = 5, 0.1  # frames, and of all frames, before and after that a state is seen
SPAN = 6  # frames over which it may change
LEVELS, NOISES = 5.0, 1.5  # of a change, and times the noise, that may be chance
CLEAR, FEWEST_THEN = 0.5, 3  # times what may be chance; pixels that change just then
FEWEST = 12  # pixels at that size
LEAST_SEEN = 0.4  # of the frame, all the time
LARGEST = 0.3  # of the frame: more is light
DARK = 8.0  # levels added to tell ratios of light
CROSSED = 80  # per cent of what surrounds a surface that a cause may leave as it is
AROUND = 3  # pixels around a surface in which its cause would be seen
SURE = 4.0  # times what may be chance: few faultless clips show as much
MOST, MARKS = 6, 3  # changes of scenery; marks on what moves
MOVES = 0.75  # pixels a frame from which something moves
MISSING, ALL_MISSING = 0.7, 8.0  # share of a stain that may be missing by chance; log odds of what is missing beyond
KERNEL = np.ones((3, 3), np.uint8)


@dataclass(frozen=True, eq=False)
class Change:
    """A region of the small frames that is another from a frame on: its mask bool `[h, w]`, and by how many levels."""

    frame: int
    mask: np.ndarray
    levels: float
    around: float  # levels by which what surrounds it changes meanwhile
    strength: float


def state_change(evidence: Evidence) -> Finding:
    """Find surfaces of resting scenery, and of what moves, that change for good without a cause."""
    shot = max(evidence.shots, key=len)
    if len(shot) < SHORTEST:
        return unmeasurable(TYPE, f"in fewer than {SHORTEST} frames no state is seen to last", due=False)
    found = [_turned(evidence, turned) for turned in evidence.turned]
    marks = [(log_odds(measure(evidence, mark)), mark) for mark in find_marks(evidence)]
    marks.sort(key=lambda pair: -pair[0])
    found += [_marked(evidence, mark, odds) for odds, mark in marks[:MARKS]]
    turns = [(turned.odds, mark) for turned in evidence.turned if (mark := mark_of(evidence, turned)) is not None]
    for odds, mark in [*marks, *turns]:
        if odds > LIKELY:
            found += [_missing(evidence, missing, odds) for missing in find_missing(evidence, mark)]
    return calibrated(TYPE, [*found, *_scenery(evidence, shot)])


def _turned(evidence: Evidence, turned: Turned) -> Candidate:
    odds = unexcused(turned.odds, lambda: has_turned(evidence, turned))
    text = f"Something shows another surface from frame {turned.onset} on, by {turned.levels:.0f} levels, though"
    text += " nothing touched it."
    return Candidate(turned.onset, max(turned.turn.b, turned.onset), _strength(odds), text, evidence.box(*turned.box))


def _marked(evidence: Evidence, mark: Mark, odds: float) -> Candidate:
    odds = unexcused(odds, lambda: is_marked(evidence, mark))
    start = onset(evidence, mark)
    text = f"The surface of something that is followed is another from frame {start} on, though nothing touched it."
    return Candidate(start, max(mark.b, start), _strength(odds), text, evidence.box(*mark.box))


def _missing(evidence: Evidence, missing: Missing, odds: float) -> Candidate:
    """Return what is found where a stain is missing; `odds` are those that what should leave it did so before."""
    odds = min(odds, 0.0) + ALL_MISSING * (missing.share - MISSING) + float(np.log(missing.kept / (1 + missing.broken)))
    text = f"From frame {missing.start} on something happens that left a mark on another before, and it leaves none."
    return Candidate(missing.start, missing.end, _strength(odds), text, evidence.box(*missing.box))


def _strength(odds: float) -> float:
    return float(np.logaddexp(0, odds)) / 2


def _scenery(evidence: Evidence, shot: Shot) -> list[Candidate]:
    """Return the changes of what rests; none where the camera turns so far that no place is seen for long."""
    frames, known = _steady(evidence, shot)
    if known.mean() < LEAST_SEEN:
        return []
    found = sorted(changes_of(frames, known, evidence.noise), key=lambda change: -change.strength)[:MOST]
    usual = cache(lambda t: median(evidence.flow.backward[t].reshape(-1, 2)))
    changes = [replace(c, strength=c.strength * (1 - _moving(evidence, shot, c, usual)) ** 2) for c in found]
    return [_candidate(evidence, change, shot.start, frames.shape[1:3]) for change in changes]


def _candidate(evidence: Evidence, change: Change, start: int, size: tuple[int, int]) -> Candidate:
    x, y, w, h = cv2.boundingRect(change.mask.astype(np.uint8))
    height, width = evidence.luma.shape[1:]
    across, down = width / size[1], height / size[0]
    box = evidence.box(x * across, y * down, (x + w) * across, (y + h) * down)
    t = start + change.frame
    text = f"A part of the scene is another from frame {t} on, by {change.levels:.0f} levels, though what surrounds it"
    text += f" changes by {change.around:.0f}."
    return Candidate(t, t, float(change.strength), text, box)


def changes_of(frames: np.ndarray, known: np.ndarray, noise: float) -> list[Change]:
    """Return the lasting changes in steady frames, float32 `[T, h, w, 3]`, at pixels that are known, `[h, w]`."""
    T, h, w, _ = frames.shape
    light = median(frames.reshape(T, -1, 3).swapaxes(0, 1))[:, None, None] + DARK
    even = (frames + DARK) * (light.mean(axis=0) / light)
    planes = np.ascontiguousarray(even.transpose(0, 3, 1, 2))
    squares = np.einsum("tchw,tchw->hw", planes, planes)
    settled = max(SETTLED, round(SHARE * T))
    whole, first = planes.sum(axis=0), planes[: settled - 1].sum(axis=0)
    best, when = np.zeros((h, w), np.float32), np.zeros((h, w), int)
    for t in range(settled, T - settled + 1):
        first += planes[t - 1]
        a, b = first / t, (whole - first) / (T - t)
        inside = (squares - t * np.einsum("chw,chw->hw", a, a) - (T - t) * np.einsum("chw,chw->hw", b, b)) / (3 * T)
        red, green, blue = np.abs(b - a)
        step = np.maximum(np.maximum(red, green), blue)
        clear = step / (LEVELS + NOISES * noise + 2 * np.sqrt(np.maximum(inside, 0)))
        better = clear > best
        np.copyto(best, clear, where=better)
        when[better] = t
    best[~known] = 0
    moments = np.flatnonzero(np.bincount(when[best > CLEAR]) >= FEWEST_THEN)
    return [change for t in moments.tolist() for change in _at(even, best, when, t, noise)]


def _at(even: np.ndarray, best: np.ndarray, when: np.ndarray, t: int, noise: float) -> list[Change]:
    """Return the regions that change at a frame, within which most pixels change there."""
    mask = ((np.abs(when - t) <= SPAN // 2) & (best > CLEAR)).astype(np.uint8)
    mask = cv2.morphologyEx(cv2.morphologyEx(mask, cv2.MORPH_OPEN, KERNEL), cv2.MORPH_CLOSE, KERNEL)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    found = []
    for i in range(1, count):
        region = labels == i
        if not FEWEST <= stats[i, cv2.CC_STAT_AREA] <= LARGEST * mask.size or median(when[region]) != t:
            continue
        step = np.abs(median(even[t:, region]) - median(even[:t, region])).max(axis=-1).mean()
        if not step:  # a few frames weigh on the mean, the usual level stays
            continue
        grown = cv2.dilate(region.astype(np.uint8), KERNEL, iterations=1 + AROUND)
        ring = (grown > 0) & ~(cv2.dilate(region.astype(np.uint8), KERNEL) > 0)
        few = even[max(0, t - SPAN) : t + SPAN, ring]
        around = float(np.percentile(np.ptp(few, axis=0).max(axis=-1), CROSSED)) if ring.any() else 0.0
        around = max(0.0, around - 4 * noise)
        clear = float(median(best[region])) * step / (step + 2 * around)
        together = float((np.abs(when[region] - t) <= 1).mean())
        found.append(Change(t, region, float(step), around, clear * together / SURE))
    return found


def _moving(evidence: Evidence, shot: Shot, change: Change, usual: Callable[[int], np.ndarray]) -> float:
    """Return in which share of a region and what surrounds it something moves before or after it changes, 0..1.

    The frames beside the change are left out, as the change itself looks like motion there. `usual` is the flow that
    most of a frame has.
    """
    height, width = evidence.luma.shape[1:]
    t = shot.start + change.frame
    pairs = [s for s in range(t - 1 - SPAN, t + SPAN) if shot.start <= s < shot.end and abs(s - t + 1) > 1]
    if not pairs:
        return 0.0
    grown = cv2.dilate(change.mask.astype(np.uint8), KERNEL, iterations=AROUND)
    region = cv2.resize(grown, (width, height), interpolation=cv2.INTER_NEAREST) > 0
    flows = np.stack([evidence.flow.backward[t][region] for t in pairs])
    if evidence.camera.moves:
        flows -= np.stack([usual(t) for t in pairs])[:, None]
    return float((np.linalg.norm(flows, axis=-1) > MOVES).any(axis=0).mean())


def _steady(evidence: Evidence, shot: Shot) -> tuple[np.ndarray, np.ndarray]:
    """Return small frames of a shot as seen from its middle frame, and where all of them are seen."""
    height, width = evidence.luma.shape[1:]
    scale = min(1.0, SIDE / max(height, width))
    size = (max(4, round(width * scale)), max(4, round(height * scale)))
    to_first = evidence.camera.to_first
    from_middle = np.linalg.inv(to_first[(shot.start + shot.end) // 2])
    frames, seen = [], np.ones((size[1], size[0]), bool)
    whole = np.full((height, width), 255, np.uint8)
    for t in range(shot.start, shot.end + 1):
        frame = evidence.rgb[t]
        if evidence.camera.moves:
            matrix = from_middle @ to_first[t]
            frame = cv2.warpPerspective(frame, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
            inside = cv2.warpPerspective(whole, matrix, (width, height))
            seen &= cv2.resize(inside, size, interpolation=cv2.INTER_AREA) == 255
        frames.append(cv2.resize(frame, size, interpolation=cv2.INTER_AREA))
    return np.stack(frames).astype(np.float32), seen
