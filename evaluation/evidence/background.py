"""The scene without what moves in it: for every shot one picture, in which the most usual colour of a place is kept.

Frames are brought to the first of their shot by the camera's motion, and the median over some of them is taken there.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from evaluation.evidence.camera import Camera, carry
from evaluation.evidence.shots import Shot

SAMPLES = 40  # frames of a shot, at most, that the median is taken of
FEWEST = 5  # frames of a shot that have a background
LARGEST = 3.0  # sides of the frame that the picture of a scene is long and high, at most
BEYOND = 5.0  # times the noise, and levels, by which what is no background differs from it
LEVELS = 8.0
MOST_FOREGROUND = 0.5  # of the frame


@dataclass(frozen=True, eq=False)
class Background:
    """The scene as seen from every frame.

    `rgb` float32 [T, h, w, 3]; `known` bool [T, h, w]; `foreground` bool [T, h, w]: what is known not to be the
    background. `reliable`: it means something; `reason` says why where it does not.
    """

    rgb: np.ndarray
    known: np.ndarray
    foreground: np.ndarray
    reliable: bool
    reason: str = ""


def find_background(rgb_THWC: np.ndarray, camera: Camera, shots: Sequence[Shot], noise: float) -> Background:
    """Return the background of `uint8 [T, H, W, 3]`, whose noise is in levels."""
    T, H, W, _ = rgb_THWC.shape
    rgb, known, foreground = rgb_THWC.astype(np.float32), np.zeros((T, H, W), bool), np.zeros((T, H, W), bool)
    reason = ""
    for shot in shots:
        frames = np.arange(shot.start, shot.end + 1)
        if len(frames) < FEWEST:
            reason = reason or "a shot is too short to tell what stands still in it"
            continue
        if camera.moves and not camera.reliable[shot.start : shot.end].all():
            reason = reason or "the camera's motion is not known all the time"
            continue
        _fill(rgb_THWC, camera, frames, rgb, known)
    for t in range(T):
        foreground[t] = known[t] & _differs(rgb_THWC[t], rgb[t], noise)
    if not reason and foreground.mean() > MOST_FOREGROUND:
        reason = "too much of the picture moves"
    return Background(rgb, known, foreground, not reason, reason)


def _fill(rgb_THWC: np.ndarray, camera: Camera, frames: np.ndarray, rgb: np.ndarray, known: np.ndarray) -> None:
    """Write the background of one shot, and where it is known, as seen from its frames."""
    H, W = rgb_THWC.shape[1:3]
    corners = np.array([[0, 0], [W - 1, 0], [0, H - 1], [W - 1, H - 1]], dtype=float)
    seen = np.concatenate([carry(camera.to_first[t], corners) for t in frames])
    low = np.maximum(np.floor(seen.min(axis=0)), -np.array([W, H]) * (LARGEST - 1) / 2)
    high = np.minimum(np.ceil(seen.max(axis=0)), np.array([W, H]) * (LARGEST + 1) / 2)
    size = tuple(int(n) for n in high - low + 1)
    shift = np.array([[1, 0, -low[0]], [0, 1, -low[1]], [0, 0, 1]])
    chosen = frames[np.unique(np.linspace(0, len(frames) - 1, SAMPLES).round().astype(int))]
    whole = np.full((H, W), 255, np.uint8)
    pictures = np.stack([cv2.warpPerspective(rgb_THWC[t], shift @ camera.to_first[t], size) for t in chosen])
    inside = np.stack([cv2.warpPerspective(whole, shift @ camera.to_first[t], size) for t in chosen]) == 255
    scene = masked_median(pictures, inside)
    often = (inside.sum(axis=0) >= FEWEST).astype(np.float32)
    for t in frames:
        matrix = shift @ camera.to_first[t]
        how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        known[t] = cv2.warpPerspective(often, matrix, (W, H), flags=how) > 0.99
        rgb[t][known[t]] = cv2.warpPerspective(scene, matrix, (W, H), flags=how)[known[t]]


def masked_median(pictures: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Return the median over n of `[n, H, W, 3]` where `inside` `[n, H, W]`, float32; 0 where nothing is inside."""
    ordered = np.sort(np.where(inside[..., None], pictures.astype(np.int16), 256), axis=0)
    count = inside.sum(axis=0)
    pick = [np.maximum(0, count - 1) // 2, np.minimum(len(pictures) - 1, count // 2)]
    both = [np.take_along_axis(ordered, p[None, ..., None], axis=0)[0] for p in pick]
    return np.where(count[..., None] > 0, (both[0] + both[1]) / 2, 0).astype(np.float32)


def _differs(frame: np.ndarray, scene: np.ndarray, noise: float) -> np.ndarray:
    """Return where a frame lies beyond what the scene shows around each pixel, `bool [H, W]`."""
    kernel = np.ones((3, 3), np.uint8)
    seen = frame.astype(np.float32)
    beyond = cv2.max(cv2.subtract(seen, cv2.dilate(scene, kernel)), cv2.subtract(cv2.erode(scene, kernel), seen))
    mask = (beyond.max(axis=-1) > LEVELS + BEYOND * noise).astype(np.uint8)
    return np.asarray(cv2.morphologyEx(mask, cv2.MORPH_OPEN, kernel), bool)
