"""Still things that shift as the view does: their way over the scene follows the camera's, and not as parallax would.

Over the scene, the image of a still thing that is nearer or farther moves along the camera's way, in proportion to it
(Longuet-Higgins and Prazdny 1980: translation over depth). So only what it moves across that way counts. Of that, two
stories are told: that it rests until some frame and is then moved by as much as the camera has gone since, and that it
moves on its own, evenly or ever faster or slower. Distances are in % of the picture's longer side.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from evaluation.evidence.camera import carry
from evaluation.evidence.clip import Evidence
from evaluation.evidence.tracks import Track

FEWEST, SUREST = 8, 0.8  # frames in which the edge does not cut a thing, and least quality of its track
GOES = 2.0  # the camera's least way
NOISE = 0.15  # of a centre
RESTS, LATEST = 2, 2 / 3  # frames before a shift at least; share of the track in which it begins
TOUCHES, PUSHED = 1.0, 0.3  # gap to another thing, which may push; what is left of the odds
BESIDE_REST, BESIDE_OWN, LEAST = 1.0, 1.5, 1.0  # log ratios of errors, that are usual; a shift that is none


@dataclass(frozen=True, eq=False)
class Shift:
    """How a thing shifts with the view from the frame `start` on: how `far`, and how `clearly`; 1 or more is rare."""

    track: Track
    start: int
    clearly: float
    far: float


def find_shifts(evidence: Evidence) -> Iterator[Shift]:
    """Yield how things that are followed well shift with the view, one a thing that the camera passes."""
    height, width = evidence.luma.shape[1:]
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], float)
    for track in evidence.tracks:
        free = np.flatnonzero(~track.at_border)  # the middle of what the frame cuts is not where it seems to be
        if len(free) < FEWEST or track.quality < SUREST:
            continue
        to_first, unit = evidence.camera.to_first[track.frames[free]], 100 / max(height, width)
        gone = np.stack([carry(to_first, np.tile(corner, (len(to_first), 1))) for corner in corners], axis=1) * unit
        place = carry(to_first, np.tile(np.median(track.centres[free], axis=0), (len(to_first), 1))) * unit
        if np.ptp(gone, axis=0).max() < GOES:
            continue
        frames = track.frames[free]
        begins, clearly, far = _shift(frames, track.steady[free] * unit, place, gone.reshape(len(gone), -1) / 2)
        start = int(frames[begins])
        pushed = any(_gap(track, other, start) < TOUCHES / unit for other in evidence.tracks if other is not track)
        yield Shift(track, start, clearly * (PUSHED if pushed else 1.0), far)


def _shift(frames: np.ndarray, steady: np.ndarray, place: np.ndarray, gone: np.ndarray) -> tuple[int, float, float]:
    """Return after how many frames a thing most likely begins to shift, how clearly, and how far.

    Args:
        frames: in which it is seen, `[n]`.
        steady: where it is over the scene, `[n, 2]`.
        place: where the camera looks, at the thing's place, `[n, 2]`.
        gone: the same of the picture's corners, `[n, 8]`, halved.
    """
    way = place - place.mean(axis=0)
    along = way if np.abs(way).max() > GOES / 2 else (steady - steady.mean(axis=0))[:, ::-1] * [1, -1]
    u = np.linalg.svd(along, full_matrices=False)[2][0]
    across, parallax = steady @ [-u[1], u[0]], place @ [-u[1], u[0]]
    n = len(across)
    time = 2 * (frames - frames.mean()) / np.ptp(frames)
    rests = [np.ones(n), parallax]
    at_rest = _error(rests, across)[0]
    on_its_own = _error([*rests, time, time**2], across)[0]
    found = []
    for begins in range(RESTS, max(RESTS + 1, int(LATEST * n))):
        view = np.linalg.norm(gone - gone[begins], axis=1) * (np.arange(n) > begins)
        error, weights = _error([*rests, view], across)
        found.append((error, begins, float(abs(weights[-1]) * view.max())))
    error, begins, far = min(found)
    clearly = min(
        np.log(at_rest / error) - BESIDE_REST,
        np.log(on_its_own / error) + BESIDE_OWN,
        3 * np.log(max(far, LEAST) / LEAST),
    )
    return begins, float(clearly), far


def _error(columns: list[np.ndarray], values: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the mean square that a fit leaves, with that of the noise, and its weights."""
    basis = np.stack(columns, axis=1)
    weights = np.linalg.lstsq(basis, values, rcond=None)[0]
    return float(np.mean((values - basis @ weights) ** 2) + NOISE**2), weights


def _gap(track: Track, other: Track, frame: int) -> float:
    """Return how many pixels part the boxes of two things in a frame; infinite where one is not there."""
    if not (track.start <= frame <= track.end and other.start <= frame <= other.end):
        return float("inf")
    a, b = track.boxes[frame - track.start], other.boxes[frame - other.start]
    return float(max(a[0] - b[2], b[0] - a[2], a[1] - b[3], b[1] - a[3]))
