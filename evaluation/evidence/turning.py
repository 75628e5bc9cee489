"""What turns into something else where it is: regions that neither frame shows of the other, and what surrounds that.

Two searches give candidates: pixels of a frame that motion from the frame before does not explain, and pixels that two
frames some way apart, seen in the same light, do not show of each other along the motion between them. Each region is
followed by the flow for some frames before and after, so that it is measured whether it was one thing before, is one
after, and how far apart the two are beside how much either varies.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from evaluation.evidence.changes import heaviest
from evaluation.evidence.flow import carried, outside, pixel_grid, sample
from evaluation.evidence.medians import median
from evaluation.evidence.segments import smallest

if TYPE_CHECKING:
    from evaluation.evidence.clip import Evidence

KERNEL = np.ones((3, 3), np.uint8)
LEAST, NOISES = 8.0, 3.0  # levels, and times the noise, beyond which something is another
SECONDS = (0.12, 0.3, 0.7, 1.2)  # between two frames that are compared
OF_A_FRAME, SUDDEN, SLOW = 3, 6, 6  # regions of a pair of frames; candidates in all
LARGEST = 0.4  # of the frame
DARK = np.float32(8.0)  # levels added to tell ratios of light


@dataclass(frozen=True, eq=False)
class Turn:
    """A region that is one thing until frame `a` and another from frame `b` on.

    `mask` bool is centred at `at` in `b` and at `from_` in `a`; `level` is by how many levels it is another.
    """

    a: int
    b: int
    mask: np.ndarray
    from_: np.ndarray
    at: np.ndarray
    level: float

    @property
    def mass(self) -> float:
        """Return how much changes, pixels times levels; what takes longer counts less."""
        return float(self.level * self.mask.sum() / (self.b - self.a) ** 0.3)


def find_turns(evidence: "Evidence") -> list[Turn]:
    """Return the heaviest candidates, sudden and slow."""
    found = _best(_sudden(evidence), SUDDEN)
    return [*found, *_best(_slow(evidence), SLOW)]


def _best(turns: Iterator[Turn], count: int) -> list[Turn]:
    kept: list[Turn] = []
    for turn in sorted(turns, key=lambda turn: -turn.mass):
        if not any(_same(turn, other) for other in kept):
            kept.append(turn)
            if len(kept) == count:
                break
    return kept


def _same(one: Turn, other: Turn) -> bool:
    near = abs(one.a + one.b - other.a - other.b) <= one.b - one.a + other.b - other.a + 1
    reach = np.array([one.mask.shape[1] + other.mask.shape[1], one.mask.shape[0] + other.mask.shape[0]]) / 2
    return bool(near and (np.abs(one.at - other.at) < 0.6 * reach).all())


def _regions(levels: np.ndarray, threshold: float, least: float) -> list[tuple[np.ndarray, np.ndarray, float]]:
    """Return mask, centre and mean level of the heaviest regions above a threshold."""
    above = (levels > threshold).astype(np.uint8)
    if not above.any():
        return []
    found = []
    for mass, (x0, y0, x1, y1), piece in heaviest(above, levels, least, OF_A_FRAME):
        if (area := int(piece.sum())) <= LARGEST * above.size:
            found.append((piece, np.array([(x0 + x1 - 1) / 2, (y0 + y1 - 1) / 2]), mass / area))
    return found


def _sudden(evidence: "Evidence") -> Iterator[Turn]:
    flow, (h, w) = evidence.flow, evidence.luma.shape[1:]
    threshold = LEAST + NOISES * evidence.noise
    for shot in evidence.shots:
        for a in range(shot.start, shot.end):
            for mask, at, level in _regions(flow.residual[a], threshold, smallest(h, w)):
                step = -median_flow(flow.backward[a], mask, at)
                if a + 1 < shot.end:
                    step = median_flow(flow.forward[a + 1], mask, at)
                yield Turn(a, a + 1, mask, at - step, at, level)


def _slow(evidence: "Evidence") -> Iterator[Turn]:
    """Yield what two frames do not show of each other along the motion between them, searched at half the size."""
    h, w = evidence.luma.shape[1:]
    H, W = max(8, h // 2), max(8, w // 2)
    by = np.array([W / w, H / h], np.float32)
    grid = pixel_grid(H, W)
    small = [cv2.resize(frame, (W, H), interpolation=cv2.INTER_AREA) for frame in evidence.rgb]
    flows = [cv2.resize(f, (W, H), interpolation=cv2.INTER_AREA) * by for f in evidence.flow.forward]
    threshold = LEAST + (NOISES - 1.5) * evidence.noise
    scale = np.array([[by[0], 0, (by[0] - 1) / 2], [0, by[1], (by[1] - 1) / 2], [0, 0, 1]])
    for shot in evidence.shots:
        for lag in sorted({max(2, round(s * evidence.clip.fps)) for s in SECONDS}):
            for a in range(shot.start, shot.end - lag + 1, max(1, lag // 3)):
                b = a + lag
                if evidence.camera.moves:
                    matrix = scale @ np.linalg.inv(evidence.camera.to_first[b]) @ evidence.camera.to_first[a]
                    still = sample(small[b], cv2.perspectiveTransform(grid, matrix @ np.linalg.inv(scale)))
                else:
                    still = small[b]
                light = _light(small[a], still)
                both = outside(small[a], cv2.LUT(still, light), 3)
                left, top, wide, high = cv2.boundingRect((both > threshold).view(np.uint8))
                if not wide:
                    continue
                x0, y0 = max(0, left - 1), max(0, top - 1)  # elsewhere nothing turns; with what is around it
                place = slice(y0, top + high + 1), slice(x0, left + wide + 1)
                there = carried(flows, a, b, grid[place], place)
                shown = cv2.LUT(sample(small[b], there), light)
                apart = cv2.min(outside(small[a][place], shown, 3), outside(shown, small[a][place], 3))
                x, y = cv2.split(there)
                apart[(x < 0) | (y < 0) | (x > W - 1) | (y > H - 1)] = 0
                both[place] = cv2.min(both[place], apart)
                for mask, from_, level in _regions(both, threshold, max(4, smallest(h, w) / 4)):
                    moved = median_flow(there - grid[place], mask, from_ - (x0, y0))
                    size = tuple(
                        int(max(2, round(side / unit))) for side, unit in zip(mask.shape[::-1], by, strict=True)
                    )
                    large = cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST).astype(bool)
                    centre = (from_ + 0.5) / by - 0.5
                    yield Turn(a, b, large, centre, centre + moved / by, level)


def _light(frame: np.ndarray, later: np.ndarray) -> np.ndarray:
    """Return how bright each level of each channel would be in the light of an earlier frame, `uint8 [1, 256, 3]`.

    The light of a scene changes most of it by one factor.
    """
    few, fewer = (picture[::2, ::2].reshape(-1, 3) + DARK for picture in (frame, later))
    levels = (np.arange(256, dtype=np.float32)[:, None] + DARK) * median(few / fewer) - DARK
    return np.asarray(levels.round().clip(0, 255).astype(np.uint8)[None])


def median_flow(flow: np.ndarray, mask: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Return the median of a flow `[h, w, 2]` in a mask centred at a place."""
    rows, columns = mask.shape
    x, y = np.round(at - (np.array([columns, rows]) - 1) / 2).astype(int)
    h, w = flow.shape[:2]
    a, b, c, d = max(0, y), min(h, y + rows), max(0, x), min(w, x + columns)
    if a >= b or c >= d:
        return np.zeros(2)
    inside = flow[a:b, c:d][mask[a - y : b - y, c - x : d - x]]
    return median(inside) if len(inside) else np.zeros(2)


def followed(
    evidence: "Evidence", t: int, at: np.ndarray, mask: np.ndarray, way: int, count: int, end: int
) -> np.ndarray:
    """Return where a region is in frame `t` and up to `count` more, one way in time, not beyond `end`, `[n, 2]`."""
    places, flow = [at], evidence.flow.forward if way > 0 else evidence.flow.backward
    while len(places) <= count and t != end:
        places.append(places[-1] + median_flow(flow[t if way > 0 else t - 1], mask, places[-1]))
        t += way
    return np.array(places)


def cut_out(picture: np.ndarray, at: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return what a picture shows in a window (width, height) centred at a place, float32."""
    return np.asarray(cv2.getRectSubPix(picture, size, (float(at[0]), float(at[1])), patchType=cv2.CV_32F))
