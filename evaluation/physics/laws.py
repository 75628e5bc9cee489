"""The law of a scene: the acceleration that most of what flies in it shares, for the longest time."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evaluation.physics.paths import Path, Piece

SHARED = 0.2  # of gravity, by which two flights that share it may differ, beside their errors
CLEAR = 0.1  # of an acceleration: the error of what tells the law

Flight = tuple[Path, Piece]


@dataclass(frozen=True, eq=False)
class Law:
    """The acceleration `[2]` in pixels / s² that flights share, its standard error, and those flights."""

    pull: np.ndarray
    error: float
    flights: tuple[Flight, ...]

    @property
    def size(self) -> float:
        """Its size."""
        return float(np.hypot(*self.pull))

    def holds(self, piece: Piece) -> bool:
        """Say whether a piece keeps to it, within the errors and a part of it."""
        return float(np.hypot(*(piece.acceleration - self.pull))) < self.margin(piece) + SHARED * self.size

    def margin(self, piece: Piece) -> float:
        """Return how far a piece may be off by its error and the law's."""
        return 2.5 * float(np.hypot(piece.acceleration_error, self.error))


def law_of(flights: Sequence[Flight]) -> Law | None:
    """Return the law that most flights keep to, None if there is none."""
    best, most = None, 0.0
    vague = [piece.acceleration_error / np.hypot(*piece.acceleration) for _, piece in flights]
    clear = [flight for flight, off in zip(flights, vague, strict=True) if off <= max(CLEAR, min(vague))]
    for _, own in clear:
        law = Law(own.acceleration, own.acceleration_error, ())
        alike = tuple(flight for flight in flights if law.holds(flight[1]))
        weight = sum(_weight(path, piece) for path, piece in alike)
        if weight > most:
            weights = np.array([piece.acceleration_error**-2 for _, piece in alike])
            pull = weights @ [piece.acceleration for _, piece in alike] / weights.sum()
            best, most = Law(pull, float(weights.sum() ** -0.5), alike), weight
    return best


def _weight(path: Path, piece: Piece) -> float:
    return float(piece.seconds * path.track.quality * path.credit)
