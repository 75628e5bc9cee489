"""How surely a candidate is a thing that vanished: the log odds of a logistic model of what an eye would weigh.

The model is fitted to events put into paper clips and real footage against the same clips without them. Contrasts are
in levels; what is measured after or before is a share of the contrast between the thing and what is there without it.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from evaluation.evidence.flow import largest, pixel_grid
from evaluation.evidence.mirror import KERNEL, End, View
from evaluation.evidence.weights import BIAS, WEIGHTS

AROUND = 3  # pixels around a thing that are looked at with it
BEFORE, AFTER = 5, 5  # frames
QUIET = 20.0  # levels x pixels that are always lost somewhere
GONE, THERE = 0.2, 0.8  # of its contrast that a thing has lost when it is seen to fail, and when no trace is left
NOWHERE = np.zeros(2)


@dataclass(frozen=True, eq=False)
class Candidate:
    """A thing that is in frame `a` of a view and no more in frame `b`; `step` pixels a frame is how it moved."""

    a: int
    b: int
    box: tuple[int, int, int, int]
    mask: np.ndarray
    step: np.ndarray
    end: End | None = None
    sight: int = 0  # of the track that ends, the one in frame a


@dataclass(frozen=True, eq=False)
class Crowd:
    """What else is lost in a view: the heaviest region of every frame, and the share of the frame, `[T - 1]`."""

    top: np.ndarray
    share: np.ndarray


def log_odds(view: View, c: Candidate, crowd: Crowd) -> float:
    """Return the logarithm of the odds that a thing vanished."""
    measured = measure(view, c, crowd)
    return BIAS + sum(weight * measured[name] for name, weight in WEIGHTS.items())


def onset(view: View, c: Candidate) -> tuple[int, int]:
    """Return the first frame in which a thing is seen to go, and the last in which something of it is left."""
    shown = [view.seen(view.rgb, c.a, s, c.box, c.step) for s in range(c.a, c.b + 1)]
    lost = np.array([np.abs(frame - shown[0])[c.mask].mean() for frame in shown])
    lost /= max(float(lost[-1]), 1e-6)
    first = c.a + max(1, int(np.argmax(lost >= GONE)))
    return first, max(c.a, c.a + int(np.flatnonzero(lost <= THERE)[-1]))


def measure(view: View, c: Candidate, crowd: Crowd) -> dict[str, float]:
    """Return everything that the model weighs, by name."""
    h, w = view.rgb.shape[1:3]
    x0, y0, x1, y1 = c.box
    left, top = max(0, x0 - AROUND), max(0, y0 - AROUND)
    box = (left, top, min(w, x1 + AROUND), min(h, y1 + AROUND))
    shape = np.zeros((box[3] - box[1], box[2] - box[0]), np.uint8)
    shape[y0 - top : y1 - top, x0 - left : x1 - left] = c.mask
    inside, outside = shape.astype(bool), cv2.dilate(shape, KERNEL) == 0
    pixels = int(inside.sum())

    def seen(t: int, step: np.ndarray = NOWHERE) -> np.ndarray:
        return view.seen(view.rgb, c.a, t, box, step)

    def apart(one: np.ndarray, other: np.ndarray) -> float:
        return float(np.abs(one - other)[inside].mean())

    with_it = view.rgb[c.a, box[1] : box[3], box[0] : box[2]].astype(np.float32)
    without, ahead = seen(c.b), seen(c.b, c.step)
    here, there = apart(with_it, without), apart(with_it, ahead)
    contrast = max(here, there, 1.0)
    lost = view.lost[c.a : c.b, y0:y1, x0:x1].max(axis=0)
    level = float(lost[c.mask].mean()) + 1
    mass = float((lost * c.mask).sum()) + 1
    m: dict[str, float] = {
        "lost": float(np.log(level)),
        "contrast": float(np.log((min(here, there) + 1) / (view.noise + 1))),
        "pixels": float(np.log(pixels)),
        "sudden": float(c.end is None and c.b == c.a + 1),
        "uniform": float((np.abs(with_it - without).mean(axis=-1)[inside] > 0.4 * here).mean()),
        "around": float(np.clip(np.abs(with_it - without)[outside].mean() / contrast, 0, 1)) if outside.any() else 0.0,
        "texture": float(np.log1p(with_it[inside].std(axis=0).mean())),
    }
    m["heavy"] = m["lost"] * m["pixels"] / 4
    # In time: nothing is lost there before and after, it was there before, and what comes lasts.
    lo, hi = _reach(view, c)
    beside = {
        name: max((float(view.seen(view.lost, c.a, s, box, NOWHERE)[inside].mean()) for s in steps), default=0.0)
        for name, steps in {"before": range(max(lo, c.a - 4), c.a), "after": range(c.b, min(hi, c.b + 4))}.items()
    }
    m |= {name: float(np.clip(value / level, 0, 1)) for name, value in beside.items()}
    m["lost x before"] = m["lost"] * m["before"]
    earlier = [s for s in (c.a - 3, c.a - 1) if s >= lo] or [c.a]
    m["was there"] = max(min(apart(seen(s, c.step), with_it), apart(seen(s), with_it)) / contrast for s in earlier)
    m["was there"] = min(m["was there"], 1.2) if earlier != [c.a] else 0.5
    later = [apart(seen(s), without) / contrast for s in range(c.b + 1, min(hi, c.b + 4) + 1)]
    m["lasts"] = min(float(np.mean(later)), 1.2) if later else 0.5
    returns = [apart(seen(s), with_it) / contrast for s in range(c.b + 2, hi + 1, 2)]
    m["stays away"] = min([1.0, *returns])
    m["together"], m["jump"] = _together(seen, c, with_it, ahead, inside, there)
    m["missed"] = min(_missed(view, c, pixels) / contrast, 1.2)
    # In the picture: it has an outline, the scene has none there; it is compact, inside the frame, nothing goes before.
    outline = cv2.dilate(shape, KERNEL) != cv2.erode(shape, KERNEL)
    edges = [float(_steps(picture)[outline].mean()) + 2 for picture in (with_it, without)]
    m["edge"], m["edge gone"] = float(np.log(edges[0])), float(np.clip(np.log(edges[0] / edges[1]), -2, 2))
    m |= _scene(view, c, with_it, without, box, inside, contrast)
    m |= _shape(shape, pixels, x1 - x0, y1 - y0)
    margins = np.array([x0, y0, w - x1, h - y1], float)
    m["leaves"] = float((margins - 2 * np.maximum([-c.step[0], -c.step[1], c.step[0], c.step[1]], 0) <= 1).any())
    m["border"] = float(np.clip(np.log1p(margins.min()), 0, 2.5))
    speed = float(np.hypot(*c.step))
    m["speed"] = float(np.log1p(speed))
    m["sweeps"] = float(np.clip(speed * (c.b - c.a) / np.sqrt(pixels), 0, 2))
    moving = _moving(view, c.b, box)
    m["mover"] = float((moving[inside] > 0.7).mean())
    m["moves around"] = float(np.clip(np.minimum(moving[outside], 5).mean(), 0, 3)) if outside.any() else 0.0
    # In the clip: how much else is lost.
    others = np.delete(crowd.top, np.arange(max(0, c.a - 2), min(len(crowd.top), c.b + 2)))
    others = others if len(others) else np.zeros(1)
    m["beside most"] = float(np.clip(np.log(mass / (np.percentile(others, 90) + QUIET)), -3, 6))
    m["beside all"] = float(np.clip(np.log(mass / (others.max() + QUIET)), -3, 4))
    m["beside all, sudden"] = m["beside all"] * m["sudden"]
    m["share"] = float(np.log(crowd.share[c.a : c.b].max() + 1e-3))
    m["usual share"] = float(np.log(np.median(crowd.share) + 1e-3))
    return m | _track(view, c, pixels)


def _reach(view: View, c: Candidate) -> tuple[int, int]:
    """Return the first and last frame without a cut to the candidate, some frames around it."""
    lo, hi = c.a, c.b
    while lo > max(0, c.a - BEFORE) and not view.cut[lo - 1]:
        lo -= 1
    while hi < min(len(view.rgb) - 1, c.b + AFTER + 3) and not view.cut[hi]:
        hi += 1
    return lo, hi


def _together(seen, c: Candidate, with_it, ahead, inside, there) -> tuple[float, float]:  # type: ignore[no-untyped-def]
    """Return how evenly all of it fades, 0..1, and the largest part of it that goes in one step."""
    if c.b == c.a + 1:
        return 1.0, 1.0
    unit = np.abs(with_it - ahead).mean(axis=-1)
    clear = inside & (unit > 0.5 * max(there, 1))
    gone, worst = [0.0], 0.0
    for s in range(c.a + 1, c.b):
        part = np.abs(seen(s, c.step) - with_it).mean(axis=-1)[clear] / np.maximum(unit[clear], 4)
        part = np.clip(part, 0, 1.2) if len(part) else np.zeros(1)
        share = float(part.mean())
        gone.append(share)
        if 0.15 < share < 0.85:
            worst = max(worst, float(part.std() / np.sqrt(share * (1 - share))))
    return 1 - worst, float(np.diff([*gone, 1.0]).max())


def _missed(view: View, c: Candidate, pixels: int) -> float:
    """Return by how many levels the most alike place near where it would be differs from it."""
    x0, y0, x1, y1 = c.box
    at = view.between(c.a, c.b) @ np.array([x0, y0, 1.0])
    x, y = np.round(at[:2] / at[2] + c.step * (c.b - c.a)).astype(int)
    reach = int(min(12, 4 + 1.5 * np.hypot(*c.step)))
    left, top = max(0, x - reach), max(0, y - reach)
    window = view.rgb[c.b, top : max(top, y + y1 - y0 + reach), left : max(left, x + x1 - x0 + reach)]
    if window.shape[0] < y1 - y0 or window.shape[1] < x1 - x0:
        return 0.0
    weight = np.repeat(c.mask.astype(np.float32)[..., None], 3, axis=-1)
    thing = view.rgb[c.a, y0:y1, x0:x1].astype(np.float32)
    squares = cv2.matchTemplate(window.astype(np.float32), thing, cv2.TM_SQDIFF, mask=weight)
    return float(np.sqrt(max(0.0, float(squares.min())) / (3 * pixels)))


def _steps(picture: np.ndarray) -> np.ndarray:
    smooth = cv2.blur(picture, (3, 3))
    return largest(cv2.dilate(smooth, KERNEL) - cv2.erode(smooth, KERNEL))


def _scene(
    view: View, c: Candidate, with_it: np.ndarray, without: np.ndarray, box: tuple[int, ...], inside: np.ndarray,
    contrast: float,
) -> dict[str, float]:  # fmt: skip
    """Return how far from the background both are, where that is known."""
    place = slice(box[1], box[3]), slice(box[0], box[2])
    known = view.known[c.a][place] & inside
    if 2 * known.sum() <= inside.sum():
        return {"scene known": 0.0, "off scene": 0.0, "back to scene": 0.0}
    before, after = (
        float(np.clip(np.abs(p - view.scene[c.a][place])[known].mean() / contrast, 0, 1.2)) for p in (with_it, without)
    )
    return {"scene known": 1.0, "off scene": before, "back to scene": 1 - after}


def _shape(shape: np.ndarray, pixels: int, wide: int, high: int) -> dict[str, float]:
    hull = cv2.convexHull(cv2.findNonZero(shape))
    area = cv2.contourArea(hull) + 0.5 * cv2.arcLength(hull, True) + 1
    depth = cv2.distanceTransform(np.pad(shape, 1), cv2.DIST_L2, 3).max()
    return {
        "depth": float(np.log(depth)),
        "solid": float(pixels / area),
        "fills": float(pixels / (wide * high)),
        "long": abs(float(np.log(wide / high))),
    }


def _moving(view: View, t: int, box: tuple[int, ...]) -> np.ndarray:
    """Return how fast what is in a box came to frame `t`, in pixels against the scene."""
    place = slice(box[1], box[3]), slice(box[0], box[2])
    grid = np.ascontiguousarray(pixel_grid(*view.rgb.shape[1:3])[place])
    still = cv2.perspectiveTransform(grid, view.between(t, t - 1)) - grid
    return np.asarray(np.linalg.norm(view.backward[t - 1][place] - still, axis=-1))


def _track(view: View, c: Candidate, pixels: int) -> dict[str, float]:
    """Return what the track says that the thing was followed by."""
    end, sight = (c.end, c.sight) if c.end is not None else followed(view, c.a, c.box, c.mask)
    names = ("followed", "length", "quality", "of it", "ends", "unexplained", "occluded", "blended", "merged", "absent")
    if end is None:
        return dict.fromkeys(names, 0.0) | {"absent x quality": 0.0}
    ends = 0 <= int(end.frames[-1]) - c.a <= 12
    why = {name: float(ends and end.why == name) for name in ("unexplained", "occluded", "blended", "merged")}
    quality, absent = end.track.quality, end.absent if ends else 0.0
    return {
        "followed": 1.0,
        "length": float(min(np.log(sight + 1), 3.0)),
        "quality": quality,
        "of it": float(min(1.0, pixels / max(1, end.masks[sight].sum()))),
        "ends": float(ends),
        "absent": absent,
        "absent x quality": absent * quality,
    } | why


def followed(view: View, t: int, box: tuple[int, int, int, int], mask: np.ndarray) -> tuple[End | None, int]:
    """Return the track, and which of its sights, that covers most of a region of frame `t`, at least a third of it."""
    x0, y0, x1, y1 = box
    best: tuple[float, End | None, int] = (0.3 * float(mask.sum()), None, 0)
    for end in view.ends:
        i = t - int(end.frames[0])
        if not 0 <= i < len(end.frames):
            continue
        left, top, right, bottom = (int(v) for v in end.boxes[i])
        a, b, c, d = max(left, x0), max(top, y0), min(right, x1), min(bottom, y1)
        if a < c and b < d:
            both = end.masks[i][b - top : d - top, a - left : c - left] & mask[b - y0 : d - y0, a - x0 : c - x0]
            if both.sum() > best[0]:
                best = (float(both.sum()), end, i)
    return best[1], best[2]
