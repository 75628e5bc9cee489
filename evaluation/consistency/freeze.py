"""Freeze: a clip that stops moving although something is there that should move."""

import numpy as np

from evaluation.fidelity.motions import EVEN
from evaluation.findings import Failure, Finding, measured, stretches, unmeasurable
from evaluation.objects.observation import Observation

TYPE = "freeze"
RESTING = ("still", "shatter", "behind left", "behind right")  # motions in which nothing may move for a while
CIRCLED = ("orbit right", "orbit left")  # motions of the camera alone: the pixels move, and the object stays
RATE = 8.0  # frames a second that the windows are for; at a higher rate they are longer
WINDOW = 5  # frames: long enough that the slowest even motion shows in them
WINDOW_OF_FLIGHT = 7  # ... and that the top of a throw does: at 8 frames a second it falls 0.028 units from there
MOVED = 0.016  # world units: an object whose centre stays within this over a window rests; half a pixel of 32
REPEATED = 1.0  # levels: where no object can be followed, change below this is a repeated frame
BUSIEST = 0.98  # the quantile of pixels that stands for the busiest


def freeze(seen: Observation) -> Finding:
    """Find stretches in which nothing moves: no object, or where none can be followed, no pixel."""
    due = seen.wanted is not None
    window = WINDOW if seen.wanted is not None and seen.wanted.motion in EVEN else WINDOW_OF_FLIGHT
    window = max(window, round(window * seen.clip.fps / RATE))
    if seen.frames < window:
        return unmeasurable(TYPE, f"fewer than {window} frames show no standstill", due=False)
    if seen.wanted is not None and seen.wanted.motion in RESTING:
        return unmeasurable(TYPE, "what the prompt asks for may be at rest", due=False)
    still = np.zeros(seen.frames - 1, dtype=bool)
    live = np.ones(seen.frames - 1, dtype=bool)
    if not seen.scene.plain or (seen.wanted is not None and seen.wanted.motion in CIRCLED):
        still = repeated(seen.pixels)
    elif not seen.tracks:
        return unmeasurable(TYPE, "nothing is seen that could move", due=due)
    else:
        # Where an object has left or is hidden, what is left in sight may well be at rest.
        present = (seen.away == 0) & (seen.counts > 0)
        live = present[1:] & present[:-1]
        still = at_rest(seen, window) & live
    if live.sum() < window - 1:
        return unmeasurable(TYPE, "the objects are in sight in too few frames", due=due)
    failures = []
    for start, end in stretches(still):
        length = end - start + 1
        if length >= window - 1:
            score = min(1.0, 0.5 + 0.5 * length / float(live.sum()))
            # Transition t leads from frame t to frame t + 1, the first that repeats.
            text = f"Nothing moves from frame {start} to frame {end + 1}."
            failures.append(Failure(TYPE, start + 1, end + 1, score, text))
    return measured(TYPE, failures)


def at_rest(seen: Observation, length: int) -> np.ndarray:
    """Return for every transition `[T - 1]` whether it lies in `length` frames in which no object moves.

    Centres are compared, not pixels: an autoencoder's blur changes from frame to frame where nothing moves.
    """
    moved = np.zeros(seen.frames - length + 1, dtype=bool)
    for track in seen.objects:
        # In the picture and in the scene: a camera may go along with what moves.
        centres = np.full((seen.frames, 4), np.nan)
        centres[track.frames] = np.concatenate([track.centres, seen.steady(track)], axis=1) / seen.unit
        for start in range(len(moved)):
            window = centres[start : start + length]
            window = window[~np.isnan(window[:, 0])]
            if len(window) > 1:
                moved[start] |= bool(np.ptp(window, axis=0).max() > MOVED)
    result = np.zeros(seen.frames - 1, dtype=bool)
    for first in np.flatnonzero(~moved):
        result[first : first + length - 1] = True
    return result


def repeated(pixels_THWC: np.ndarray) -> np.ndarray:
    """Return for every transition `[T - 1]` whether the frame repeats the one before."""
    change = np.abs(np.diff(pixels_THWC, axis=0)).max(axis=-1)
    return np.asarray(np.quantile(change.reshape(len(change), -1), BUSIEST, axis=1) < REPEATED)
