"""Scenes that the tests of the evidence look at: a textured wall, seen by a camera, with things before it."""

import zlib

import cv2
import numpy as np

from kinora.media import read_video


def wall(height: int = 72, width: int = 128, seed: int = 0) -> np.ndarray:
    """Return a textured picture, `uint8 [height, width, 3]`."""
    rng = np.random.default_rng(seed)
    layers = [rng.uniform(0, 255, (height // n + 1, width // n + 1, 3)).astype(np.float32) for n in (4, 12, 40)]
    mixed = np.mean([cv2.resize(layer, (width, height), interpolation=cv2.INTER_CUBIC) for layer in layers], axis=0)
    return np.clip((mixed - 128) * 1.6 + 128, 0, 255).astype(np.uint8)


def seen(picture: np.ndarray, path: list[np.ndarray], size: tuple[int, int] = (128, 72)) -> np.ndarray:
    """Return what cameras see of a picture: each homography carries the picture's pixels to the frame's."""
    return np.stack([cv2.warpPerspective(picture, matrix, size, flags=cv2.INTER_AREA) for matrix in path])


def shifts(places: np.ndarray) -> list[np.ndarray]:
    """Return the homographies by which a picture is seen from corners `[T, 2]` (x, y) on."""
    return [np.array([[1, 0, -x], [0, 1, -y], [0, 0, 1]], dtype=float) for x, y in places]


def grainy(frames: np.ndarray, levels: float = 2.0) -> np.ndarray:
    """Return frames with grain of so many levels of standard deviation."""
    noise = np.random.default_rng(1).normal(0, levels, frames.shape)
    return np.clip(frames + noise, 0, 255).round().astype(np.uint8)


def disc(frames: np.ndarray, centres: np.ndarray, radius: float, colour: tuple[int, int, int]) -> np.ndarray:
    """Return frames with a disc at centres `[T, 2]` (x, y), which may be anywhere; nan is nowhere."""
    drawn = frames.copy()
    for frame, (x, y) in zip(drawn, centres, strict=True):
        if np.isfinite(x):
            centre = (round(float(x) * 16), round(float(y) * 16))
            cv2.circle(frame, centre, round(radius * 16), colour, -1, cv2.LINE_AA, 4)
    return drawn


def real(shared_media, name: str, frames: int) -> np.ndarray:
    """Return the first frames of a real clip that may be developed on, 128 pixels long."""
    assert zlib.crc32(f"{name}.mp4".encode()) % 2 == 0, "the other half of the real clips is for the report"
    clip, _ = read_video(shared_media / "natural" / f"{name}.mp4", frames)
    height = round(clip.shape[1] * 128 / clip.shape[2])
    return np.stack([cv2.resize(frame, (128, height), interpolation=cv2.INTER_AREA) for frame in clip])
