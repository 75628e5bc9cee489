"""What is measured of frames `uint8 [T, H, W, 3]`. A step is the mean absolute difference of neighbouring frames."""

import numpy as np

PEAK = 255.0
SAME = 99.0  # dB, of frames that are exactly alike
LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601


def steps(frames: np.ndarray) -> np.ndarray:
    """Return the steps `[T - 1]` in levels."""
    return np.abs(np.diff(frames.astype(np.int16), axis=0)).mean(axis=(1, 2, 3))


def step_between(one: np.ndarray, other: np.ndarray) -> float:
    """Return the step in levels from one frame `[H, W, 3]` to another."""
    return float(np.abs(one.astype(np.int16) - other.astype(np.int16)).mean())


def psnr(frames: np.ndarray, truth: np.ndarray, known: np.ndarray | None = None) -> float:
    """Return the peak signal to noise ratio in dB, over the `known` pixels `bool [H, W]` where they are given."""
    squares = (frames.astype(float) - truth.astype(float)) ** 2
    error = float((squares if known is None else squares[:, known]).mean())
    return min(SAME, 10 * np.log10(PEAK**2 / error)) if error else SAME


def looks(frames: np.ndarray) -> dict[str, float]:
    """Return what may drift as a clip is extended: colour (red and blue beside the luma), brightness and sharpness.

    Brightness is the mean luma, colour the mean differences red - luma and blue - luma, sharpness the mean gradient of
    the luma a pixel; all in levels.
    """
    luma = frames @ LUMA
    down, across = np.gradient(luma, axis=(1, 2))
    return {
        "red": float((frames[..., 0] - luma).mean()),
        "blue": float((frames[..., 2] - luma).mean()),
        "brightness": float(luma.mean()),
        "sharpness": float(np.hypot(down, across).mean()),
    }
