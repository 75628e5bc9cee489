"""VBench (Huang et al., CVPR 2024, arXiv:2311.17982): the dimensions of a clip's course, without trained weights.

The formulas are those of the published code (github.com/Vchitect/VBench). Two networks that it runs are replaced, and
figures made so are named after what replaces them: motion is found by dense inverse search (DIS, arXiv:1603.03590)
where VBench has RAFT, and frames between frames are blended halfway along that motion where VBench has AMT. Published
figures are of VBench's own 946 prompts at hundreds of pixels; figures of other prompts, sizes and stand-ins stand
beside them, not against them. A clip that does not move wins all of these, so none is shown without the dynamic degree.

Clips are `uint8 [T, H, W, 3]`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np

from evaluation.findings import ClipInput

Features = Callable[[np.ndarray], np.ndarray]  # frames to vectors `[T, D]`
SMALLEST = 32  # pixels of a side for the search; smaller frames are padded
RATE = 8.0  # frames a second at which motion is measured


@dataclass(frozen=True)
class Course:
    """What VBench says of one clip, 0 to 1, higher being better; None where it cannot be said."""

    clip: str
    temporal_flickering: float | None  # of clips that stand still, as published
    motion_smoothness: float | None
    dynamic: bool | None
    subject_consistency: float | None = None
    background_consistency: float | None = None


def course(clip: ClipInput, subject: Features | None = None, background: Features | None = None) -> Course:
    """Measure one clip; consistency only where there is something that makes features of frames."""
    frames = clip.frames
    if len(frames) < 2:
        return Course(clip.name, None, None, None)
    return Course(
        clip.name,
        temporal_flickering(frames) if stands_still(frames) else None,
        motion_smoothness(frames) if len(frames) > 2 else None,
        is_dynamic(frames, clip.fps),
        None if subject is None else consistency(subject(frames)),
        None if background is None else consistency(background(frames)),
    )


def temporal_flickering(frames: np.ndarray) -> float:
    """Return (255 - mean absolute difference of neighbouring frames) / 255; of clips that stand still."""
    return 1 - float(np.mean([cv2.absdiff(a, b).mean() for a, b in pairwise(frames)])) / 255


def motion_smoothness(frames: np.ndarray) -> float:
    """Return (255 - mean absolute error) / 255 of every second frame, made anew from those beside it."""
    given, left_out = frames[::2], frames[1::2]
    made = [halfway(a, b) for a, b in pairwise(given)]
    return 1 - float(np.mean([cv2.absdiff(a, b).mean() for a, b in zip(made, left_out, strict=False)])) / 255


def is_dynamic(frames: np.ndarray, fps: float) -> bool:
    """Say whether a clip moves: at 8 frames a second the fastest 5 % of the pixels move more than 6 pixels of a frame
    of 256, in a quarter of the steps."""
    sampled = frames[:: max(1, round(fps / RATE))]
    fast = [speed(a, b, 0.05) > 6 * _scale(frames) for a, b in pairwise(sampled)]
    return sum(fast) >= max(1, round(4 * len(sampled) / 16))


def stands_still(frames: np.ndarray) -> bool:
    """Say whether a clip passes the published filter of static clips: its fastest 2 % of the pixels seldom move more
    than 3 pixels of a frame of 256, and not far from the first frame to the last."""
    limit, most = 3 * _scale(frames), round(2 * len(frames) / 16)
    seldom = sum(speed(a, b, 0.02) > limit for a, b in pairwise(frames)) <= most
    ends = (frames[0], frames[-1]), (frames[-1], frames[0])
    return seldom and all(speed(a, b, 0.02) <= limit * most * 2 for a, b in ends)


def consistency(features: np.ndarray) -> float:
    """Return how alike frames are: the mean, over all but the first, of the cosines with the first and the last before.

    Cosines below 0 count as 0.
    """
    unit = features / np.linalg.norm(features, axis=1, keepdims=True).clip(1e-12)
    before, first = (unit[1:] * unit[:-1]).sum(axis=1), unit[1:] @ unit[0]
    return float(((before.clip(0) + first.clip(0)) / 2).mean())


def speed(a: np.ndarray, b: np.ndarray, share: float) -> float:
    """Return the mean length, in pixels, of the longest `share` of the motion from one frame to another."""
    lengths = np.sort(np.linalg.norm(motion(a, b), axis=2), axis=None)
    return float(lengths[-max(1, int(len(lengths) * share)) :].mean())


def motion(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return where pixels of one frame go in another, `float32 [H, W, 2]`, by dense inverse search."""
    height, width = a.shape[:2]
    down, right = max(0, SMALLEST - height), max(0, SMALLEST - width)
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    search.setFinestScale(1 if min(height, width) >= 64 else 0)
    grey = [
        cv2.copyMakeBorder(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), 0, down, 0, right, cv2.BORDER_REPLICATE)
        for frame in (a, b)
    ]
    start = np.zeros((*grey[0].shape, 2), np.float32)
    return np.asarray(search.calc(grey[0], grey[1], start))[:height, :width]


def halfway(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the frame halfway between two: both, drawn half of the motion nearer to each other, and averaged."""
    height, width = a.shape[:2]
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    half = (motion(a, b) - motion(b, a)) / 4  # half of the mean of the motion there and, turned round, back
    parts = [
        cv2.remap(frame, x + sign * half[..., 0], y + sign * half[..., 1], cv2.INTER_LINEAR, None, cv2.BORDER_REPLICATE)
        for frame, sign in ((a, -1), (b, 1))
    ]
    return cv2.addWeighted(parts[0], 0.5, parts[1], 0.5, 0)


def means(courses: Sequence[Course]) -> dict[str, tuple[float | None, int]]:
    """Return the mean of every dimension and of how many clips it is; of the dynamic degree, the share that moves."""
    return {
        dimension: (float(np.mean(known)) if len(known) else None, len(known))
        for dimension, known in values(courses).items()
    }


def values(courses: Sequence[Course]) -> dict[str, np.ndarray]:
    """Return of every dimension what is known, a value a clip; of the dynamic degree, 1 for a clip that moves."""
    return {
        dimension: np.array([float(value) for one in courses if (value := getattr(one, name)) is not None])
        for dimension, name in DIMENSIONS.items()
    }


DIMENSIONS = {
    "dynamic degree": "dynamic",
    "temporal flickering": "temporal_flickering",
    "motion smoothness": "motion_smoothness",
    "subject consistency": "subject_consistency",
    "background consistency": "background_consistency",
}


def _scale(frames: np.ndarray) -> float:
    height, width = frames.shape[1:3]
    return float(min(height, width)) / 256
