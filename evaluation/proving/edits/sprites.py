"""Things and patches cut out of real clips, to be put into others."""

import cv2
import numpy as np

from evaluation.proving.edits.cutouts import soft
from evaluation.proving.edits.workbench import Bench, Sprite

LEAST_SIDE = 22.0  # pixels: the root of the area of a cut-out's box
THINGS_EACH, PATCHES_EACH = 2, 1  # of one piece
PATCH = (0.25, 0.4)  # of the picture's height


def sprites_of(bench: Bench, rng: np.random.Generator) -> list[Sprite]:
    """Return what can be cut out of a piece: the things that move in it, and rounded patches of its surfaces."""
    found = []
    for thing in sorted(bench.things, key=lambda t: -max(m.sum() for m in t.masks))[:THINGS_EACH]:
        frame = max(bench.clear_frames(thing, 0), key=lambda t: thing.mask(t).sum())
        x0, y0, x1, y1 = thing.box(frame)
        if np.sqrt((x1 - x0) * (y1 - y0)) >= LEAST_SIDE:
            alpha = soft(thing.mask(frame), -1, 0.8)[y0:y1, x0:x1, 0]
            found.append(Sprite(bench.frames[frame, y0:y1, x0:x1].copy(), alpha))
    return found + [_patch(bench.frames[int(rng.integers(len(bench.frames)))], rng) for _ in range(PATCHES_EACH)]


def _patch(frame: np.ndarray, rng: np.random.Generator) -> Sprite:
    """Return the patch of a frame that has the most contrast of a few, cut out round or almost square."""
    height, width = frame.shape[:2]
    h, w = (max(8, round(rng.uniform(*PATCH) * height)) for _ in range(2))
    w = min(w, width - 2)
    places = [(int(rng.integers(0, height - h)), int(rng.integers(0, width - w))) for _ in range(8)]
    y, x = max(places, key=lambda place: float(frame[place[0] : place[0] + h, place[1] : place[1] + w].std()))
    v, u = np.mgrid[-1 : 1 : h * 1j, -1 : 1 : w * 1j]
    power = rng.choice([2.0, 3.0, 5.0])
    far = (np.abs(u) ** power + np.abs(v) ** power) ** (1 / power)
    alpha = cv2.GaussianBlur((far < 0.92).astype(np.float32), (0, 0), 0.8)
    return Sprite(frame[y : y + h, x : x + w].copy(), alpha)
