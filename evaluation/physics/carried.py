"""What may carry a thing that does not fall: an edge of the scene below it, or another thing that is near."""

import numpy as np

from evaluation.evidence.clip import Evidence
from evaluation.physics.contacts import REACH, between, plainness
from evaluation.physics.laws import Law
from evaluation.physics.mending import followed
from evaluation.physics.paths import Path, Piece

LIES = 0.2  # times the strength, of what lies as low as it ever was
PART = 0.6  # of a thing's area: less does not carry it
CARRIED, TOUCHED = 0.8, 0.5  # how much less is known of what another thing moves along with, and is near to


def straight(piece: Piece, pull: float) -> bool:
    """Say whether its path is straight: its acceleration across it is a small part of a pull."""
    velocity, pulled = piece.velocity(piece.middle), piece.acceleration
    along = velocity / max(float(np.hypot(*velocity)), 0.1 * pull * piece.seconds, 1e-9)
    return float(np.hypot(*(pulled - (pulled @ along) * along))) < 0.3 * pull


def carried(evidence: Evidence, path: Path, piece: Piece, law: Law) -> float:
    """Return how little there is that may carry it, 0..1: what rests, slides or rolls does so straight, on an edge."""
    down = law.pull / law.size
    pulled = float(piece.acceleration @ down) / law.size
    if not -0.3 < pulled < 1.3 or not straight(piece, law.size):
        return 1.0
    if lies(path, piece, law):
        return LIES
    frames = path.frames[[piece.first, (piece.first + piece.last) // 2, piece.last]]
    edge = float(np.median([plainness(evidence, path, int(frame), down) for frame in frames]))
    return float(np.clip((1 - edge) / 0.4, 0.1, 1.0))


def lies(path: Path, piece: Piece, law: Law) -> bool:
    """Say whether it stays as low as it ever was."""
    index, down = path.index[piece.first], law.pull / law.size
    heights = path.track.steady @ -down
    level = abs(float(piece.velocity(piece.middle) @ down)) * piece.seconds < 0.5 * path.radius
    low = float(np.percentile(heights[index : path.index[piece.last] + 1], 10))
    return bool(level and index and low < float(heights[:index].min()) + REACH[0] + REACH[1] * path.radius)


def alone(evidence: Evidence, path: Path, piece: Piece, law: Law) -> float:
    """Return how far nothing else can be what accelerates it, 0..1: another thing is seldom within reach.

    What moves along may carry it, but for what falls itself.
    """
    own, reach = path.track, REACH[0] + REACH[1] * path.radius
    frames = path.frames[piece.first : piece.last + 1]
    near, along = np.zeros(len(frames), bool), np.zeros(len(frames), bool)
    falling = {id(whose.track) for whose, _ in law.flights}
    for track in (one.track for one in followed(evidence)):
        both = (frames >= track.start) & (frames <= track.end)
        if track is own or track.area < PART * own.area or not both.any():
            continue
        mine, its = (t.steady[frames[both] - t.start] for t in (own, track))
        apart, way = (its - mine)[-1] - (its - mine)[0], mine[-1] - mine[0]
        carries = id(track) not in falling and both.sum() > 1 and np.hypot(*apart) < 1 + 0.5 * np.hypot(*way)
        for k in np.flatnonzero(both):
            i, j = frames[k] - own.start, frames[k] - track.start
            if between(own.masks[i], own.boxes[i], track.masks[j], track.boxes[j]) < reach:
                near[k] = True
                along[k] |= carries
    return float(1 - max(CARRIED * along.mean(), TOUCHED * near.mean()))
