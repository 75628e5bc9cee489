"""Grounds: level edges across the picture of a scene, on which things come to lie."""

from dataclasses import dataclass

import numpy as np

from evaluation.evidence.clip import Evidence

ROWS, STEP = 3, 10.0  # pixels on both sides of a level edge, and levels, beside twice the noise, between them
ACROSS = 0.8  # of the picture's width, that a ground goes through


@dataclass(frozen=True)
class Ground:
    """A level edge of a shot's scene: its row, and the share of the picture's width that shows it."""

    shot: int
    row: int
    share: float


def grounds(evidence: Evidence) -> list[Ground]:
    """Return the level edges across the picture of every shot with a known scene and a resting camera."""
    if not evidence.background.reliable or evidence.camera.moves:
        return []
    found = []
    for number, shot in enumerate(evidence.shots):
        scene = evidence.background.rgb[(shot.start + shot.end) // 2]
        sums = np.cumsum(np.pad(scene, ((1, 0), (0, 0), (0, 0))), axis=0, dtype=np.float64)
        means = (sums[ROWS:] - sums[:-ROWS]) / ROWS  # of rows i to i + ROWS - 1
        steps = np.abs(means[ROWS:] - means[:-ROWS]).max(axis=2) > STEP + 2 * evidence.noise
        shares = steps.mean(axis=1)  # [i]: of the edge before row i + ROWS
        for i in range(len(shares)):
            if shares[i] >= ACROSS and shares[i] == shares[max(0, i - ROWS) : i + ROWS + 1].max():
                found.append(Ground(number, i + ROWS, float(shares[i])))
    return found
