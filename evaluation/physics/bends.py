"""Falls that bend (`kinks.py`) with nothing near that may do it: no other thing, and no edge where they turn back."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evaluation.evidence.clip import Evidence
from evaluation.evidence.tracks import Track
from evaluation.physics.contacts import REACH, between, plainness
from evaluation.physics.kinks import Kink, kink_of
from evaluation.physics.laws import Flight, law_of
from evaluation.physics.mending import followed
from evaluation.physics.paths import SMALLEST, Path

SIGHTS, MOVES = 7, 0.5  # sights and radii that a thing is seen in, and moves through, at least
LITTLE = 30.0  # pixels, of which half as much is known as of a large thing
SELF_MOVED = 0.6  # times the strength, of what changes its shape
PART, BESIDE = 0.2, 2  # of a thing's area: less does not push it; sights from the moment in which it would be near
TOUCHED = 0.5  # times the strength, of what another thing is near to
EDGE = 0.4, 0.5  # share of plainer edges of the scene from which none is there, and times the strength on the plainest


@dataclass(frozen=True, eq=False)
class Bend:
    """A fall of a thing that bends, and how surely it does so by itself."""

    track: Track
    kink: Kink
    strength: float

    @property
    def frame(self) -> int:
        """The first frame that shows it."""
        return int(self.track.frames[self.kink.sight]) + 1


def bends(evidence: Evidence, paths: Sequence[Path], flights: Sequence[Flight]) -> list[Bend]:
    """Return the surest bend of each thing that has one; `flights` are those that may tell the law."""
    own, fps, found = {id(path.track): path for path in paths}, evidence.clip.fps, []
    for track in (one.track for one in followed(evidence)):
        radius = float(np.sqrt(track.area / np.pi))
        moves = float(np.ptp(track.steady, axis=0).max()) > MOVES * radius
        if len(track.frames) < SIGHTS or track.area < SMALLEST or not moves:
            continue
        path, steps = own.get(id(track)), np.full((len(track.frames) - 1, 2), np.nan)
        if path is not None:
            steps[path.index] = path.velocities / fps
        kink = kink_of(track, steps, fps, law_of([flight for flight in flights if flight[0].track is not track]))
        if kink is not None:
            strength = kink.strength * track.area / (track.area + LITTLE) * (1.0 if track.rigid else SELF_MOVED)
            strength *= _alone(evidence, track, kink) * _in_the_open(evidence, path, kink)
            found.append(Bend(track, kink, strength))
    return found


def _alone(evidence: Evidence, track: Track, kink: Kink) -> float:
    """Return how far no other thing is near when a fall bends, up to 1."""
    nearest, reach = np.inf, REACH[0] + REACH[1] * float(np.sqrt(track.area / np.pi))
    for other in (one.track for one in followed(evidence)):
        if other is track or other.area < PART * track.area:
            continue
        for i in range(max(0, kink.sight - BESIDE), min(len(track.frames), kink.sight + BESIDE + 1)):
            j = int(track.frames[i]) - other.start
            if 0 <= j < len(other.frames):
                nearest = min(nearest, between(track.masks[i], track.boxes[i], other.masks[j], other.boxes[j]))
    return float(np.clip(TOUCHED * nearest / reach, TOUCHED, 1))


def _in_the_open(evidence: Evidence, path: Path | None, kink: Kink) -> float:
    """Return how far there is no edge of the scene where what falls turns back, up to 1."""
    down = kink.before / np.hypot(*kink.before)
    if path is None or (kink.after - kink.before) @ down > 0:
        return 1.0
    heights = path.track.steady[kink.sight : kink.sight + kink.steps[1] + 1] @ -down
    lowest = int(heights.argmin())
    if lowest == len(heights) - 1:
        return 1.0
    edge = plainness(evidence, path, int(path.track.frames[kink.sight + lowest]), down)
    return float(np.clip((1 - edge) / EDGE[0], EDGE[1], 1))
