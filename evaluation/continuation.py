"""How far the continuation of a real clip agrees with what the clip really shows.

Four measures, each 0..1 and 1 best, after Physics-IQ (Motamed et al., "Do generative video models understand physical
principles?", arXiv:2501.09038), which asks where, when and how much moves, and how near the pixels are:

    where       J(max over t of a, max over t of b)       there: spatial IoU
    when        J(a, b)                                   there: spatiotemporal IoU
    how_much    J(mean over t of a, mean over t of b)     there: weighted spatial IoU
    appearance  F / (F + E)                               there: MSE

a and b are what changes from frame to frame in the continuation and in the truth, `[T, H, W, 2]`: how much the smoothed
luminance of a pixel rises, and how much it falls, by more than `CHANGE`. J(a, b) = sum min(a, b) / sum max(a, b) is the
weighted Jaccard index, which is the IoU where the values are 0 and 1. E is the mean squared error of the pixels beyond
the noise of a codec, F that of the last given frame held still: 1 is the truth, 1/2 as near to it as a frame that is
held still, 0 far away. Both take colour at half the resolution of brightness, which is what a codec keeps of it (4:2:0)
and an eye sees: in small clips of vivid colours the rest is more than all that moves. `motion` is the mean of the first
three, and

    overall     appearance * (1 + motion) / 2

so that motion counts as far as the pixels are near: noise, which changes everywhere, moves like any camera that pans.

Three differences from Physics-IQ make the measures sound for any footage. Amounts in place of masks: against masks of a
panning camera, noise that changes everywhere has a spatial IoU of nearly 1. Brightening and darkening apart: a clip
that is inverted, or played backwards, does not change as the truth does. And two clips in which nothing moves have no
motion that could agree: there motion is not measured, and only appearance counts.
"""

import cv2
import numpy as np

MEASURES = ("overall", "appearance", "motion", "where", "when", "how_much")
# Fixed on half of a set of real clips (of 40 and of 128 pixels, re-encoded as H.264 with CRF 23): of the luminance's
# changes through the codec, 99% are under 4.9 and 2.6; of the squared errors, nine in ten are under 39 and 24.
CHANGE = 4.0  # of 255: a smaller change of the luminance is noise
NOISE = 6.0  # of 255: the root of a mean squared error that a codec makes
MOVES_FROM = 0.005  # the share of pixels and frames that must change for motion to be measured
SIDE = 64  # pixels of the longer side at which motion is compared
SMOOTHING = 1.0  # pixels: the standard deviation of the blur before changes are taken
# Luminance weights of ITU-R BT.601, for gamma-coded RGB.
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)


def agreement(made: np.ndarray, truth: np.ndarray, last: np.ndarray) -> dict[str, float | None]:
    """Return every measure of `MEASURES`; None for those of motion where the truth does not move.

    Args:
        made: the continuation, `uint8 [T, H, W, 3]`, without the given frames.
        truth: what the clip shows in these frames, of the same shape.
        last: the last given frame, `uint8 [H, W, 3]`.

    Raises:
        ValueError: if the shapes do not fit.
    """
    if made.shape != truth.shape or last.shape != truth.shape[1:]:
        raise ValueError(f"a continuation of shape {made.shape} does not continue {last.shape} as {truth.shape} does.")
    noise = NOISE**2
    still = max(_squared_error(np.broadcast_to(last, truth.shape), truth), noise)
    appearance = still / (still + max(0.0, _squared_error(made, truth) - noise))
    a, b = (_changes(np.concatenate([last[None], frames])) for frames in (made, truth))
    if (b.max(axis=-1) > 0).mean() < MOVES_FROM:
        return dict.fromkeys(MEASURES) | {"overall": appearance, "appearance": appearance}
    where, when = _jaccard(a.max(axis=0), b.max(axis=0)), _jaccard(a, b)
    how_much = _jaccard(a.mean(axis=0), b.mean(axis=0))
    motion = (where + when + how_much) / 3
    return {
        "overall": appearance * (1 + motion) / 2,
        "appearance": appearance,
        "motion": motion,
        "where": where,
        "when": when,
        "how_much": how_much,
    }


def mean_agreement(clips: list[dict[str, float | None]]) -> dict[str, float | None]:
    """Return the mean of every measure over the clips in which it was measured; None where it was in none."""
    means: dict[str, float | None] = {}
    for measure in MEASURES:
        known = [value for clip in clips if (value := clip[measure]) is not None]
        means[measure] = float(np.mean(known)) if known else None
    return means


def _changes(frames: np.ndarray) -> np.ndarray:
    """Return how much pixels of `uint8 [T, H, W, 3]` brighten and darken from frame to frame, `[T - 1, h, w, 2]`."""
    scale = min(1.0, SIDE / max(frames.shape[1:3]))
    size = tuple(max(1, round(side * scale)) for side in frames.shape[2:0:-1])
    smooth = []
    for frame in frames:
        luma = frame.astype(np.float32) @ LUMA
        small = luma if scale == 1 else cv2.resize(luma, size, interpolation=cv2.INTER_AREA)
        smooth.append(cv2.GaussianBlur(small, (0, 0), SMOOTHING))
    step = np.diff(np.stack(smooth), axis=0)
    return np.maximum(np.stack([step, -step], axis=-1) - CHANGE, 0)


def _jaccard(a: np.ndarray, b: np.ndarray) -> float:
    """Return the weighted Jaccard index of amounts, of which `b` are not all 0."""
    return float(np.minimum(a, b).sum(dtype=np.float64) / np.maximum(a, b).sum(dtype=np.float64))


def _squared_error(a: np.ndarray, b: np.ndarray) -> float:
    """Return the mean squared difference of frames `uint8 [T, H, W, 3]`, their colour at half resolution."""
    total = 0.0
    for one, other in zip(a, b, strict=True):
        difference = one.astype(np.float32) - other
        height, width = difference.shape[:2]
        brightness = (difference @ LUMA)[..., None]
        halves = ((width + 1) // 2, (height + 1) // 2)
        colour = cv2.resize(difference - brightness, halves, interpolation=cv2.INTER_AREA)
        colour = cv2.resize(colour, (width, height), interpolation=cv2.INTER_LINEAR)
        total += float(np.square(brightness + colour).mean(dtype=np.float64))
    return total / len(a)
