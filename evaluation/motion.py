"""Motion of a track in world units: lengths in shorter sides of the frame, y upward, seconds."""

from dataclasses import dataclass

import numpy as np

from evaluation.segmentation import Blob
from evaluation.tracking import Track

CENTROID_NOISE = 0.12  # pixels: no centroid is known better than this
FEWEST = 3  # frames that determine a parabola


@dataclass(frozen=True)
class Parabola:
    """One coordinate over frames `start..end` (inclusive): position + velocity s + acceleration s^2 / 2.

    s counts seconds since the stretch began. `whole` says whether the frame's edge cut nothing off in this direction,
    which would move the centroid; `error` is the standard error of the acceleration.
    """

    start: int
    end: int
    velocity: float  # at the start of the stretch
    mean_velocity: float
    acceleration: float
    error: float
    whole: bool


@dataclass(frozen=True)
class Motion:
    """How an object moves across and upward."""

    x: Parabola
    y: Parabola


def fit_motion(track: Track, unit: float, fps: float) -> Motion | None:
    """Fit a parabola to each coordinate of a track by least squares, None if the track is too short.

    Each coordinate uses the longest stretch in which nothing is cut off in its direction, or the whole track where
    there is no such stretch.

    Args:
        track: the object.
        unit: pixels in a world unit.
        fps: frames per second.
    """
    if len(track.blobs) < FEWEST:
        return None
    across = _longest([blob for blob in track.blobs if not blob.cut_x])
    upward = _longest([blob for blob in track.blobs if not blob.cut_y])
    return Motion(
        _fit(across, [blob.x / unit for blob in across], unit, fps, whole=True)
        if len(across) >= FEWEST
        else _fit(track.blobs, [blob.x / unit for blob in track.blobs], unit, fps, whole=False),
        _fit(upward, [-blob.y / unit for blob in upward], unit, fps, whole=True)
        if len(upward) >= FEWEST
        else _fit(track.blobs, [-blob.y / unit for blob in track.blobs], unit, fps, whole=False),
    )


def _fit(blobs: list[Blob], positions: list[float], unit: float, fps: float, *, whole: bool) -> Parabola:
    seconds = np.array([blob.frame - blobs[0].frame for blob in blobs]) / fps
    position = np.array(positions)
    design = np.stack([np.ones_like(seconds), seconds, seconds**2 / 2], axis=1)
    solution, *_ = np.linalg.lstsq(design, position, rcond=None)
    squares = float(((position - design @ solution) ** 2).sum()) / max(1, len(blobs) - FEWEST)
    noise = max(CENTROID_NOISE / unit, np.sqrt(squares))
    covariance = np.linalg.inv(design.T @ design) * noise**2
    return Parabola(
        start=blobs[0].frame,
        end=blobs[-1].frame,
        velocity=float(solution[1]),
        mean_velocity=float((position[-1] - position[0]) / seconds[-1]),
        acceleration=float(solution[2]),
        error=float(np.sqrt(covariance[2, 2])),
        whole=whole,
    )


def _longest(blobs: list[Blob]) -> list[Blob]:
    """Return the longest run of blobs in consecutive frames."""
    runs: list[list[Blob]] = [[]]
    for blob in blobs:
        if runs[-1] and blob.frame != runs[-1][-1].frame + 1:
            runs.append([])
        runs[-1].append(blob)
    return max(runs, key=len)
