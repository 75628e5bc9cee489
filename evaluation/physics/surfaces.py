"""Grounds: level edges across the picture of a scene, on which things come to lie."""

from dataclasses import dataclass

import numpy as np

from evaluation.evidence.clip import Evidence

ROWS, STEP = 3, 10.0  # pixels on both sides of a level edge, and levels, beside twice the noise, between them
ACROSS = 0.8  # of the picture's width, that a ground goes through


@dataclass(frozen=True)
class Ground:
    """A level edge of a shot: its row in steady pixels, and the share of the width of the picture that shows it."""

    shot: int
    row: float
    share: float


def grounds(evidence: Evidence) -> list[Ground]:
    """Return the level edges across the picture of every shot, by its middle frame where its scene is not known."""
    found = []
    for number, shot in enumerate(evidence.shots):
        middle = (shot.start + shot.end) // 2
        scene = (evidence.background.rgb if evidence.background.reliable else evidence.rgb)[middle]
        sums = np.cumsum(np.pad(scene, ((1, 0), (0, 0), (0, 0))), axis=0, dtype=np.float64)
        means = (sums[ROWS:] - sums[:-ROWS]) / ROWS  # of rows i to i + ROWS - 1
        steps = np.abs(means[ROWS:] - means[:-ROWS]).max(axis=2)  # [i]: of the edge before row i + ROWS
        shares, edges = (steps > STEP + 2 * evidence.noise).mean(axis=1), np.median(steps, axis=1)
        for i in range(len(shares)):
            if shares[i] >= ACROSS and edges[i] == edges[max(0, i - ROWS) : i + ROWS + 1].max():
                place = np.array([[scene.shape[1] / 2, i + ROWS]])
                row = evidence.camera.steady(np.array([middle]), place)[0, 1]
                found.append(Ground(number, float(row), float(shares[i])))
    return found
