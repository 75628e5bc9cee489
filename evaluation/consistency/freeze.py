"""Freeze: what moved stands still all at once, or frames are shown again, in order or backwards.

A step from one frame to the next is measured by how much the busiest cells of the picture change. A stop is a run of
steps far quieter than those before it. Things come to rest, leave the picture or pass behind something as well, so
that a stop counts less where they slowed down before or are no longer to be seen, and more where nothing at all changes
any more, not even grain. A repeat is a run of frames that equal earlier ones, in order, far better than neighbouring
frames equal each other. Both are ratios, so that grain and what a codec leaves count as what they are. A clip in which
nothing ever moves is one repeated picture if most of its pixels never change: what a resting camera sees is alive.
"""

import itertools
from dataclasses import dataclass, replace

import cv2
import numpy as np

from evaluation.consistency.backwards import apart, turned_round
from evaluation.evidence.clip import Evidence
from evaluation.evidence.medians import median
from evaluation.findings import Candidate, Finding, calibrated, unmeasurable

TYPE = "freeze"
CELL, REPEAT_CELL = 6, 10  # pixels: sides of the cells that a stop and a repeat are seen in
BUSIEST = 0.99  # the quantile of cells that stands for a step: a small ball covers few
SHORTEST = 2  # steps of a stop: three equal frames
# Steps of the stops that are looked for; one that lasts otherwise holds one of these.
LENGTHS = (2, 3, 4, 5, 7, 10, 14, 20, 30, 45, 70, 100)
BEFORE = 3  # steps before and after a stop that say what moved
# A stop that lasts one of these is as sure as can be; at the clip's end, one of twice that.
FULL_SECONDS, FULL_FRAMES = 0.4, 8
REST = 0.85  # the quantile of its steps that stands for a stop
GRAIN, MOST_GRAIN = 1.6, 2.5  # times what most cells change by when nothing moves, and times the noise
LEFT = 0.08  # of the grain is kept: a stop under grain is less sure
FINE = 48  # pixels of a side from which pixels are averaged
QUIET = 0.3  # levels: what a standing picture changes by, whatever its source
MOVES, MOVING = 1.5, 2  # levels beyond the noise, in as many steps: something moves in the clip
CODED = 3.0  # levels beyond the noise by which coding changes a picture that is repeated
STRANGE = 8.0  # levels beyond the noise by which a thing differs from what is usually seen at its place
SIDE, AGAIN = 0.4, 0.6  # weights: of what moves after a stop; of what stops where nothing is left to be seen
# Of a stop's strength: as it is, and for each time that fewer pixels (e times) change than in as many steps before. The
# share of pixels that is nothing; steps before; steps of a stop that tell; how long one lasts to say it all: films drop
# single frames.
ALIVE, DEAD, NO_PIXELS, STEPS_BEFORE, QUIETER, DEAD_SECONDS = 1.0, 0.6, 0.01, 5, 0.75, 0.3
REPEATED, QUIETEST = 0.03, 0.25  # share of pixels that change in the quietest steps of a picture that is repeated
MOST_SIDE = 256  # pixels of the longer side that are compared one by one, about
LAGS_SECONDS, MOST_LAGS, FIRST_LAG = 2.5, 75, 3  # how far back a repeat is looked for
REPEAT_LENGTHS, FULL_REPEAT = (4, 6, 9, 14, 22), 9  # frames of a repeat, and of one that is as sure as can be
APART_SECONDS = 0.06  # over which it moves: of 60 frames a second, neighbours hardly differ
REPEAT_QUIET = 0.6  # levels: less motion than this tells no frame from another
NEARER = 1.2  # times surer must be what is repeated from farther back: twice its period
LIVELY, FEWEST_LIVELY = 0.1, 6  # share, and number, of the cells' channels that change most in a clip: they tell
SURE, SURE_REPEAT = 3.6, 0.9  # a stop and a repeat as strong as few faultless clips have
CERTAIN = 20.0  # a strength that one faultless clip in a million has
RESTING = ("still", None)  # motions of a prompt that need not be seen


@dataclass(frozen=True)
class Stop:
    """Steps `start` to `end`, both inclusive, quieter than those before; step t leads from frame t to t + 1."""

    start: int
    end: int
    strength: float


def freeze(evidence: Evidence) -> Finding:
    """Find stretches in which all motion stops at once, repeats, and turns that run backward."""
    frames = len(evidence.luma)
    wanted = evidence.wanted.motion if evidence.wanted is not None else None
    if frames < SHORTEST + BEFORE + 1:
        return unmeasurable(TYPE, f"fewer than {SHORTEST + BEFORE + 1} frames show no standstill", due=False)
    change = steps(evidence.rgb)
    floor = grain(change, evidence.noise)
    activity = np.maximum(busiest(change) - floor, 0) + LEFT * floor
    moves = np.sort(activity)[-MOVING] - evidence.noise
    if moves < MOVES and wanted not in RESTING:
        text = f"Nothing moves in any frame, though the prompt asks for it ('{wanted}')."
        return calibrated(TYPE, [Candidate(0, frames - 1, CERTAIN, text)])
    alive = changing(evidence.clip.frames)
    if moves < CODED and evidence.wanted is None and np.quantile(alive, QUIETEST) < REPEATED:
        text = f"All {frames} frames are one picture, repeated: not even grain changes."
        return calibrated(TYPE, [Candidate(0, frames - 1, CERTAIN, text)])
    if moves < MOVES:
        return unmeasurable(TYPE, "nothing moves from beginning to end, and nothing says that it should", due=False)
    small = liveliest(evidence.rgb)
    candidates = [stopped(evidence, change, activity, alive), repeated(small, evidence.clip.fps), turned_round(small)]
    return calibrated(TYPE, [c for c in candidates if c is not None])


def steps(rgb_THWC: np.ndarray) -> np.ndarray:
    """Return by how many levels the cells of the picture change in every step, float32 `[T - 1, rows, columns]`."""
    _, height, width, _ = rgb_THWC.shape
    cells = max(1, round(width / CELL)), max(1, round(height / CELL))
    size = (width // 2, height // 2) if min(width, height) >= FINE else (width, height)  # half of the grain is gone
    frames = (cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in rgb_THWC)
    changes = (cv2.absdiff(a, b).astype(np.float32) for a, b in itertools.pairwise(frames))
    found = np.stack([cv2.resize(change, cells, interpolation=cv2.INTER_AREA) for change in changes])
    return np.asarray(found.reshape(len(found), cells[1], cells[0], 3).max(axis=-1))


def grain(change: np.ndarray, noise: float) -> float:
    """Return by how many levels the busiest cells change where nothing moves: more than what most cells do."""
    quietest = np.sort(np.median(change.reshape(len(change), -1), axis=1))[: max(1, len(change) // 20 + 1)].mean()
    return float(min(GRAIN * quietest, MOST_GRAIN * noise))


def busiest(change: np.ndarray) -> np.ndarray:
    """Return what stands for each step `[T - 1]` of `steps`: its busiest cells."""
    flat = change.reshape(len(change), -1)
    rank = int(np.ceil(BUSIEST * (flat.shape[1] - 1)))
    return np.asarray(np.partition(flat, rank, axis=1)[:, rank], dtype=float)


def changing(frames: np.ndarray) -> np.ndarray:
    """Return which share of the values of frames `uint8 [T, H, W, 3]` changes at all in every step, `[T - 1]`."""
    every = max(1, round(max(frames.shape[1:3]) / MOST_SIDE))
    some = (np.ascontiguousarray(frame[::every, ::every]).reshape(len(frame[::every]), -1) for frame in frames)
    return np.array([cv2.countNonZero(cv2.absdiff(a, b)) / a.size for a, b in itertools.pairwise(some)])


def dying(alive: np.ndarray, stop: Stop, fps: float) -> float:
    """Return a stop's weight by the share of pixels that changes in every step: more if even what is still is dead."""
    before = alive[max(0, stop.start - STEPS_BEFORE) : stop.start]
    during = np.sort(alive[stop.start : stop.end + 1])
    quiet = during[: max(1, int(QUIETER * len(during)))].mean()
    times = np.log((np.median(before) + NO_PIXELS) / (quiet + NO_PIXELS)) if len(before) else 0.0
    return float(ALIVE + DEAD * max(0.0, times) * min(1.0, len(during) / fps / DEAD_SECONDS))


def stopped(evidence: Evidence, change: np.ndarray, activity: np.ndarray, alive: np.ndarray) -> Candidate | None:
    """Return the stop that is least like anything honest, None where the clip has no room for one."""
    found = stops(activity, evidence.clip.fps)
    if not found:
        return None
    best = Stop(0, 0, -1.0)
    for stop in sorted((weighed(s, dying(alive, s, evidence.clip.fps)) for s in found), key=lambda s: -s.strength):
        if stop.strength <= best.strength:
            break
        stop = stop if still_there(evidence, change, stop) else weighed(stop, AGAIN)
        best = max(best, stop, key=lambda s: s.strength)
    start, end = grown(activity, best)
    moved, rest = np.median(activity[max(0, start - BEFORE) : start]), np.median(activity[start : end + 1])
    text = (
        f"From frame {start + 1} on the picture stands still for {end - start + 1} frames: "
        f"what changed by {moved:.1f} levels a frame changes by {rest:.1f}."
    )
    return Candidate(start + 1, end + 1, best.strength / SURE, text)


def weighed(stop: Stop, weight: float) -> Stop:
    """Return a stop that is `weight` times as strong."""
    return replace(stop, strength=stop.strength * weight)


def stops(activity: np.ndarray, fps: float) -> list[Stop]:
    """Return the strongest stop of every length, if it is one."""
    found = []
    total = len(activity)
    padded = np.concatenate([np.full(BEFORE, np.nan), activity, np.full(BEFORE, np.nan)])
    sides = np.lib.stride_tricks.sliding_window_view(padded, BEFORE)  # [T, BEFORE]: the steps before step t
    ordered, known = np.sort(sides, axis=1), np.isfinite(sides).sum(axis=1)  # what is not known comes last
    middle = np.stack([np.maximum(known - 1, 0) // 2, known // 2], axis=1)
    beside = np.where(known >= 2, np.take_along_axis(ordered, middle, axis=1).mean(axis=1), 0.0)
    for length in LENGTHS:
        if length > total - 2:
            break
        windows = np.sort(np.lib.stride_tricks.sliding_window_view(activity, length), axis=1)
        rest = windows[:, int(REST * (length - 1) + 0.5)]  # some steps may be a codec's new start
        rest = (rest + windows.mean(axis=1)) / 2 + QUIET
        before, after = beside[: len(rest)], beside[length + BEFORE : length + BEFORE + len(rest)]
        stop = np.log(np.maximum(before, rest) / rest) + SIDE * np.log(
            np.maximum(np.minimum(before, after), rest) / rest
        )
        sure = np.full(len(stop), max(length / FULL_FRAMES, length / fps / FULL_SECONDS))
        sure[-1] /= 2
        stop *= np.minimum(1, sure) ** 0.5
        start = int(np.argmax(stop))
        if stop[start] > 0:
            found.append(Stop(start, start + length - 1, float(stop[start])))
    return found


def still_there(evidence: Evidence, change: np.ndarray, stop: Stop) -> bool:
    """Say whether what moved before a stop is seen during it: where it moved, the picture is not what it usually is."""
    moved = change[max(0, stop.start - 2) : stop.start].max(axis=0, initial=0)
    if (moved > 0.3 * moved.max()).mean() > 0.3:
        return True  # the whole picture moved
    size = evidence.luma.shape[2] // 2, evidence.luma.shape[1] // 2
    outside = np.r_[0 : stop.start + 1, stop.end + 2 : len(evidence.luma)]
    chosen = outside[np.unique(np.linspace(0, len(outside) - 1, 15).round().astype(int))]
    usual = median(np.stack([cv2.resize(evidence.rgb[t], size, interpolation=cv2.INTER_AREA) for t in chosen]))
    held = cv2.resize(evidence.rgb[stop.start + 1], size, interpolation=cv2.INTER_AREA)
    around = cv2.dilate((moved > 0.3 * moved.max()).astype(np.uint8), np.ones((3, 3), np.uint8))
    where = np.asarray(cv2.resize(around, size, interpolation=cv2.INTER_NEAREST), bool)
    strange = np.abs(held - usual).max(axis=-1) > STRANGE + 3 * evidence.noise
    return bool(strange[where].mean() > 0.08)


def grown(activity: np.ndarray, stop: Stop) -> tuple[int, int]:
    """Return the first and last step of all that stands still around a stop."""
    moved = np.median(activity[max(0, stop.start - BEFORE) : stop.start]) if stop.start else activity.max()
    limit = max(QUIET + activity[stop.start : stop.end + 1].max(), 0.1 * moved)
    start, end = stop.start, stop.end
    while start > 1 and activity[start - 1] <= limit:
        start -= 1
    while end < len(activity) - 1 and activity[end + 1] <= limit:
        end += 1
    return start, end


def repeated(small: np.ndarray, fps: float) -> Candidate | None:
    """Return the strongest repeat of earlier frames of `liveliest`, None where the clip has no room for one."""
    total, lags = len(small), min(MOST_LAGS, round(LAGS_SECONDS * fps))
    step = np.concatenate([[0.0], unlike(small, 1)])
    lengths = [length for length in REPEAT_LENGTHS if length <= total]
    longest = max(1, round(APART_SECONDS * fps))
    moved = {
        (apart, n): np.median(np.lib.stride_tricks.sliding_window_view(_earlier(small, apart), n), axis=1)
        + REPEAT_QUIET
        for apart in range(1, longest + 1)
        for n in lengths
    }
    best = (0.0, 0, 0, 0)
    for lag in range(FIRST_LAG, min(lags, total - REPEAT_LENGTHS[0]) + 1):
        away, apart = unlike(small, lag), min(longest, lag // FIRST_LAG)
        for length in lengths:
            if length > len(away):
                break
            same = np.lib.stride_tricks.sliding_window_view(away, length).max(axis=1) + REPEAT_QUIET
            gain = np.log(moved[apart, length][lag:] / same) * min(1.0, length / FULL_REPEAT) ** 0.5
            start = lag + int(np.argmax(gain))
            if gain.max() > NEARER * best[0]:
                best = (float(gain.max()), start, start + length - 1, lag)
    strength, start, end, lag = best
    if not strength:
        return None
    away = np.concatenate([np.full(lag, np.inf), unlike(small, lag)])
    limit = 1.3 * away[start : end + 1].max() + 0.3
    while start > 0 and away[start - 1] <= limit:
        start -= 1
    while end < total - 1 and away[end + 1] <= limit:
        end += 1
    text = (
        f"Frames {start} to {end} show frames {start - lag} to {end - lag} again: they differ by "
        f"{away[start : end + 1].mean():.1f} levels, neighbours by {step[start : end + 1].mean():.1f}."
    )
    return Candidate(start, end, strength / SURE_REPEAT, text)


def _earlier(small: np.ndarray, lag: int) -> np.ndarray:
    """Return `unlike` of all frames, 0 for those that have none so much earlier, `[T]`."""
    return np.concatenate([np.zeros(lag), unlike(small, lag)])


def unlike(small: np.ndarray, lag: int) -> np.ndarray:
    """Return by how many levels, root mean square, frames `lag` and later differ from those `lag` frames earlier."""
    return apart(small[lag:], small[:-lag])


def liveliest(rgb_THWC: np.ndarray) -> np.ndarray:
    """Return those channels of cells that change most in a clip, levels `[T, n]`."""
    _, height, width, _ = rgb_THWC.shape
    size = max(1, round(width / REPEAT_CELL)), max(1, round(height / REPEAT_CELL))
    cells = [cv2.resize(frame.astype(np.float32), size, interpolation=cv2.INTER_AREA) for frame in rgb_THWC]
    flat = np.stack(cells).reshape(len(cells), -1)
    most = max(FEWEST_LIVELY, int(LIVELY * flat.shape[1]))
    return np.asarray(flat[:, np.argsort(-flat.std(axis=0), kind="stable")[:most]])
