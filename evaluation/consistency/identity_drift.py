"""Things that turn into others: colour, texture, size or outline of one followed thing change for good, without cause.

Each is measured in every sight that shows all of a thing, away from others; light that changes everywhere is taken out,
and outlines are compared whatever their turn and size. A change is judged by what the thing varies by on both sides of
it and elsewhere, so that what deforms all the time, comes nearer or turns is measured by itself. What changes as it is
hit or bounces may have broken: that has a cause.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from evaluation.evidence.clip import Evidence
from evaluation.evidence.looks import COLOURS
from evaluation.evidence.tracks import Track, outline
from evaluation.findings import Candidate, Finding, calibrated, unmeasurable

TYPE = "identity_drift"
WINDOW = 4  # sights before and after a change
SPANS = (0.0, 0.2, 0.4, 0.8)  # seconds that a change takes
SURE, SMALLEST = 0.25, 30.0  # least quality and pixels of a thing that is judged
COMING = 6  # sights beside one in which it comes into view or leaves it
STEADY = 0.25  # of its usual area, by which a sight that shows all of it may differ from those around it
NEAR = 0.6  # radii between where a thing ends and another begins that took its place
ANOTHER_SIZE = 0.9  # difference of the areas' logarithms
FLOORS = {"colour": 8.0, "texture": 7.0, "size": 0.13, "outline": 0.08}  # levels, logarithm of the area, radii
WITHIN, ELSEWHERE = 2.5, 1.5  # times what it varies by in a window, and from window to window elsewhere
CLEAR = 6.0  # times its floor that a change is measured by
UNSTEADY = 0.1  # of its size by which a thing varies within a window that is coming into view
HIT = 0.6  # of its speed by which it turns where it is hit
TURNS = 32  # directions of an outline
PARTLY = ("border", "occluded", "merged")  # where things begin or end that are seen in part
SLOW = 0.3  # of the strength of a change that motion explains from frame to frame
BOTH, CERTAIN = 0.5, 4.0  # unlikeness, and logarithm of the area, of another thing; what few faultless clips show
MOST = 6  # candidates


@dataclass(frozen=True, eq=False)
class Drift:
    """What of a thing changes: from frame `start` to `end`, by `step` in what it is measured in."""

    kind: str  # a key of FLOORS
    start: int
    end: int
    step: float
    usual: float
    strength: float
    box: tuple[int, int, int, int]
    hit: bool


def identity_drift(evidence: Evidence) -> Finding:
    """Find things that become others."""
    if max(len(shot) for shot in evidence.shots) < 2 * WINDOW + 2:
        return unmeasurable(
            TYPE, f"in fewer than {2 * WINDOW + 2} frames nothing is seen to change for good", due=False
        )
    series = _series(evidence)
    if not series and not evidence.tracks:
        return unmeasurable(TYPE, "nothing is seen that could be followed", due=False)
    lights = _lights(evidence)
    found = [replace(d, strength=SLOW * d.strength) for one in series for d in _drifts(one, evidence.clip.fps)]
    found += [d for track in evidence.tracks if (d := _exchanged(evidence, track, lights)) is not None]
    found.sort(key=lambda drift: -drift.strength)
    return calibrated(TYPE, [_candidate(evidence, drift) for drift in found[:MOST]])


def _candidate(evidence: Evidence, drift: Drift) -> Candidate:
    unit = "levels" if drift.kind in ("colour", "texture") else "%"
    step, usual = (v if unit == "levels" else 100 * v for v in (drift.step, drift.usual))
    text = (
        f"The {drift.kind} of something changes by {step:.0f} {unit} from frame {drift.start} to {drift.end}, where it"
    )
    text += f" varies by {usual:.0f} otherwise."
    return Candidate(drift.start, drift.end, drift.strength, text, evidence.box(*drift.box))


@dataclass(frozen=True, eq=False)
class _Series:
    """What is measured of one thing in its clear sights, in order."""

    frames: np.ndarray
    places: np.ndarray  # steady
    boxes: np.ndarray
    values: dict[str, np.ndarray]  # [n, D] each
    quality: float


def _series(evidence: Evidence) -> list[_Series]:
    lights = _lights(evidence)
    found = []
    for chain in _chains(evidence.tracks):
        parts = [part for track in chain if (part := _measured(evidence, track, lights, chain)) is not None]
        if sum(len(part.frames) for part in parts) >= 2 * WINDOW:
            values = {kind: np.concatenate([part.values[kind] for part in parts]) for kind in FLOORS}
            frames, places, boxes = (
                np.concatenate([getattr(part, name) for part in parts]) for name in ("frames", "places", "boxes")
            )
            found.append(_Series(frames, places, boxes, values, min(part.quality for part in parts)))
    return found


def _chains(tracks: Sequence[Track]) -> Iterator[list[Track]]:
    """Yield each track with the one that takes its place where it ends, if there is one."""
    good = [k for k in tracks if k.quality >= SURE and k.area >= SMALLEST and len(k.frames) > WINDOW]
    for track in good:
        radius = np.sqrt(track.area / np.pi)
        few = track.steady[-WINDOW:]
        pace = (few[-1] - few[0]) / (WINDOW - 1)
        after = [
            k
            for k in good
            if k.shot == track.shot
            and 1 <= k.start - track.end <= 2
            and np.hypot(*(few[-1] + pace * (k.start - track.end) - k.steady[0])) < NEAR * radius
            and abs(np.log(k.area / track.area)) < ANOTHER_SIZE
        ]
        yield [track, *after[:1]]


def _lights(evidence: Evidence) -> np.ndarray:
    """Return how light what is not foreground is in each frame, of its mean over the clip, `[T, 3]`."""
    every = evidence.rgb[:, ::4, ::4].astype(np.float32)
    behind = ~evidence.background.foreground[:, ::4, ::4]
    count = np.maximum(behind.sum(axis=(1, 2)), 1)[:, None]
    means = (every * behind[..., None]).sum(axis=(1, 2)) / count + 16
    return np.asarray(means / means.mean(axis=0))


def _measured(evidence: Evidence, track: Track, lights: np.ndarray, chain: list[Track]) -> _Series | None:
    others = [
        k
        for k in evidence.tracks
        if k not in chain and 0.1 * track.area <= k.area <= 4 * track.area and k.quality >= SURE
    ]
    usual = np.array([np.median(track.areas[max(0, i - 6) : i + 7]) for i in range(len(track.areas))])
    clear = ~track.at_border & (np.abs(np.log(np.maximum(track.areas, 1) / usual)) < STEADY)
    if track.begins in PARTLY:
        clear[:COMING] = False
    if track.ends in PARTLY:
        clear[-COMING:] = False
    for other in others:
        first, last = max(other.start, track.start), min(other.end, track.end)
        if first > last:
            continue
        mine = track.boxes[first - track.start : last - track.start + 1]
        its = other.boxes[first - other.start : last - other.start + 1]
        gap = np.maximum(mine[:, :2] - its[:, 2:], its[:, :2] - mine[:, 2:]).max(axis=1)
        clear[first - track.start : last - track.start + 1] &= gap >= 0
    index = np.flatnonzero(clear)
    if not len(index):
        return None
    colours, textures, outlines = [], [], []
    for i in index:
        x0, y0, x1, y1 = track.boxes[i]
        mask = track.masks[i]
        inner = cv2.erode(np.pad(mask.astype(np.uint8), 1), np.ones((3, 3), np.uint8))[1:-1, 1:-1].astype(bool)
        pixels = evidence.rgb[track.frames[i], y0:y1, x0:x1][inner if inner.sum() > 8 else mask]
        pixels = pixels / lights[track.frames[i]]
        colours.append(pixels.mean(axis=0))
        textures.append(pixels.std(axis=0))
        outlines.append(_harmonics(mask))
    values = {
        "colour": np.array(colours),
        "texture": np.array(textures),
        "size": np.log(track.areas[index])[:, None] / 2,
        "outline": np.array(outlines),
    }
    return _Series(track.frames[index], track.steady[index], track.boxes[index], values, track.quality)


def _harmonics(mask: np.ndarray) -> np.ndarray:
    """Return the first harmonics of the outline, in mean radii, whatever the turn."""
    return np.asarray(np.abs(np.fft.rfft(outline(mask, TURNS)))[2:8] * 2 / TURNS)


def _drifts(series: _Series, fps: float) -> list[Drift]:
    """Return the strongest change of every kind."""
    found = []
    n = len(series.frames)
    sizes = np.lib.stride_tricks.sliding_window_view(series.values["size"][:, 0], WINDOW)
    unsteady = np.ptp(sizes, axis=-1) if n >= WINDOW else np.zeros(0)
    for kind, floor in FLOORS.items():
        values, best = series.values[kind], None
        for span in sorted({round(seconds * fps) for seconds in SPANS}):
            starts = np.arange(WINDOW, n - WINDOW - span + 1)
            whole = (
                series.frames[starts + span + WINDOW - 1] - series.frames[starts - WINDOW] if len(starts) else starts
            )
            starts = starts[whole <= span + 2 * WINDOW + 1]
            if not len(starts):
                continue
            windows = np.lib.stride_tricks.sliding_window_view(values, WINDOW, axis=0)
            means, spreads = np.median(windows, axis=-1), np.sqrt(windows.var(axis=-1).sum(axis=-1))
            before, after = starts - WINDOW, starts + span
            steps = np.linalg.norm(means[after] - means[before], axis=1)
            within = np.maximum(spreads[before], spreads[after])
            for j in np.argsort(-steps)[:3]:
                others = steps[np.abs(starts - starts[j]) > span + WINDOW]
                elsewhere = float(np.percentile(others, 90)) if len(others) else 0.5 * floor
                s = int(starts[j])
                lasting = np.linalg.norm(np.median(values[s + span :], axis=0) - np.median(values[:s], axis=0))
                step = min(float(steps[j]), float(lasting))
                usual = WITHIN * float(within[j]) + ELSEWHERE * elsewhere
                hit = _hit(series.places, s, span)
                calm = np.exp(-max(unsteady[s - WINDOW], unsteady[s + span]) / UNSTEADY) / (1 + 2 * span / fps)
                strength = step / (CLEAR * floor + usual) * np.sqrt(series.quality) * calm * (0.4 if hit else 1.0)
                if best is None or strength > best.strength:
                    box = np.concatenate(
                        [series.boxes[s - 1 : s + span + 1, :2].min(0), series.boxes[s - 1 : s + span + 1, 2:].max(0)]
                    )
                    start, end = int(series.frames[s]), int(series.frames[s + span])
                    x0, y0, x1, y1 = (int(v) for v in box)
                    best = Drift(kind, start, end, step, usual, float(strength), (x0, y0, x1, y1), hit)
        if best is not None:
            found.append(best)
    return found


def _exchanged(evidence: Evidence, track: Track, lights: np.ndarray) -> Drift | None:
    """Return where a thing looks or measures otherwise from one frame to the next and motion does not explain it."""
    n = len(track.frames)
    if n < 2 * WINDOW + 1 or track.quality < SURE or track.area < SMALLEST:
        return None
    residual = evidence.flow.residual
    levels = np.zeros(n)
    for i, (t, (x0, y0, x1, y1), mask) in enumerate(zip(track.frames, track.boxes, track.masks, strict=True)):
        if t and mask.any():  # beyond what all of the picture changes by
            everywhere = 2 * np.median(residual[t - 1, ::4, ::4])
            levels[i] = max(0.0, residual[t - 1, y0:y1, x0:x1][mask].mean() - everywhere)
    colours, sizes = track.look[:, :COLOURS], np.log(np.maximum(track.areas, 1))
    best: Drift | None = None
    for i in range(WINDOW, n - WINDOW + 1):
        before, after = slice(i - WINDOW, i), slice(i, i + WINDOW)
        if track.at_border[i - WINDOW : i + WINDOW].any():
            continue
        beside = np.concatenate([levels[max(0, i - 6) : i - 1], levels[i + 2 : i + 7]])
        sudden = min(levels[i] / (6 + 2 * evidence.noise + 3 * np.median(beside) + beside.max()), 3.0)
        varies = max(np.linalg.norm(colours[w].std(axis=0)) for w in (before, after))
        colour = np.linalg.norm(np.median(colours[after], axis=0) - np.median(colours[before], axis=0)) - 1.5 * varies
        unsteady = max(np.ptp(sizes[w]) for w in (before, after))
        size = abs(np.median(sizes[after]) - np.median(sizes[before])) - 1.5 * unsteady
        strength = float(sudden * max(colour, size, 0.0) / BOTH / CERTAIN)
        if best is None or strength > best.strength:
            corners = track.boxes[i - 1 : i + 1]
            x0, y0, x1, y1 = (int(v) for v in (*corners[:, :2].min(axis=0), *corners[:, 2:].max(axis=0)))
            t = int(track.frames[i])
            ratio = track.colours / lights[track.frames]
            step = np.linalg.norm(np.median(ratio[after], axis=0) - np.median(ratio[before], axis=0))
            usual = max(float(np.linalg.norm(ratio[w].std(axis=0))) for w in (before, after))
            if size > colour:
                best = Drift(
                    "size",
                    t,
                    t,
                    float(size + 1.5 * unsteady) / 2,
                    float(unsteady) / 2,
                    strength,
                    (x0, y0, x1, y1),
                    False,
                )
            else:
                best = Drift("colour", t, t, float(step), usual, strength, (x0, y0, x1, y1), False)
    return best


def _hit(places: np.ndarray, s: int, span: int) -> bool:
    """Say whether a thing turns sharply while it changes."""
    few = places[max(0, s - 3) : s + span + 3]
    paces = np.diff(few, axis=0)
    if len(paces) < 3:
        return False
    turns = np.linalg.norm(paces[2:] - paces[:-2], axis=1)
    return bool(turns.max() > 1.0 + HIT * np.median(np.linalg.norm(paces, axis=1)))
