"""How surely a candidate is something that turned into something else: the log odds of a logistic model.

The model is fitted to things and marks that were made to change in paper clips and real footage, against the same clips
without that. Levels are 0..255; what is measured before or after is a share of the contrast between the two.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from evaluation.evidence.looks import colours_of
from evaluation.evidence.turning import KERNEL, LEAST, NOISES, Turn, cut_out, find_turns, followed
from evaluation.evidence.turning_weights import BIAS, WEIGHTS

if TYPE_CHECKING:
    from evaluation.evidence.clip import Evidence

WINDOW = 0.35  # seconds before and after that a region is followed
FEWEST, MOST = 3, 7  # frames of it
AROUND = 3  # pixels
MOST_LIKELY = 6  # candidates that are told of
BEGUN = 0.2  # of the way to what it becomes, from which it is seen to change
ALIKE = 28  # levels between pixels of one colour


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
    h, w = evidence.luma.shape[1:]
    a, b, fps = turn.a, turn.b, evidence.clip.fps
    count = int(np.clip(round(WINDOW * fps), FEWEST, MOST))
    back = followed(evidence, a, turn.from_, turn.mask, -1, count, shot.start)
    on = followed(evidence, b, turn.at, turn.mask, 1, count, shot.end)
    shape = np.pad(turn.mask.astype(np.uint8), AROUND)
    size = shape.shape[::-1]
    inside, ring = (
        shape > 0,
        (cv2.dilate(shape, np.ones((2 * AROUND + 1,) * 2, np.uint8)) - cv2.dilate(shape, KERNEL)) > 0,
    )
    pixels = int(inside.sum())
    before = np.stack([cut_out(evidence.rgb[a - i], p, size) for i, p in enumerate(back)])
    after = np.stack([cut_out(evidence.rgb[b + i], p, size) for i, p in enumerate(on)])
    was, now = np.median(before, axis=0), np.median(after, axis=0)
    step = float(np.abs(was - now)[inside].mean())
    sudden = float(np.abs(before[0] - after[0])[inside].mean())
    contrast = max(min(step, sudden), 1.0)
    vary = [float(np.abs(p - m)[:, inside].mean()) if len(p) > 1 else 8.0 for p, m in ((before, was), (after, now))]
    looks = [np.stack([colours_of(x[inside]) for x in p]) for p in (before, after)]
    middle = [np.median(x, axis=0) for x in looks]
    apart = float(np.linalg.norm(middle[0] - middle[1]))
    shift = [
        float(np.linalg.norm(x - m, axis=1).max()) if len(x) > 1 else 0.3 for x, m in zip(looks, middle, strict=True)
    ]
    m: dict[str, float] = {
        "lag": float(np.log((b - a) / fps * 10 + 1)),
        "sudden": float(b == a + 1),
        "level": float(np.log1p(turn.level)),
        "pixels": float(np.log(pixels)),
        "share": float(np.log(pixels / (h * w))),
        "step": float(np.log(contrast / (evidence.noise + 2))),
        "varied": vary[0] / contrast,
        "varies": vary[1] / contrast,
        "looks": float(np.log(apart + 0.05)),
        "looked": shift[0] / (apart + 0.1),
        "look on": shift[1] / (apart + 0.1),
        "short": float(min(len(before), len(after)) < FEWEST),
    }
    m["calm"] = min(1.5, max(m["varied"], m["varies"]))
    m["looks calm"] = min(1.5, max(m["looked"], m["look on"]))
    for name in ("varied", "varies", "looked", "look on"):
        m[name] = min(m[name], 1.5)
    m["clear"] = float(np.log((contrast + 2) / (max(vary) + evidence.noise + 2)))
    m["looks clear"] = float(np.log((apart + 0.03) / (max(shift) + 0.08)))
    m["uniform"] = float((np.abs(was - now).mean(axis=-1)[inside] > 0.4 * step).mean())
    around = float(np.abs(was - now)[ring].mean()) if ring.any() else 0.0
    m["around"] = min(1.5, around / contrast)
    m |= _colours_around(before[0], after[0], inside, ring)
    m |= _source(evidence, turn, after[0][inside], inside)
    m |= _scene(evidence, turn, before[0], after[0], size, inside, contrast)
    m |= _motion(evidence, turn, back, on, pixels)
    m |= _found(evidence, turn, before[0], after[0], inside, contrast)
    m |= _beside(evidence, turn, back, on, inside, size)
    m |= _shape(shape, pixels)
    x, y = np.minimum(turn.from_, turn.at), np.maximum(turn.from_, turn.at)
    half = np.array(turn.mask.shape[::-1]) / 2
    margin = min(float((x - half).min()), float((np.array([w - 1, h - 1]) - y - half).min()))
    m["border"] = float(np.clip(np.log1p(max(0.0, margin)), 0, 2.5))
    m |= _track(evidence, turn)
    m["looks clear, new"] = m["looks clear"] * m["neither"]
    m["clear, fast"] = m["clear"] * m["speed"]
    m["noise"] = float(np.log(evidence.noise + 1))
    return m


def _colours_around(before: np.ndarray, after: np.ndarray, inside: np.ndarray, ring: np.ndarray) -> dict[str, float]:
    """Return which share of what surrounds a region has its colour after, and its colour before."""
    m = {}
    for name, picture in (("takes around", after), ("was around", before)):
        mean = np.median(picture[inside], axis=0)
        m[name] = float((np.abs(picture[ring] - mean).max(axis=-1) < ALIKE).mean()) if ring.any() else 0.0
    mean = np.median(after[inside], axis=0)
    m["took around"] = float((np.abs(before[ring] - mean).max(axis=-1) < ALIKE).mean()) if ring.any() else 0.0
    a, b = before[inside].mean(axis=-1), after[inside].mean(axis=-1)
    spread = float(a.std() * b.std())
    m["same texture"] = float(((a - a.mean()) * (b - b.mean())).mean() / spread) if spread > 9 else 0.0
    m["light"] = float(np.clip(np.log((b.mean() + 16) / (a.mean() + 16)), -1.5, 1.5))
    ratio = np.log((after[inside].mean(axis=0) + 16) / (before[inside].mean(axis=0) + 16))
    m["hue"] = float(np.clip(np.ptp(ratio), 0, 1.5))
    m["texture was"], m["texture is"] = float(np.log1p(a.std())), float(np.log1p(b.std()))
    return m


def _source(evidence: "Evidence", turn: Turn, after: np.ndarray, inside: np.ndarray) -> dict[str, float]:
    """Return how far, in levels, the colour that it takes is from those beside it before: what may have stained it."""
    reach = int(np.clip(1.2 * np.sqrt(inside.sum() / np.pi), 6, 20))
    size = (inside.shape[1] + 2 * reach, inside.shape[0] + 2 * reach)
    beside = cut_out(evidence.rgb[turn.a], turn.from_, size)
    outer = cv2.dilate(np.pad(inside, reach).astype(np.uint8), KERNEL, iterations=2) == 0
    colour = np.median(after, axis=0)
    far = np.sort(np.abs(beside[outer] - colour).max(axis=-1)) if outer.any() else np.full(1, 255.0)
    return {"source": float(np.log1p(far[min(len(far) - 1, 8)])), "sources": float((far < ALIKE).mean())}


def _scene(
    evidence: "Evidence", turn: Turn, before: np.ndarray, after: np.ndarray, size: tuple[int, int], inside: np.ndarray,
    contrast: float,
) -> dict[str, float]:  # fmt: skip
    scene = evidence.background
    m = {"scene known": 0.0, "was off": 0.0, "is off": 0.0, "was on": 0.0, "is on": 0.0}
    known = min(
        float(cut_out(scene.known[t].astype(np.float32), p, size)[inside].mean())
        for t, p in ((turn.a, turn.from_), (turn.b, turn.at))
    )
    if not scene.reliable or known < 0.5:
        return m
    m["scene known"] = 1.0
    for name, t, p, picture in (("was", turn.a, turn.from_, before), ("is", turn.b, turn.at, after)):
        off = np.abs(picture - cut_out(scene.rgb[t], p, size)).mean(axis=-1)[inside]
        m[f"{name} off"] = float(np.clip(off.mean() / contrast, 0, 1.5))
        m[f"{name} on"] = float((off < 0.3 * contrast).mean())
    return m


def _motion(evidence: "Evidence", turn: Turn, back: np.ndarray, on: np.ndarray, pixels: int) -> dict[str, float]:
    """Return how it moves before and after, and how far its motion turns as it changes."""
    fps, camera = evidence.clip.fps, evidence.camera
    frames = np.concatenate([turn.a - np.arange(len(back))[::-1], turn.b + np.arange(len(on))])
    steady = camera.steady(frames, np.concatenate([back[::-1], on]))
    n = len(back)
    came = (steady[n - 1] - steady[0]) / max(1, n - 1)
    goes = (steady[-1] - steady[n]) / max(1, len(on) - 1)
    across = (steady[n] - steady[n - 1]) / (turn.b - turn.a)
    speed = max(float(np.hypot(*came)), float(np.hypot(*goes)))
    turns = float(np.hypot(*(goes - came)))
    radius = np.sqrt(pixels / np.pi)
    return {
        "speed": float(np.log1p(speed * fps / radius)),
        "turns": float(np.clip(turns / (speed + 0.3), 0, 2)),
        "kick": float(np.log1p(turns * fps / radius)),
        "leap": float(np.clip(np.hypot(*(across - (came + goes) / 2)) / radius * min(turn.b - turn.a, 4), 0, 2)),
        "still": float(speed < 0.15),
        "fast": float(np.clip(speed / radius, 0, 1)),
    }


def _found(
    evidence: "Evidence", turn: Turn, before: np.ndarray, after: np.ndarray, inside: np.ndarray, contrast: float
) -> dict[str, float]:  # fmt: skip
    """Return how far the most alike place near is from what it was, after, and from what it is, before."""
    m = {}
    weight = np.repeat(inside.astype(np.float32)[..., None], 3, axis=-1)
    radius = np.sqrt(inside.sum() / np.pi)
    for name, t, at, picture in (("lost", turn.b, turn.at, before), ("new", turn.a, turn.from_, after)):
        reach = int(min(16, 4 + 0.8 * radius))
        size = (inside.shape[1] + 2 * reach, inside.shape[0] + 2 * reach)
        window = cut_out(evidence.rgb[t], at, size)
        squares = cv2.matchTemplate(window, picture, cv2.TM_SQDIFF, mask=weight)
        best = float(np.sqrt(max(0.0, float(squares.min())) / (3 * inside.sum())))
        m[name] = min(1.5, best / contrast)
    m["neither"] = min(m["lost"], m["new"])
    return m


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
    top = residual[:, ::2, ::2].max(axis=(1, 2))
    others = np.delete(top, np.arange(max(0, turn.a - 1), min(len(top), turn.b + 1)))
    m["beside most"] = float(np.log((turn.level + 8) / (np.percentile(others, 90) + 8))) if len(others) else 0.0
    m["restless"] = float(np.log((residual[:, ::2, ::2] > LEAST + NOISES * evidence.noise).mean() + 1e-3))
    return m


def _shape(shape: np.ndarray, pixels: int) -> dict[str, float]:
    hull = cv2.convexHull(cv2.findNonZero(shape))
    area = cv2.contourArea(hull) + 0.5 * cv2.arcLength(hull, True) + 1
    depth = cv2.distanceTransform(shape, cv2.DIST_L2, 3).max()
    high, wide = (side - 2 * AROUND for side in shape.shape)
    return {
        "depth": float(np.log(depth)), "solid": float(pixels / area), "fills": float(pixels / (wide * high)),
        "long": abs(float(np.log(wide / high))), "deep": float(depth / np.sqrt(pixels / np.pi)),
    }  # fmt: skip


def _track(evidence: "Evidence", turn: Turn) -> dict[str, float]:
    """Return what is followed there, before and after."""
    shares, qualities, numbers, of_it, lengths = [], [], [], [], []
    for t, at in ((turn.a, turn.from_), (turn.b, turn.at)):
        best, number, quality, part, length = 0.0, -1, 0.0, 0.0, 0.0
        for k, track in enumerate(evidence.tracks):
            i = t - track.start
            if not 0 <= i < len(track.frames):
                continue
            x0, y0, x1, y1 = track.boxes[i]
            rows, columns = turn.mask.shape
            x, y = np.round(at - (np.array([columns, rows]) - 1) / 2).astype(int)
            left, right, top, bottom = max(x, x0), min(x + columns, x1), max(y, y0), min(y + rows, y1)
            if left >= right or top >= bottom:
                continue
            both = (
                turn.mask[top - y : bottom - y, left - x : right - x]
                & track.masks[i][top - y0 : bottom - y0, left - x0 : right - x0]
            )
            share = float(both.sum() / turn.mask.sum())
            if share > best:
                best, number, quality, part = share, k, track.quality, float(both.sum() / max(1, track.areas[i]))
                length = len(track.frames) / len(evidence.rgb)
        shares.append(best)
        qualities.append(quality * best)
        numbers.append(number)
        of_it.append(part)
        lengths.append(length)
    return {
        "was thing": shares[0], "is thing": shares[1], "same thing": float(numbers[0] == numbers[1] >= 0),
        "quality": min(qualities), "of it": min(of_it), "most of it": max(of_it), "length": min(lengths),
    }  # fmt: skip
