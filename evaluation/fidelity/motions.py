"""Names for the motion of an object: which of the motions that prompts speak of its track shows."""

import numpy as np

from evaluation.motion import Motion, fit_motion
from evaluation.observation import Observation
from evaluation.tracking import Track
from kinora.worlds import GRAVITY

AT_REST = 0.04  # world units a second: slower than this is no motion; the slowest prompted motion is near 0.1
SIDEWAYS = 0.12  # world units a second that make a throw one to the side
FAST = 0.21  # world units a second: between the worlds' slow (up to 0.15) and fast (from 0.30)
RISING = 0.15  # world units a second at the start that tell a throw from a fall
EVEN = ("right", "left", "up", "down", "still")
FLYING = ("fall", "thrown right", "thrown left", "thrown up")
CHECKED = EVEN + FLYING  # the motions that one track can show


def name_motion(motion: Motion) -> str:
    """Return the name in `CHECKED` of a fitted motion."""
    vx, vy = motion.x.mean_velocity, motion.y.mean_velocity
    if motion.y.acceleration < -GRAVITY / 2:
        if abs(vx) > SIDEWAYS:
            return "thrown right" if vx > 0 else "thrown left"
        return "thrown up" if motion.y.velocity > RISING else "fall"
    if np.hypot(vx, vy) < AT_REST:
        return "still"
    if abs(vx) >= abs(vy):
        return "right" if vx > 0 else "left"
    return "up" if vy > 0 else "down"


def name_speed(motion: Motion) -> str:
    """Return 'slow' or 'fast' for even motion."""
    return "fast" if np.hypot(motion.x.mean_velocity, motion.y.mean_velocity) > FAST else "slow"


def motion_of(seen: Observation, track: Track | None) -> Motion | None:
    """Return a track's fitted motion, None where there is no track or too few frames show the whole object."""
    return fit_motion(track, seen.steady(track), seen.unit, seen.clip.fps) if track is not None else None
