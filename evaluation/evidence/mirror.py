"""A clip as seen forwards or backwards in time: what comes into being in one goes out of being in the other.

`lost` says by how many levels each pixel of a frame is beyond anything that the next frame shows near where motion
carries it: along the flow, with the camera, or going on as it came. What another thing covers is not lost.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import cv2
import numpy as np

from evaluation.evidence.flow import carried_along, in_four, outside, pixel_grid, unexplained
from evaluation.evidence.tracks import Track

if TYPE_CHECKING:
    from evaluation.evidence.clip import Evidence

KERNEL = np.ones((3, 3), np.uint8)
LEAST, NOISES = 8.0, 4.0  # levels, and times the noise, beyond which something is lost
SAME_SCENE = 0.3  # of the picture: where no more of it is lost, nothing was cut


@dataclass(frozen=True, eq=False)
class End:
    """Where a followed thing is last seen in a view: its track's frames `[n]` and the rest, in the view's order."""

    track: Track
    frames: np.ndarray
    steady: np.ndarray
    boxes: np.ndarray
    masks: tuple[np.ndarray, ...]
    why: str
    absent: float


@dataclass(frozen=True, eq=False)
class View:
    """A clip in one direction of time; T frames of h x w pixels, frame numbers count in that direction.

    `forward`, `backward` float32 [T - 1, h, w, 2] and `to_first` [T, 3, 3] are as in `Flow` and `Camera`; `lost`
    float32 [T - 1, h, w] is on the grid of the earlier frame; `cut` bool [T - 1]: nothing goes on from t to t + 1.
    """

    rgb: np.ndarray
    forward: np.ndarray
    backward: np.ndarray
    to_first: np.ndarray
    moves: bool
    lost: np.ndarray
    cut: np.ndarray
    scene: np.ndarray
    known: np.ndarray
    noise: float
    ends: tuple[End, ...]

    @property
    def threshold(self) -> float:
        """Return the levels beyond which something is lost."""
        return LEAST + NOISES * self.noise

    @cached_property
    def small(self) -> np.ndarray:
        """Return the frames at half the size, uint8 [T, h / 2, w / 2, 4], as `in_four` gives them."""
        height, width = self.rgb.shape[1:3]
        size = max(8, width // 2), max(8, height // 2)
        return np.stack([in_four(cv2.resize(frame, size, interpolation=cv2.INTER_AREA)) for frame in self.rgb])

    @cached_property
    def from_first(self) -> np.ndarray:
        """Return the inverses of `to_first`."""
        return np.linalg.inv(self.to_first)

    def between(self, a: int, b: int) -> np.ndarray:
        """Return the homography that carries the scene from frame `a` to `b`."""
        return np.asarray(self.from_first[b] @ self.to_first[a] if self.moves else np.eye(3))

    def seen(self, pictures: np.ndarray, a: int, b: int, box: tuple[int, ...], step: np.ndarray) -> np.ndarray:
        """Return what `pictures[b]` show where the scene in a box of frame `a` is, moved by `step` pixels a frame."""
        x0, y0, x1, y1 = box
        x, y = step * (b - a)
        matrix = self.between(a, b) @ np.array([[1, 0, x0 + x], [0, 1, y0 + y], [0, 0, 1.0]])
        how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        place = (x1 - x0, y1 - y0)
        found = cv2.warpPerspective(pictures[b], matrix, place, flags=how, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(found, np.float32)


def both_ways(evidence: "Evidence") -> tuple[View, View]:
    """Return a clip forwards, in which things vanish, and backwards, in which those vanish that appeared."""
    T, flow, scene = len(evidence.rgb), evidence.flow, evidence.background
    cut = np.ones(max(0, T - 1), bool)
    for shot in evidence.shots:
        cut[shot.start : shot.end] = False
    gone, come = _lost(evidence, cut), flow.residual
    false_cuts = [int(t) for t in np.flatnonzero(cut) if _goes_on(evidence, int(t))]
    if false_cuts:
        come = come.copy()
        for t in false_cuts:
            cut[t] = False
            gone[t], come[t] = (
                outside(evidence.rgb[t], evidence.rgb[t + 1], 3),
                outside(evidence.rgb[t + 1], evidence.rgb[t], 3),
            )
    to_first = np.tile(np.eye(3), (T, 1, 1))
    for step in range(T - 1):
        to_first[step + 1] = to_first[step] @ np.linalg.inv(evidence.camera.to_next[step])
    known = scene.known & scene.reliable
    ends = tuple(End(k, k.frames, k.steady, k.boxes, k.masks, k.ends, k.vanishes) for k in evidence.tracks)
    begins = tuple(
        End(k, T - 1 - k.frames[::-1], k.steady[::-1], k.boxes[::-1], k.masks[::-1], k.begins, k.appears)
        for k in evidence.tracks
    )
    moves, noise = evidence.camera.moves, evidence.noise
    return (
        View(evidence.rgb, flow.forward, flow.backward, to_first, moves, gone, cut, scene.rgb, known, noise, ends),
        View(
            evidence.rgb[::-1], flow.backward[::-1], flow.forward[::-1], to_first[::-1], moves, come[::-1], cut[::-1],
            scene.rgb[::-1], known[::-1], noise, begins,
        ),
    )  # fmt: skip


def _lost(evidence: "Evidence", cut: np.ndarray) -> np.ndarray:
    """Return by how many levels the pixels of each frame are not in the next, float32 [T - 1, h, w]."""
    grid, flow = pixel_grid(*evidence.luma.shape[1:]), evidence.flow
    lost = np.zeros((len(cut), *evidence.luma.shape[1:]), np.float32)
    after = in_four(evidence.rgb[0])
    for t in range(len(cut)):
        now, after = after, in_four(evidence.rgb[t + 1])
        if cut[t]:
            continue
        still = carried_along(evidence.camera.to_next[t], grid)
        on = flow.backward[t - 1] if t and not cut[t - 1] else None
        lost[t] = unexplained(after, now, still, flow.backward[t], flow.forward[t], on, grid)
    return lost


def _goes_on(evidence: "Evidence", t: int) -> bool:
    """Say whether the scene is the same after a cut: a large thing that vanishes from an even one looks like a cut."""
    pair = evidence.rgb[t], evidence.rgb[t + 1]
    differs = np.maximum(outside(*pair, 3), outside(*pair[::-1], 3))
    return bool((differs > LEAST + NOISES * evidence.noise).mean() < SAME_SCENE)
