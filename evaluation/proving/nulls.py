"""Clips that must be more suspicious than what they are made of: frozen, shuffled, reversed, noise, blurred."""

from collections.abc import Callable

import cv2
import numpy as np

from evaluation.proving.real import ARROW

Null = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def frozen(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the first frame over and over."""
    return np.repeat(frames[:1], len(frames), axis=0)


def shuffled(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the frames in random order."""
    return frames[rng.permutation(len(frames))]


def reversed_in_time(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the frames from the last to the first."""
    return np.ascontiguousarray(frames[::-1])


def noise(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return noise of the frames' own levels."""
    levels = rng.normal(float(frames.mean()), max(20.0, float(frames.std())), frames.shape)
    return np.clip(levels, 0, 255).astype(np.uint8)


def blurred(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the frames blurred until only the layout is left."""
    sigma = 0.03 * max(frames.shape[1:3])
    return np.stack([cv2.GaussianBlur(frame, (0, 0), sigma) for frame in frames])


NULLS: dict[str, Null] = {
    "frozen": frozen,
    "shuffled": shuffled,
    "reversed": reversed_in_time,
    "noise": noise,
    "blurred": blurred,
}


def nulls_of(physics: frozenset[str] | None) -> dict[str, Null]:
    """Return the nulls of a clip; it is reversed only where time is known to have an arrow in it."""
    arrow = physics is not None and bool(physics & ARROW)
    return {name: null for name, null in NULLS.items() if arrow or name != "reversed"}
