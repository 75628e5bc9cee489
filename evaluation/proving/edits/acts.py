"""Cut-outs of real things put into real scenes: thrown, gliding or at rest, as they should be.

Paths are in pixels of the scene, so that they hold to it under a moving camera; y points down.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import cv2
import numpy as np

from evaluation.findings import Box
from evaluation.proving.edits.workbench import Bench, Sprite, tinted

SIZE = (0.17, 0.27)  # of the picture's smaller side
FLIGHT_SECONDS = (0.7, 1.1)  # of the first arc
BOUNCE = 0.72  # of the speed
WIDEST_LOOK = 0.35  # of the picture: how far the camera may turn


@dataclass(frozen=True, eq=False)
class Act:
    """A cut-out and, for each frame, where it is, `at [T, 2]`, and the `share`, `scale` and `tint [T]` of it."""

    sprite: Sprite
    at: np.ndarray
    share: np.ndarray
    scale: np.ndarray
    tint: np.ndarray
    colour: np.ndarray = field(default_factory=lambda: np.zeros(3))
    then: Sprite | None = None  # what it is from frame `turned` on
    turned: int = 10**9

    def box(self, bench: Bench, frame: int) -> Box:
        """Return its box in the pixels of a frame."""
        x, y = bench.camera.point(frame, *self.at[frame])
        h, w = (0.5 * self.scale[frame] * side for side in self.sprite.alpha.shape)
        height, width = bench.frames.shape[1:3]
        return max(0, int(x - w)), max(0, int(y - h)), min(width, int(x + w) + 1), min(height, int(y + h) + 1)


@dataclass(frozen=True)
class Motion:
    """How something moves rightly: the path `[T, 2]`, and the frames in which it bounces."""

    path: np.ndarray
    bounces: tuple[int, ...] = ()
    g: float = 0.0  # pixels / s²


Mover = Callable[[Bench, np.random.Generator, float], "Motion | None"]


def gliding(bench: Bench, rng: np.random.Generator, size: float) -> Motion | None:
    """Return an even motion straight across a part of the picture."""
    space = room(bench, 0.6 * size)
    if space is None:
        return None
    low, high = space
    T = len(bench.frames)
    for _ in range(30):
        start, end = rng.uniform(low, high), rng.uniform(low, high)
        if 1.5 * size < np.linalg.norm(end - start) < 0.5 * bench.frames.shape[2] * T / bench.piece.fps:
            return Motion(start + np.linspace(0, 1, T)[:, None] * (end - start))
    return None


def resting(bench: Bench, rng: np.random.Generator, size: float) -> Motion | None:
    """Return no motion: it lies where it lies in the scene."""
    space = room(bench, 0.6 * size)
    return None if space is None else Motion(np.tile(rng.uniform(*space), (len(bench.frames), 1)))


def flying(bench: Bench, rng: np.random.Generator, size: float) -> Motion | None:
    """Return the flight of something thrown, which bounces off an unseen floor with less and less speed."""
    space = room(bench, 0.6 * size)
    if space is None or space[1][1] - space[0][1] < 1.2 * size:
        return None
    low, high = space
    rise = rng.uniform(0.6, 0.95) * (high[1] - low[1])
    g = 8 * rise / rng.uniform(*FLIGHT_SECONDS) ** 2
    return _flight(bench, rng, low, high, g, np.sqrt(2 * g * rise), BOUNCE)


def staged(bench: Bench, rng: np.random.Generator, sprite: Sprite, motion: Motion) -> Act:
    """Return the act of a motion as it should be."""
    T = len(motion.path)
    return Act(sprite, motion.path, np.ones(T), np.ones(T), np.zeros(T))


def drawn(bench: Bench, acts: list[Act]) -> np.ndarray:
    """Return the frames with the acts in them, the later before the earlier."""
    frames = bench.frames.copy()
    height, width = frames.shape[1:3]
    for act in acts:
        for t in range(len(frames)):
            if act.share[t] <= 0:
                continue
            sprite = act.then if act.then is not None and t >= act.turned else act.sprite
            x, y = bench.camera.point(t, *act.at[t])
            h, w = sprite.alpha.shape
            s = act.scale[t]
            place = np.array([[s, 0, x - s * (w - 1) / 2], [0, s, y - s * (h - 1) / 2]])
            alpha = act.share[t] * cv2.warpAffine(sprite.alpha, place, (width, height))[..., None]
            image = cv2.warpAffine(sprite.image, place, (width, height), borderMode=cv2.BORDER_REPLICATE)
            image = tinted(image, act.colour, float(act.tint[t])) if act.tint[t] else image
            frames[t] = ((1 - alpha) * frames[t] + alpha * image).round()
    return frames


def staging(bench: Bench, rng: np.random.Generator, mover: Mover) -> tuple[Act, Motion] | None:
    """Return a cut-out that moves rightly in the scene and is clearly seen all along, None where there is no room."""
    if not bench.camera.reliable:
        return None
    for sprite in fitting(bench, rng, 4):
        motion = mover(bench, rng, float(max(sprite.alpha.shape)))
        if motion is None:
            continue
        act = staged(bench, rng, sprite, motion)
        if _stands_out(bench, act):
            return act, motion
    return None


def fitting(bench: Bench, rng: np.random.Generator, count: int) -> list[Sprite]:
    if not bench.sprites:
        return []
    chosen = rng.permutation(len(bench.sprites))[:count]
    side = min(bench.frames.shape[1:3])
    return [bench.sprites[int(i)].sized(max(11.0, rng.uniform(*SIZE) * side)) for i in chosen]


def _stands_out(bench: Bench, act: Act) -> bool:
    mean = act.sprite.image[act.sprite.alpha > 0.5].mean(axis=0)
    for t in range(0, len(act.at), 6):
        x0, y0, x1, y1 = act.box(bench, t)
        behind = bench.frames[t, y0:y1, x0:x1]
        if not behind.size or np.abs(behind.reshape(-1, 3).mean(axis=0) - mean).max() < 40:
            return False
    return True


def _flight(
    bench: Bench, rng: np.random.Generator, low: np.ndarray, high: np.ndarray, g: float, speed: float, bounce: float
) -> Motion:
    T, fps = len(bench.frames), bench.piece.fps
    across = rng.uniform(0.4, 0.9) * (high[0] - low[0])
    x = np.linspace(0, across, T) + rng.uniform(low[0], high[0] - across)
    if rng.random() < 0.5:
        x = low[0] + high[0] - x
    edges, speeds = [0.0], [speed]
    while edges[-1] < T / fps and speeds[-1] > 0.12 * speed:
        edges.append(edges[-1] + 2 * speeds[-1] / g)
        speeds.append(bounce * speeds[-1])
    y = np.full(T, high[1])
    for t in range(T):
        arc = int(np.searchsorted(edges, t / fps, side="right")) - 1
        since = t / fps - edges[arc]
        if arc < len(edges) - 1:
            y[t] = high[1] - speeds[arc] * since + 0.5 * g * since**2
    bounces = tuple(int(np.ceil(edge * fps)) for edge in edges[1:] if edge * fps < T - 1)
    return Motion(np.stack([x, y], axis=1), bounces, float(g))


def room(bench: Bench, margin: float) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the corners of the part of the scene that every frame shows, without a margin; None if it is small."""
    height, width = bench.frames.shape[1:3]
    corners = np.array([[0, 0, 1], [width, 0, 1], [0, height, 1], [width, height, 1]], dtype=float).T
    laid = bench.camera.to_scene @ corners
    laid = laid[:, :2] / laid[:, 2:]
    left, right = laid[:, 0, [0, 2]].max(), laid[:, 0, [1, 3]].min()
    top, bottom = laid[:, 1, [0, 1]].max(), laid[:, 1, [2, 3]].min()
    low, high = np.array([left, top]) + margin, np.array([right, bottom]) - margin
    if right - left < (1 - WIDEST_LOOK) * width or bottom - top < (1 - WIDEST_LOOK) * height or (high <= low).any():
        return None
    return low, high


MOVERS: dict[str, Mover] = {"glides": gliding, "lies": resting, "is thrown": flying}
