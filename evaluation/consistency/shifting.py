"""Still things that shift as the view does: their way over the scene follows the camera's, and not as parallax would.

Over the scene, the image of a still thing that is nearer or farther moves along the camera's way, in proportion to it
(Longuet-Higgins and Prazdny 1980: translation over depth). So only what it moves across that way counts. Of that, two
stories are told: that it rests until some frame and is then moved by as much as the camera has gone since, and that it
moves on its own, evenly or ever faster or slower. Distances are in % of the picture's longer side.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from evaluation.consistency.cells import Followed
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


def find_shifts(evidence: Evidence, seen: Followed) -> Iterator[Shift]:
    """Yield how things that are followed well shift with the view, one a thing that the camera passes.

    Where it is `seen` how near they are, they are not to move along the camera's way either, but as that lets expect.
    """
    height, width = evidence.luma.shape[1:]
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], float)
    unit = 100 / max(height, width)
    for track in evidence.tracks:
        free = np.flatnonzero(~track.at_border)  # the middle of what the frame cuts is not where it seems to be
        if len(free) < FEWEST or track.quality < SUREST:
            continue
        frames, to_first = track.frames[free], evidence.camera.to_first[track.frames[free]]
        gone = np.stack([carry(to_first, np.tile(corner, (len(to_first), 1))) for corner in corners], axis=1) * unit
        if np.ptp(gone, axis=0).max() < GOES:
            continue
        place = carry(to_first, np.tile(np.median(track.centres[free], axis=0), (len(to_first), 1))) * unit
        way = place - place.mean(axis=0)
        steady = track.steady[free] * unit
        along = way if np.abs(way).max() > GOES / 2 else (steady - steady.mean(axis=0))[:, ::-1] * [1, -1]
        x, y = np.linalg.svd(along, full_matrices=False)[2][0]
        gone = gone.reshape(len(gone), -1) / 2
        shift = _shift(frames, steady @ [-y, x], [place @ [-y, x]], gone)
        near = _nearness(track, seen)
        if near is not None:
            centres = track.centres[free]
            moved = centres * unit - seen.carried(frames, (centres - [width / 2, height / 2]) * unit / 100, near[free])
            shift = max(shift, _shift(frames, moved @ [x, y], [], gone), key=lambda one: one[1])
        start = int(frames[shift[0]])
        pushed = any(_gap(track, other, start) < TOUCHES / unit for other in evidence.tracks if other is not track)
        yield Shift(track, start, shift[1] * (PUSHED if pushed else 1.0), shift[2])


def _shift(
    frames: np.ndarray, moved: np.ndarray, parallax: list[np.ndarray], gone: np.ndarray
) -> tuple[int, float, float]:
    """Return after how many frames a thing most likely begins to shift, how clearly, and how far.

    Args:
        frames: in which it is seen, `[n]`.
        moved: how far it moves over the scene one way, `[n]`.
        parallax: what it may move in proportion to, `[n]` each.
        gone: where the camera looks, `[n, k]`.
    """
    n = len(moved)
    time = 2 * (frames - frames.mean()) / np.ptp(frames)
    rests = [np.ones(n), *parallax]
    at_rest = _error(rests, moved)[0]
    on_its_own = _error([*rests, time, time**2], moved)[0]
    found = []
    for begins in range(RESTS, max(RESTS + 1, int(LATEST * n))):
        view = np.linalg.norm(gone - gone[begins], axis=1) * (np.arange(n) > begins)
        error, weights = _error([*rests, view], moved)
        found.append((error, begins, float(abs(weights[-1]) * view.max())))
    error, begins, far = min(found)
    clearly = min(
        np.log(at_rest / error) - BESIDE_REST,
        np.log(on_its_own / error) + BESIDE_OWN,
        3 * np.log(max(far, LEAST) / LEAST),
    )
    return begins, float(clearly), far


def _nearness(track: Track, seen: Followed) -> np.ndarray | None:
    """Return how near a thing is in each of its frames, `[n]`; None where it is not told, or not while it is there."""
    moments, told = [], []
    for frame, near in zip(seen.frames.tolist(), seen.near, strict=True):
        if near is not None and track.start <= frame <= track.end:
            x0, y0, x1, y1 = track.boxes[frame - track.start]
            moments.append(frame)
            told.append(np.median(near[y0:y1, x0:x1][track.masks[frame - track.start]]))
    return np.interp(track.frames, moments, told) if told else None


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
