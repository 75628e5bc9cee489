"""Incoherence: pictures that are noise, and frames that do not follow from the frame before. Measured on every clip."""

import itertools

import cv2
import numpy as np

from evaluation.findings import Failure, Finding, measured, stretches
from evaluation.objects.observation import Observation

TYPE = "incoherence"
LONGEST_SIDE = 24  # motion is searched at this size, rounded to whole blocks
FLAT = 14.0  # a frame whose levels vary less than this shows nothing that could be incoherent
NEIGHBOURS = (0.30, 0.70)  # correlation of neighbouring pixels: noise has none, pictures have more than the second
SURPRISE = (0.30, 0.70)  # share of a frame's contrast that motion from the frame before leaves unexplained
SEARCH = 0.25  # a block moves at most this share of the longer side between two frames
BLOCK = 6  # pixels
GRAIN = 5.0  # levels of noise or coding error that surprise nobody


def incoherence(seen: Observation) -> Finding:
    """Find stretches of noise and of frames unrelated to their neighbours."""
    noise = noise_likeness(seen.pixels)
    jumps = surprise(seen.pixels)
    frames = len(noise)
    score_T = np.maximum(noise, jumps)
    failures = []
    for start, end in stretches(score_T >= 0.5):
        if end == start and noise[start] < 0.5:
            continue  # one jump is a cut or an object that comes or goes; a bad frame makes two, in and out
        strength = float(score_T[start : end + 1].mean()) * (0.6 + 0.4 * (end - start + 1) / frames)
        what = (
            "neighbouring pixels are as unrelated as in noise"
            if noise[start : end + 1].mean() >= 0.5
            else "the picture does not follow from the frame before by any motion"
        )
        failures.append(Failure(TYPE, start, end, strength, f"In frames {start} to {end} {what}."))
    found = measured(TYPE, failures, {"noise": float(noise.mean()), "jumps": float(jumps.mean())})
    return Finding(TYPE, max(found.score or 0.0, float(score_T.mean())), found.failures, parts=found.parts)


def noise_likeness(pixels_THWC: np.ndarray) -> np.ndarray:
    """Return how noise-like each frame is `[T]`, 0..1, by the correlation of neighbouring pixels."""
    centred = pixels_THWC - pixels_THWC.mean(axis=(1, 2), keepdims=True)
    energy = (centred**2).sum(axis=(1, 2, 3)) + 1e-6
    across = (centred[:, :, 1:] * centred[:, :, :-1]).sum(axis=(1, 2, 3)) / energy
    down = (centred[:, 1:] * centred[:, :-1]).sum(axis=(1, 2, 3)) / energy
    contrast = np.sqrt(energy / centred[0].size)
    unrelated = _between(-(across + down) / 2, -NEIGHBOURS[1], -NEIGHBOURS[0])
    return np.where(contrast < FLAT, 0.0, unrelated)


def surprise(pixels_THWC: np.ndarray) -> np.ndarray:
    """Return how little each frame follows from the one before by motion of its blocks `[T]`, 0..1; the first is 0.

    Every block of a frame is compared with all places of the frame before within `SEARCH`; what the best place leaves
    is set against the contrast of the two frames, both as root mean squares.
    """
    small = _small(pixels_THWC)
    if len(small) < 2:
        return np.zeros(len(small))
    errors = np.array([_block_error(before, after) for before, after in itertools.pairwise(small)])
    left = np.maximum(errors - GRAIN**2, 0.0)
    variance = small.var(axis=(1, 2)).sum(-1) / 3
    contrast = np.maximum(variance[:-1], variance[1:])
    ratio = np.sqrt(left / np.maximum(contrast, FLAT**2))
    return np.concatenate([[0.0], _between(ratio, *SURPRISE)])


def _block_error(before: np.ndarray, after: np.ndarray) -> float:
    """Return the mean square error of the blocks of frame `after` against their best places in `before`."""
    H, W, _ = after.shape
    reach = round(SEARCH * max(H, W))
    padded = np.pad(before, ((reach, reach), (reach, reach), (0, 0)), mode="edge")
    errors = [
        cv2.matchTemplate(
            padded[y : y + BLOCK + 2 * reach, x : x + BLOCK + 2 * reach],
            after[y : y + BLOCK, x : x + BLOCK],
            cv2.TM_SQDIFF,
        ).min()
        for y in range(0, H, BLOCK)
        for x in range(0, W, BLOCK)
    ]
    return float(np.mean(errors)) / (BLOCK * BLOCK * 3)


def _small(pixels_THWC: np.ndarray) -> np.ndarray:
    height, width = pixels_THWC.shape[1:3]
    scale = LONGEST_SIDE / max(height, width)
    size = tuple(max(BLOCK, BLOCK * round(side * scale / BLOCK)) for side in (width, height))
    return np.stack([cv2.resize(f, size, interpolation=cv2.INTER_AREA) for f in pixels_THWC])


def _between(value: np.ndarray, low: float, high: float) -> np.ndarray:
    return np.clip((value - low) / (high - low), 0.0, 1.0)
