"""How a camera moves over a scene."""

import numpy as np


def path_of_camera(rng: np.random.Generator, frames: int, fps: float, *, moves: bool) -> np.ndarray:
    """How the camera moves: float `[T, 4]`. It stands still in half of the scenes that do not ask it to move."""
    path = np.zeros((frames, 4))
    path[:, 2] = 1
    time = np.arange(frames) / fps
    style = rng.choice(["pan", "zoom", "hand", "swing"]) if moves or rng.random() < 0.5 else "still"
    if style == "pan":
        path[:, :2] = np.outer(
            time - time.mean(), rng.uniform(0.04, 0.12) * np.array([rng.choice([-1, 1]), rng.uniform(-0.3, 0.3)])
        )
    elif style == "zoom":
        path[:, 2] = np.exp(rng.choice([-1, 1]) * rng.uniform(0.03, 0.1) * (time - time.mean()))
    elif style == "swing":
        path[:, 0] = rng.uniform(0.06, 0.15) * np.sin(time * rng.uniform(0.8, 1.8) + rng.uniform(0, 6))
    if style in ("hand", "pan") and (style == "hand" or rng.random() < 0.4):
        for axis, strength in ((0, 0.012), (1, 0.012), (3, 0.012)):
            for rate in rng.uniform(0.4, 3.5, 4):
                path[:, axis] += (
                    strength * rng.uniform(0.1, 0.7) / rate**0.5 * np.sin(2 * np.pi * rate * time + rng.uniform(0, 6))
                )
    return path
