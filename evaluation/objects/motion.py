"""Motion of a track in world units: lengths in shorter sides of the frame, y upward, seconds."""

from dataclasses import dataclass

import numpy as np

from evaluation.objects.tracking import Track

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


def fit_motion(track: Track, places: np.ndarray, unit: float, fps: float) -> Motion | None:
    """Fit a parabola to each coordinate of a track by least squares, None if the track is too short.

    Each coordinate uses the longest stretch in which nothing is cut off in its direction, or the whole track where
    there is no such stretch.

    Args:
        track: the object.
        places: `[n, 2]` where the track's centres are in the first frame's pixels, the camera's motion taken out.
        unit: pixels in a world unit.
        fps: frames per second.
    """
    if len(track.blobs) < FEWEST:
        return None
    across = longest_run(track.frames, np.array([not blob.cut_x for blob in track.blobs]))
    upward = longest_run(track.frames, np.array([not blob.cut_y for blob in track.blobs]))
    right, up = places[:, 0] / unit, -places[:, 1] / unit
    return Motion(_fit(track.frames, right, across, unit, fps), _fit(track.frames, up, upward, unit, fps))


def _fit(frames: np.ndarray, position: np.ndarray, stretch: np.ndarray, unit: float, fps: float) -> Parabola:
    whole = len(stretch) >= FEWEST
    if whole:
        frames, position = frames[stretch], position[stretch]
    seconds = (frames - frames[0]) / fps
    design = np.stack([np.ones_like(seconds), seconds, seconds**2 / 2], axis=1)
    solution, *_ = np.linalg.lstsq(design, position, rcond=None)
    squares = float(((position - design @ solution) ** 2).sum()) / max(1, len(frames) - FEWEST)
    noise = max(CENTROID_NOISE / unit, np.sqrt(squares))
    covariance = np.linalg.inv(design.T @ design) * noise**2
    return Parabola(
        start=int(frames[0]),
        end=int(frames[-1]),
        velocity=float(solution[1]),
        mean_velocity=float((position[-1] - position[0]) / seconds[-1]),
        acceleration=float(solution[2]),
        error=float(np.sqrt(covariance[2, 2])),
        whole=whole,
    )


def longest_run(frames: np.ndarray, good: np.ndarray) -> np.ndarray:
    """Return the indices of the longest run of consecutive `frames [n]` that are all `good`."""
    best = run = np.zeros(0, dtype=int)
    for index in range(len(frames)):
        follows = len(run) and frames[index] == frames[run[-1]] + 1
        run = np.append(run if follows else np.zeros(0, dtype=int), index) if good[index] else np.zeros(0, dtype=int)
        best = run if len(run) > len(best) else best
    return best
