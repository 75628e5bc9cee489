"""How surely a candidate is something that turned into something else: the log odds of a logistic model.

The model is fitted to things and marks that were made to change in paper clips and real footage, against the same clips
without that. Levels are 0..255; what is measured before or after is a share of the contrast between the two.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from evaluation.evidence.looks import colours_of
from evaluation.evidence.turning import KERNEL, Turn, cut_out, find_turns, followed
from evaluation.evidence.turning_weights import BIAS, WEIGHTS

if TYPE_CHECKING:
    from evaluation.evidence.clip import Evidence

WINDOW = 0.35  # seconds before and after that a region is followed
FEWEST, MOST = 3, 7  # frames of it
AROUND = 3  # pixels
MOST_LIKELY = 6  # candidates that are told of
BEGUN = 0.2  # of the way to what it becomes, from which it is seen to change


@dataclass(frozen=True, eq=False)
class Turned:
    """A candidate, the logarithm of the odds that it turned, its first frame, its box and by how many levels."""

    turn: Turn
    odds: float
    onset: int
    box: tuple[float, float, float, float]  # x0, y0, x1, y1, the last two exclusive
    levels: float

    @property
    def strength(self) -> float:
        """Return how surely something turned, on a detector's scale."""
        return float(np.logaddexp(0, self.odds)) / 2


def find_turned(evidence: "Evidence") -> tuple[Turned, ...]:
    """Return what most likely turned into something else, the surest first."""
    weighed = [(log_odds(measure(evidence, turn)), turn) for turn in find_turns(evidence)]
    weighed.sort(key=lambda pair: -pair[0])
    return tuple(_turned(evidence, turn, odds) for odds, turn in weighed[:MOST_LIKELY])


def _turned(evidence: "Evidence", turn: Turn, odds: float) -> Turned:
    half = np.array(turn.mask.shape[::-1]) / 2
    corners = [np.minimum(turn.from_, turn.at) - half + 0.5, np.maximum(turn.from_, turn.at) + half + 0.5]
    x0, y0, x1, y1 = (float(v) for v in np.concatenate(corners))
    first, levels = onset(evidence, turn)
    return Turned(turn, odds, first, (x0, y0, x1, y1), levels)


def onset(evidence: "Evidence", turn: Turn) -> tuple[int, float]:
    """Return the first frame in which a region is on its way to what it becomes, and how many levels that is off."""
    shot = next(shot for shot in evidence.shots if shot.start <= turn.a <= shot.end)
    span = turn.b - turn.a
    back = followed(evidence, turn.a, turn.from_, turn.mask, -1, max(FEWEST, span // 2), shot.start)
    on = followed(evidence, turn.b, turn.at, turn.mask, 1, FEWEST, shot.end)
    between = turn.from_ + (turn.at - turn.from_) * (np.arange(1, span) / span)[:, None]
    places = np.concatenate([back[::-1], between, on])
    first, size = turn.a - len(back) + 1, turn.mask.shape[::-1]
    shown = np.stack([cut_out(evidence.rgb[first + i], place, size)[turn.mask] for i, place in enumerate(places)])
    was, now = np.median(shown[: min(len(back), FEWEST)], axis=0), np.median(shown[-len(on) :], axis=0)
    way = now - was
    share = ((shown - was) * way).sum(axis=(1, 2)) / max(float((way**2).sum()), 1e-6)
    begun = np.flatnonzero(share[1:] > BEGUN)
    return first + 1 + int(begun[0]) if len(begun) else turn.b, float(np.abs(way).mean())


def log_odds(measured: dict[str, float]) -> float:
    """Return the logarithm of the odds that something turned into something else, by what is measured of it."""
    return BIAS + sum(weight * measured[name] for name, weight in WEIGHTS.items())


def measure(evidence: "Evidence", turn: Turn) -> dict[str, float]:
    """Return everything that a turn is weighed by, by name."""
    shot = next(shot for shot in evidence.shots if shot.start <= turn.a <= shot.end)
    a, b, h, w = turn.a, turn.b, *evidence.luma.shape[1:]
    count = int(np.clip(round(WINDOW * evidence.clip.fps), FEWEST, MOST))
    back = followed(evidence, a, turn.from_, turn.mask, -1, count, shot.start)
    on = followed(evidence, b, turn.at, turn.mask, 1, count, shot.end)
    shape = np.pad(turn.mask.astype(np.uint8), AROUND)
    size, inside = shape.shape[::-1], shape > 0
    ring = (cv2.dilate(shape, np.ones((2 * AROUND + 1,) * 2, np.uint8)) - cv2.dilate(shape, KERNEL)) > 0
    before = np.stack([cut_out(evidence.rgb[a - i], p, size) for i, p in enumerate(back)])
    after = np.stack([cut_out(evidence.rgb[b + i], p, size) for i, p in enumerate(on)])
    far = np.abs(np.median(before, axis=0) - np.median(after, axis=0))
    contrast = max(1.0, min(float(far[inside].mean()), float(np.abs(before[0] - after[0])[inside].mean())))
    x, y = np.minimum(turn.from_, turn.at), np.maximum(turn.from_, turn.at)
    half = np.array(turn.mask.shape[::-1]) / 2
    margin = min(float((x - half).min()), float((np.array([w - 1, h - 1]) - y - half).min()))
    return {
        "looks new": _looks(before, after, inside) * _new(evidence, turn, before[0], after[0], inside, contrast),
        "source": _source(evidence, turn, after[0][inside], inside),
        "around": min(1.5, float(far[ring].mean()) / contrast) if ring.any() else 0.0,
        "texture": float(np.log1p(after[0][inside].mean(axis=-1).std())),
        "border": float(np.clip(np.log1p(max(0.0, margin)), 0, 2.5)),
        **_motion(evidence, turn, back, on),
        **_beside(evidence, turn, back, on, inside, size),
        **_shape(shape),
        **_track(evidence, turn),
    }


def _looks(before: np.ndarray, after: np.ndarray, inside: np.ndarray) -> float:
    """Return the logarithm of how far apart its colours are before and after, of how much either varies."""
    looks = [np.stack([colours_of(x[inside]) for x in p]) for p in (before, after)]
    middle = [np.median(x, axis=0) for x in looks]
    apart = float(np.linalg.norm(middle[0] - middle[1]))
    shift = max(
        float(np.linalg.norm(x - m, axis=1).max()) if len(x) > 1 else 0.3 for x, m in zip(looks, middle, strict=True)
    )
    return float(np.log((apart + 0.03) / (shift + 0.08)))


def _source(evidence: "Evidence", turn: Turn, after: np.ndarray, inside: np.ndarray) -> float:
    """Return how far, in levels, the colour that it takes is from those beside it before: what may have stained it."""
    reach = int(np.clip(1.2 * np.sqrt(inside.sum() / np.pi), 6, 20))
    size = (inside.shape[1] + 2 * reach, inside.shape[0] + 2 * reach)
    beside = cut_out(evidence.rgb[turn.a], turn.from_, size)
    outer = cv2.dilate(np.pad(inside, reach).astype(np.uint8), KERNEL, iterations=2) == 0
    far = np.sort(np.abs(beside[outer] - np.median(after, axis=0)).max(axis=-1)) if outer.any() else np.full(1, 255.0)
    return float(np.log1p(far[min(len(far) - 1, 8)]))


def _motion(evidence: "Evidence", turn: Turn, back: np.ndarray, on: np.ndarray) -> dict[str, float]:
    """Return how it moves before and after, and how far its motion turns as it changes."""
    frames = np.concatenate([turn.a - np.arange(len(back))[::-1], turn.b + np.arange(len(on))])
    steady = evidence.camera.steady(frames, np.concatenate([back[::-1], on]))
    n = len(back)
    came = (steady[n - 1] - steady[0]) / max(1, n - 1)
    goes = (steady[-1] - steady[n]) / max(1, len(on) - 1)
    across = (steady[n] - steady[n - 1]) / (turn.b - turn.a)
    speed = max(float(np.hypot(*came)), float(np.hypot(*goes)))
    turns = float(np.hypot(*(goes - came)))
    leap = float(np.hypot(*(across - (came + goes) / 2)) / np.sqrt(turn.mask.sum() / np.pi))
    return {
        "turns": float(np.clip(turns / (speed + 0.3), 0, 2)),
        "leap": float(np.clip(leap * min(turn.b - turn.a, 4), 0, 2)),
    }


def _new(
    evidence: "Evidence", turn: Turn, before: np.ndarray, after: np.ndarray, inside: np.ndarray, contrast: float
) -> float:  # fmt: skip
    """Return how far the most alike place near is from what it was, after, or from what it is, before: the nearer."""
    least = 1.5
    weight = np.repeat(inside.astype(np.float32)[..., None], 3, axis=-1)
    radius = np.sqrt(inside.sum() / np.pi)
    for t, at, picture in ((turn.b, turn.at, before), (turn.a, turn.from_, after)):
        reach = int(min(16, 4 + 0.8 * radius))
        size = (inside.shape[1] + 2 * reach, inside.shape[0] + 2 * reach)
        window = cut_out(evidence.rgb[t], at, size)
        squares = cv2.matchTemplate(window, picture, cv2.TM_SQDIFF, mask=weight)
        best = float(np.sqrt(max(0.0, float(squares.min())) / (3 * inside.sum())))
        least = min(least, best / contrast)
    return least


def _beside(
    evidence: "Evidence", turn: Turn, back: np.ndarray, on: np.ndarray, inside: np.ndarray, size: tuple[int, int]
) -> dict[str, float]:
    """Return how much of what it shows motion does not explain before and after, of what it changes by."""
    residual = evidence.flow.residual

    def mean(t: int, at: np.ndarray) -> float:
        return float(cut_out(residual[t - 1], at, size)[inside].mean())

    levels = [mean(turn.a - i, p) for i, p in enumerate(back) if turn.a - i >= 1]
    later = [mean(turn.b + i, p) for i, p in enumerate(on) if i]
    across = max(
        mean(t, turn.at + (turn.from_ - turn.at) * (turn.b - t) / (turn.b - turn.a))
        for t in range(turn.a + 1, turn.b + 1)
    )
    m = {"unexplained": float(np.log(across + 1))}
    m["before"] = float(np.clip(max(levels, default=0.0) / (across + 2), 0, 1.5))
    m["after"] = float(np.clip(max(later, default=0.0) / (across + 2), 0, 1.5))
    return m


def _shape(shape: np.ndarray) -> dict[str, float]:
    hull = cv2.convexHull(cv2.findNonZero(shape))
    area, pixels = cv2.contourArea(hull) + 0.5 * cv2.arcLength(hull, True) + 1, float(shape.sum())
    depth = cv2.distanceTransform(shape, cv2.DIST_L2, 3).max()
    return {
        "depth": float(np.log(depth)),
        "solid": pixels / area,
        "deep": float(depth / np.sqrt(pixels / np.pi)),
    }


def _track(evidence: "Evidence", turn: Turn) -> dict[str, float]:
    """Return how well what is there is followed, and which share of it turns, before or after, whichever is less."""
    qualities, shares = [], []
    rows, columns = turn.mask.shape
    for t, at in ((turn.a, turn.from_), (turn.b, turn.at)):
        most, quality, share = 0.0, 0.0, 0.0
        x, y = np.round(at - (np.array([columns, rows]) - 1) / 2).astype(int)
        for track in evidence.tracks:
            i = t - track.start
            if not 0 <= i < len(track.frames):
                continue
            x0, y0, x1, y1 = track.boxes[i]
            left, right, top, bottom = max(x, x0), min(x + columns, x1), max(y, y0), min(y + rows, y1)
            if left >= right or top >= bottom:
                continue
            both = (
                turn.mask[top - y : bottom - y, left - x : right - x]
                & track.masks[i][top - y0 : bottom - y0, left - x0 : right - x0]
            ).sum()
            if both > most:
                most, quality, share = float(both), track.quality, float(both / max(1, track.areas[i]))
        qualities.append(quality * most / turn.mask.sum())
        shares.append(share)
    return {"quality": float(min(qualities)), "of it": min(shares)}
