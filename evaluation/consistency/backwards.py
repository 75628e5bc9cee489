"""Time that turns round: from a frame on, a clip shows what it has shown, the last first.

What rises and falls does so on the same way, but slowest where it turns; what bounces loses speed. A clip that turns
round does it at full speed, and equals itself to the grain. Of a path s(t) = v t + a t² / 2 from the turn on, the speed
is v = (4 s(1) - s(2)) / 2: nothing of it is left where something swings back, however far it goes then.
"""

from dataclasses import replace

import numpy as np

from evaluation.findings import Candidate

SHORTEST, LONGEST = 4, 12  # pairs of frames, one as long before the turn as the other after it, that must be equal
QUIET = 0.7  # levels: less motion than this tells no frame from another
AS_SURE = 0.7  # of the surest turn: the first one that is
SURE = 1.2  # the logarithm of motion over difference that few faultless clips reach


def turned_round(small: np.ndarray) -> Candidate | None:
    """Return where a clip most surely runs backward, None where it nowhere does.

    Args:
        small: levels of the cells that change most, `[T, n]`, as `evaluation.consistency.freeze.liveliest` gives them.
    """
    total = len(small)
    one, two = apart(small[1:], small[:-1]), apart(small[2:], small[:-2])
    turns: list[tuple[float, Candidate]] = []
    for both in range(2 * SHORTEST - 1, 2 * (total - SHORTEST)):  # the sum of the frames of a pair
        first = both // 2 + 1
        later = np.arange(first, min(total, both + 1))[:LONGEST]
        unequal = np.maximum.accumulate(apart(small[later], small[both - later]))
        last, next_ = both // 2, (both + 1) // 2  # the frame, or the two equal ones, in which it turns
        moved = max(0.0, min(4 * one[last - 1] - two[last - 2], 4 * one[next_] - two[next_], two[last - 2], two[next_]))
        gain = np.log((moved + QUIET) / (unequal + QUIET)) * np.sqrt(np.arange(1, len(later) + 1) / LONGEST)
        most = SHORTEST - 1 + int(np.argmax(gain[SHORTEST - 1 :]))
        if gain[most] > 0:
            text = (
                f"From frame {first} on time runs backward: for {most + 1} frames at least, the picture is as it was "
                f"as long before, within {unequal[most]:.1f} levels; what moves changes it by {moved:.1f}."
            )
            turns.append((float(gain[most]), Candidate(first, int(later[most]), float(gain[most]) / SURE, text)))
    best = max((gain for gain, _ in turns), default=0.0)
    # Where time turns round and round again, the second turn looks like the first.
    return next((replace(turn, strength=best / SURE) for gain, turn in turns if gain >= AS_SURE * best), None)


def apart(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return by how many levels, root mean square, frames `[T, n]` differ from others."""
    return np.asarray(np.sqrt(np.mean((a - b) ** 2, axis=1)), dtype=float)
