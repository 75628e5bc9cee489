"""A way between two clips of which no part hurries.

A model that knows whole scenes only turns one into the other within a few frames, somewhere in the middle.
"""

from itertools import pairwise

import cv2
import numpy as np


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
