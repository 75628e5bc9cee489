"""Things that are followed and take another size or outline: candidates, and how surely each is one.

The outline of a segment changes for many reasons: it is cut by something before it, taken together with its
neighbour or with scenery, or found otherwise. So outlines are told anew by a thing's own colours, and of every
change it is measured whether the pixels between the two outlines were the scene's and are the thing's, how much the
flow grows meanwhile, and what else is near.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from evaluation.evidence.forming_weights import BIAS, WEIGHTS
from evaluation.evidence.sharpening import sharpened
from evaluation.evidence.tracks import Track, outline
from evaluation.evidence.turning import cut_out

if TYPE_CHECKING:
    from evaluation.evidence.clip import Evidence

SMALLEST, SUREST = 24.0, 0.15  # pixels and quality of a thing that is looked at
WINDOW, FEWEST, MOST = 0.3, 3, 8  # seconds before and after, and frames of it
SEEN = 0.2  # seconds that a form is to be seen, before and after, to be one
SPANS = (0.0, 0.2, 0.5, 1.0)  # seconds that a change takes
TURNS, HARMONICS = 32, slice(2, 8)  # directions of an outline, and what of its spectrum tells its form
FORM = 2.0  # weight of an outline's harmonics beside the logarithm of the size
BEGUN = 0.2, 0.8  # of the way to what it becomes, from which it is seen to change, and is done
CLEAR = 0.2  # of its size, or of twice its radius, by which a thing changes where an eye sees it to
OF_A_THING, CANDIDATES = 2, 8
NEAR = 1.0  # radii between where a thing ends and another begins that takes its place


@dataclass(frozen=True, eq=False)
class Reform:
    """A thing whose outline changes between sights `i` and `j` of a series, by `size` (logarithm) and `form`."""

    series: "Series"
    i: int
    j: int
    size: float
    form: float
    clear: float

    @property
    def frames(self) -> tuple[int, int]:
        """Return the last frame before it changes and the first after."""
        return int(self.series.frames[self.i]), int(self.series.frames[self.j])

    @property
    def during(self) -> tuple[int, int]:
        """Return the first frame in which it is on its way, and the first in which it is what it becomes."""
        values, some = self.series.values[self.i : self.j + 1], 3
        was = np.median(self.series.values[max(0, self.i + 1 - some) : self.i + 1], axis=0)
        way = np.median(self.series.values[self.j : self.j + some], axis=0) - was
        share = (values - was) @ way / max(float(way @ way), 1e-9)
        begun, done = (int(np.argmax(np.append(share[1:], 1.0) >= part)) + 1 for part in BEGUN)
        first, last = (int(self.series.frames[min(self.i + k, self.j)]) for k in (begun, max(begun, done)))
        return first, last

    @property
    def seen(self) -> float:
        """Return how far it changes of what an eye sees to change, 0 to 1."""
        return min(1.0, float(np.hypot(self.size, 0.7 * self.form)) / CLEAR)

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Return the box of the thing in both, x0, y0, x1, y1, the last two exclusive."""
        boxes = np.array(
            [self.series.tracks[self.series.owner[k]].boxes[self.series.index[k]] for k in (self.i, self.j)]
        )
        x0, y0, x1, y1 = (float(v) for v in (*boxes[:, :2].min(axis=0), *boxes[:, 2:].max(axis=0)))
        return x0, y0, x1, y1


@dataclass(frozen=True, eq=False)
class Series:
    """The sights of a thing, and of one that takes its place, that the frame's edge does not cut: `n` of them."""

    tracks: tuple[Track, ...]
    owner: np.ndarray  # int [n], index of the track
    index: np.ndarray  # int [n], of its sight
    frames: np.ndarray
    values: np.ndarray  # [n, 1 + harmonics]


def find_reforms(evidence: "Evidence") -> list[Reform]:
    """Return the clearest candidates."""
    found = [reform for series in _series(evidence) for reform in _reforms(series, evidence.clip.fps)]
    return sorted(found, key=lambda reform: -reform.clear)[:CANDIDATES]


def _series(evidence: "Evidence") -> Iterator[Series]:
    good = [
        sharpened(evidence, k)
        for k in evidence.tracks
        if k.quality >= SUREST and k.area >= SMALLEST and len(k.frames) > FEWEST
    ]
    taken: set[int] = set()
    for number, track in enumerate(good):
        if number in taken:
            continue
        chain = [track]
        for other, after in enumerate(good):
            gap = after.start - track.end
            if after.shot == track.shot and 1 <= gap <= 3 and other not in taken:
                few = track.steady[-3:]
                expected = few[-1] + (few[-1] - few[0]) / max(1, len(few) - 1) * gap
                if np.hypot(*(expected - after.steady[0])) < NEAR * np.sqrt(max(track.area, after.area) / np.pi):
                    chain.append(after)
                    taken.add(other)
                    break
        parts = [np.flatnonzero(~k.at_border) for k in chain]
        owner = np.concatenate([np.full(len(p), i) for i, p in enumerate(parts)])
        index = np.concatenate(parts)
        if len(index) < 2 * FEWEST:
            continue
        values = []
        for o, i in zip(owner, index, strict=True):
            ring = np.abs(np.fft.rfft(outline(chain[o].masks[i], TURNS)))[HARMONICS] * 2 / TURNS
            values.append([np.log(max(chain[o].areas[i], 1.0)) / 2, *(FORM * ring)])
        frames = np.array([chain[o].frames[i] for o, i in zip(owner, index, strict=True)])
        yield Series(tuple(chain), owner, index, frames, np.array(values))


def _reforms(series: Series, fps: float) -> list[Reform]:
    n, wide = len(series.frames), int(np.clip(round(WINDOW * fps), FEWEST, MOST))
    few = max(FEWEST, round(SEEN * fps))
    levels, spreads = _windows(series.values, min(wide, n))
    found: list[Reform] = []
    for span in sorted({round(seconds * fps) for seconds in SPANS}):
        for i in range(few - 1, n - few - span):
            j = i + span + 1
            if series.frames[j] - series.frames[i] > span + 4:
                continue
            step, varies = levels[1][j] - levels[0][i], np.maximum(spreads[0][i], spreads[1][j])
            size, form = float(step[0]), float(np.linalg.norm(step[1:]))
            clear = np.hypot(size, 0.7 * form) / (0.06 + 1.5 * varies[0] + 0.7 * np.linalg.norm(varies[1:]))
            found.append(Reform(series, i, j, size, form, float(clear / (1 + span / fps))))
    found.sort(key=lambda reform: -reform.clear)
    kept: list[Reform] = []
    for reform in found:
        if all(reform.i > other.j + 2 or reform.j < other.i - 2 for other in kept):
            kept.append(reform)
            if len(kept) == OF_A_THING:
                break
    return kept


def _windows(values: np.ndarray, wide: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return the medians and deviations of `wide` sights up to each, and from each on; of fewer at the ends."""
    full = np.lib.stride_tricks.sliding_window_view(values, wide, axis=0)
    first = [values[: i + 1] for i in range(wide - 1)]
    last = [values[len(values) - wide + 1 + i :] for i in range(wide - 1)]
    measures: tuple[Callable[..., np.ndarray], ...] = (np.median, np.std)
    found = []
    for of in measures:
        before, after = (np.array([of(part, axis=0) for part in parts]) for parts in (first, last))
        middle = of(full, axis=-1)
        found.append([np.concatenate([before, middle]), np.concatenate([middle, after])])
    return found[0], found[1]


def measure_reform(evidence: "Evidence", reform: Reform) -> dict[str, float]:
    """Return everything that a candidate is weighed by, by name."""
    series, i, j, fps = reform.series, reform.i, reform.j, evidence.clip.fps
    wide = int(np.clip(round(WINDOW * fps), FEWEST, MOST))
    windows = slice(max(0, i + 1 - wide), i + 1), slice(j, j + wide)
    sizes = [series.values[w, 0] for w in windows]
    places = [
        np.array([series.tracks[o].steady[k] for o, k in zip(series.owner[w], series.index[w], strict=True)])
        for w in windows
    ]
    paces = [(p[-1] - p[0]) / max(1, len(p) - 1) for p in places]
    a, b = reform.frames
    off = places[1][0] - places[0][-1] - (paces[0] + paces[1]) / 2 * (b - a)
    radius = float(np.exp(min(np.median(v) for v in sizes)) / np.sqrt(np.pi))
    return {
        "size": min(abs(reform.size), 1.0),
        "clear size": float(np.log((abs(reform.size) + 0.02) / (max(v.std() for v in sizes) + 0.02))),
        "trend": min(max(abs(float(v[-1] - v[0])) for v in sizes), 0.6),
        "before": float(np.log(i + 1)),
        "leap": min(float(np.hypot(*off)) / radius, 2.0),
        **_between(evidence, series, i, j),
        **_flow(evidence, series, i, j),
        **_near(evidence, series, i, j),
    }


def _between(evidence: "Evidence", series: Series, i: int, j: int) -> dict[str, float]:
    """Return how far the pixels in both outlines change, and how far those in one alone become, or were, the scene."""
    views = []
    side = max(max(series.tracks[series.owner[k]].masks[series.index[k]].shape) for k in (i, j)) + 6
    for k in (i, j):
        track, index = series.tracks[series.owner[k]], int(series.index[k])
        t, at = int(track.frames[index]), track.centres[index]
        mask = track.mask(index, *evidence.luma.shape[1:]).astype(np.float32)
        scene = cut_out(evidence.background.rgb[t], at, (side, side))
        known = cut_out(evidence.background.known[t].astype(np.float32), at, (side, side)) > 0.5
        picture = cut_out(evidence.rgb[t], at, (side, side))
        views.append((picture, cut_out(mask, at, (side, side)) > 0.5, scene, known & evidence.background.reliable))
    (was, mask_was, scene_was, known_was), (now, mask_now, scene_now, known_now) = views
    core, either, apart = mask_was & mask_now, mask_was | mask_now, mask_was ^ mask_now
    m = {"core stays": 0.0, "scene change": 0.0}
    if not core.any() or not apart.any():
        return m
    ring = (cv2.dilate(either.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0) & ~either
    far = [np.abs(p - np.median(p[core], axis=0)).mean(axis=-1)[ring] for p in (was, now)]
    contrast = min(float(f.mean()) for f in far) + 5 if ring.any() else 5.0
    m["core stays"] = float(np.clip(np.abs(was - now)[core].mean() / contrast, 0, 1.5))
    if (known_was & known_now)[apart].mean() > 0.5:
        off = [np.abs(p - s).mean(axis=-1)[apart].mean() for p, s in ((was, scene_was), (now, scene_now))]
        m["scene change"] = float(abs(np.subtract(*np.clip(np.divide(off, contrast), 0, 1.5))))
    return m


def _flow(evidence: "Evidence", series: Series, i: int, j: int) -> dict[str, float]:
    """Return by how much the flow grows while the outline changes, and what motion does not explain meanwhile."""

    def growth(k: int) -> float:
        track, index = series.tracks[series.owner[k]], int(series.index[k])
        t = int(track.frames[index])
        if t >= len(evidence.flow.forward):
            return 0.0
        x0, y0, x1, y1 = (int(v) for v in track.boxes[index])
        mask = track.masks[index]
        y, x = np.nonzero(mask)
        flow = evidence.flow.forward[t, y0:y1, x0:x1][mask]
        places = np.stack([x, y], axis=1) - [x.mean(), y.mean()]
        return float((places * (flow - flow.mean(axis=0))).sum() / max(float((places**2).sum()), 1.0))

    levels = []
    for k in range(i + 1, j + 1):
        track, index = series.tracks[series.owner[k]], int(series.index[k])
        x0, y0, x1, y1 = (int(v) for v in track.boxes[index])
        levels.append(float(evidence.flow.residual[int(track.frames[index]) - 1, y0:y1, x0:x1].mean()))
    return {
        "flow grown": min(abs(sum(growth(k) for k in range(i, j))), 0.8),
        "unexplained": float(np.log1p(max(levels))),
    }


def _near(evidence: "Evidence", series: Series, i: int, j: int) -> dict[str, float]:
    """Return whether other things lie over it or end with the change, and how soon it comes and goes in part."""
    others = [k for k in evidence.tracks if all(k.frames is not mine.frames for mine in series.tracks)]
    overlaps = False
    for k in {max(0, i - 2), i, j, min(len(series.frames) - 1, j + 2)}:
        track, index = series.tracks[series.owner[k]], int(series.index[k])
        t, (x0, y0, x1, y1) = int(track.frames[index]), track.boxes[index]
        for another in others:
            if another.start <= t <= another.end and another.area >= 0.1 * track.area:
                left, top, right, bottom = another.boxes[t - another.start]
                overlaps |= bool(left < x1 and x0 < right and top < y1 and y0 < bottom)
    a, b = int(series.frames[i]), int(series.frames[j])
    first, last = series.tracks[0], series.tracks[-1]
    partly = ("border", "occluded", "merged", "blended")
    return {
        "overlaps": float(overlaps),
        "others end": float(any(a - 1 <= k.end <= b + 1 and k.end < len(evidence.rgb) - 1 for k in others)),
        "comes": float(first.begins in partly) * float(np.exp(-(a - first.start) / 6)),
        "goes": float(last.ends in partly) * float(np.exp(-(last.end - b) / 6)),
    }


def reform_odds(evidence: "Evidence", reform: Reform) -> float:
    """Return the logarithm of the odds that a thing took another size or outline."""
    measured = measure_reform(evidence, reform)
    return BIAS + sum(weight * measured[name] for name, weight in WEIGHTS.items())
