"""Freeze: a clip that stops moving although something is there that should move."""

import cv2
import numpy as np

from evaluation.findings import Failure, Finding, measured, stretches, unmeasurable
from evaluation.observation import Observation

TYPE = "freeze"
STILL = 5.0  # levels: a transition whose busiest pixels change less than this shows no motion
STILL_SHARE = 0.12  # ... nor does one that changes less than this share of the clip's liveliest transitions
REPEATED = 1.0  # levels: change below this is a repeated frame
RESTING = ("still", "shatter", "behind left", "behind right")  # motions in which nothing may move for a while
BUSIEST = 0.98  # the quantile of pixels that stands for the busiest
SHORTEST = 4  # transitions in a row; the top of a throw takes two or three


def freeze(seen: Observation) -> Finding:
    """Find stretches of frames that repeat the frame before them."""
    if seen.frames <= SHORTEST:
        return unmeasurable(TYPE, f"fewer than {SHORTEST + 1} frames show no standstill", due=False)
    if seen.wanted is not None and seen.wanted.motion in RESTING:
        return unmeasurable(TYPE, "what the prompt asks for may be at rest", due=False)
    live = np.ones(seen.frames - 1, dtype=bool)
    if seen.scene.plain:
        if not seen.tracks:
            return unmeasurable(TYPE, "nothing is seen that could move", due=seen.wanted is not None)
        # Where an object has left or is hidden, what is left in sight may well be at rest.
        present = (seen.away == 0) & (seen.counts > 0)
        live = present[1:] & present[:-1]
    if live.sum() < SHORTEST:
        return unmeasurable(TYPE, "an object is seen in too few frames", due=seen.wanted is not None)
    still = motionless(seen.pixels, steady=seen.scene.plain) & live
    failures = []
    for start, end in stretches(still):
        length = end - start + 1
        if length >= SHORTEST:
            score = min(1.0, 0.5 + 0.5 * length / live.sum())
            # Transition t leads from frame t to frame t + 1, the first that repeats.
            text = f"Nothing moves from frame {start} to frame {end + 1}."
            failures.append(Failure(TYPE, start + 1, end + 1, float(score), text))
    return measured(TYPE, failures)


def motionless(pixels_THWC: np.ndarray, *, steady: bool) -> np.ndarray:
    """Return for every transition `[T - 1]` whether nothing moves in it.

    In a `steady` scene, objects before a plain background, what moves changes much and the rest is coding noise. In
    any other scene slow motion may change little, and only frames that repeat are motionless.
    """
    # Blurred before its size is taken, grain averages out while the change along a moving edge does not.
    change = [np.abs(cv2.blur(c, (3, 3))).max(axis=-1) for c in np.diff(pixels_THWC, axis=0)]
    busiest = np.array([np.quantile(c, BUSIEST) for c in change])
    if not steady:
        return busiest < REPEATED
    return busiest < max(STILL, STILL_SHARE * float(np.quantile(busiest, 0.9)))
