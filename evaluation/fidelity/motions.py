"""Names for the motion of one object: which of the motions that prompts speak of its track shows."""

from dataclasses import dataclass

import numpy as np

from evaluation.findings import stretches
from evaluation.objects.motion import Motion, fit_motion, longest_run
from evaluation.objects.observation import Observation
from evaluation.objects.tracking import Track
from kinora.worlds import GRAVITY

AT_REST = 0.04  # world units a second: slower than this is no motion; the slowest prompted motion is near 0.1
SIDEWAYS = 0.12  # world units a second that make a throw one to the side
FAST = 0.21  # world units a second: between the worlds' slow (up to 0.15) and fast (from 0.30)
RISING = 0.15  # world units a second at the start that tell a throw from a fall
KICK = 0.18  # world units a second by which a bounce changes a velocity at least, within two frames ...
TURNING = 0.05  # ... and that it has to either side before and after
ASLANT = 0.14  # world units a second, both across and up: motion in none of the four directions
SHORTEST_FLIGHT = 4  # frames between bounces that show whether gravity acts
EVEN = ("right", "left", "up", "down", "still")
FLYING = ("fall", "thrown right", "thrown left", "thrown up")
BOUNCING = ("bounce", "around")
CHECKED = EVEN + FLYING + BOUNCING  # the motions that one track can show


@dataclass(frozen=True)
class Bounces:
    """The sudden changes of a track's velocity: how many to each side, and the pull (upward) between them.

    `pull` is in world units per second squared, None where no stretch between bounces is long enough.
    """

    across: int
    upward: int
    downward: int
    pull: float | None


def name_track(seen: Observation, track: Track | None) -> str | None:
    """Return the name in `CHECKED` of what a track does, None where it is too short or there is none."""
    motion = motion_of(seen, track)
    if track is None or motion is None:
        return None
    bounces = find_bounces(seen, track)
    falls = bounces.pull is not None and bounces.pull < -GRAVITY / 2
    if bounces.upward and falls:
        return "bounce"
    if bounces.across or ((bounces.upward or bounces.downward) and not falls):
        return "around"
    return name_motion(motion)


def name_motion(motion: Motion) -> str:
    """Return the name of a motion without bounces."""
    vx, vy = motion.x.mean_velocity, motion.y.mean_velocity
    if motion.y.acceleration < -GRAVITY / 2:
        if abs(vx) > SIDEWAYS:
            return "thrown right" if vx > 0 else "thrown left"
        return "thrown up" if motion.y.velocity > RISING else "fall"
    if np.hypot(vx, vy) < AT_REST:
        return "still"
    if min(abs(vx), abs(vy)) > ASLANT:
        return "around"  # on its way from edge to edge
    if abs(vx) >= abs(vy):
        return "right" if vx > 0 else "left"
    return "up" if vy > 0 else "down"


def name_speed(motion: Motion) -> str:
    """Return 'slow' or 'fast' for even motion."""
    return "fast" if np.hypot(motion.x.mean_velocity, motion.y.mean_velocity) > FAST else "slow"


def motion_of(seen: Observation, track: Track | None) -> Motion | None:
    """Return a track's fitted motion, None where there is no track or too few frames show the whole object."""
    return fit_motion(track, seen.steady(track), seen.unit, seen.clip.fps) if track is not None else None


def find_bounces(seen: Observation, track: Track) -> Bounces:
    """Find where a track's velocity changes too fast for gravity, over the longest stretch of whole views."""
    stretch = longest_run(track.frames, np.array([not blob.cut for blob in track.blobs]))
    if len(stretch) < SHORTEST_FLIGHT:
        return Bounces(0, 0, 0, None)
    places = seen.steady(track)[stretch] / seen.unit * (1, -1)
    velocity = np.diff(places, axis=0) * seen.clip.fps  # [n, 2] world units a second
    kicks = [_kicks(velocity[:, axis]) for axis in (0, 1)]
    ups = kicks[1]
    # Gravity shows in the frames between those that a bounce touches.
    touched = np.zeros(len(places), dtype=bool)
    for first, _ in ups:
        touched[first + 1 : first + 3] = True
    pulls, weights = [], []
    for start, end in stretches(~touched):
        n = end - start + 1
        if n >= SHORTEST_FLIGHT:
            pulls.append(2 * np.polyfit(np.arange(n) / seen.clip.fps, places[start : end + 1, 1], 2)[0])
            weights.append(n**5)  # the inverse variance of a second derivative
    pull = float(np.average(pulls, weights=weights)) if pulls else None
    upward = sum(change > 0 for _, change in ups)
    return Bounces(len(kicks[0]), upward, len(ups) - upward, pull)


def _kicks(velocity: np.ndarray) -> list[tuple[int, float]]:
    """Return the steps at which a velocity turns round within two frames by `KICK` or more, and by how much."""
    found: list[tuple[int, float]] = []
    index = 0
    while index < len(velocity) - 1:
        later = min(index + 2, len(velocity) - 1)
        change = float(velocity[later] - velocity[index])
        turns = velocity[index] * velocity[later] < 0 and min(abs(velocity[[index, later]])) > TURNING
        if turns and abs(change) > KICK:
            found.append((index, change))
            index += 2
        index += 1
    return found
