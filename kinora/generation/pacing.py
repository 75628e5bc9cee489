"""A way between two clips that changes evenly: no stairs where latents meet, and no part that hurries.

An autoencoder with several frames a latent decodes a slow fade in stairs: frames of one latent are nearly alike, and
all of the change lies between two latents. And a model that knows whole scenes only turns one into the other within a
few frames, somewhere in the middle.

Axes: T frames, H rows, W columns.
"""

from itertools import pairwise

import cv2
import numpy as np

RAMP = ((-2, 1 / 8), (-1, 3 / 8), (0, -3 / 8), (1, -1 / 8))  # frames beside a border, and their shares of its stair
STILL = 0.5  # of a stair may be what moves there anyhow, times the largest step beside the border


def without_stairs(frames: np.ndarray, borders: list[int]) -> np.ndarray:
    """Return frames `uint8 [T, H, W, 3]` in which stairs are ramps of four steps: deblocking over time.

    A stair is the step into a border frame beyond the mean of the two steps beside it. It stays where something moves:
    spread over time, it would be seen twice.

    Args:
        frames: of latents of four frames or more; of fewer, ramps would meet.
        borders: the first frames of latents, of those whose stairs are to be spread.
    """
    out = frames.astype(np.float32)
    for border in borders:
        if not 2 <= border <= len(frames) - 2:
            continue
        near = frames[border - 2 : border + 2].astype(np.float32)
        before, step, after = np.diff(near, axis=0)
        stair = step - (before + after) / 2
        moving = np.maximum(np.abs(before), np.abs(after)).mean(axis=2)
        moving = cv2.dilate(moving, np.ones((3, 3), np.uint8))
        size = np.abs(stair).mean(axis=2)
        share = cv2.blur(np.clip(1 - STILL * moving / np.maximum(size, 1e-3), 0, 1), (3, 3))
        for place, part in RAMP:
            out[border + place] += part * share[..., None] * stair
    return np.clip(np.rint(out), 0, 255).astype(np.uint8)


def steps_of(frames: np.ndarray) -> np.ndarray:
    """Return the mean absolute differences of neighbouring frames `[T - 1]`, in grey levels."""
    return np.array([cv2.absdiff(one, other).mean() for one, other in pairwise(frames)])


def paced(frames: np.ndarray, most: float) -> np.ndarray:
    """Return as many frames `uint8 [T, H, W, 3]`, which take more time where they change by over `most` levels a step.

    They take less elsewhere; the first and the last stay. Frames between two are blends of them, as in a slow fade.
    """
    steps = steps_of(frames)
    if not len(steps) or steps.max() <= most:
        return frames
    lasting = np.maximum(1.0, steps / max(most, 1e-6))
    until = np.concatenate([[0.0], lasting.cumsum()])
    places = np.interp(np.linspace(0, until[-1], len(frames)), until, np.arange(len(frames)))
    made = []
    for place in places:
        first = min(int(place), len(frames) - 2)
        part = float(place) - first
        made.append(cv2.addWeighted(frames[first], 1 - part, frames[first + 1], part, 0))
    return np.stack(made)
