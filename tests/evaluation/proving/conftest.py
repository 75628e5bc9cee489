"""Footage made up for the tests: a thing that crosses a printed scene before a resting or a turning camera."""

import cv2
import numpy as np
import pytest

from evaluation.proving.edits.sprites import sprites_of
from evaluation.proving.edits.workbench import Bench
from evaluation.proving.real import Piece, panned

T, HEIGHT, WIDTH, FPS = 40, 90, 128, 20.0


def scene(seed: int = 0) -> np.ndarray:
    """Return a still picture with texture at several scales."""
    rng = np.random.default_rng(seed)
    layers = [
        cv2.resize(rng.normal(0, 1, (n, n, 3)), (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC) for n in (4, 12, 40)
    ]
    return np.clip(130 + 18 * sum(layers), 20, 235)


def footage(seed: int = 0, colour: tuple[int, int, int] = (250, 240, 60)) -> np.ndarray:
    """Return frames in which a disc goes from the left to the right and out."""
    rng, frames = np.random.default_rng(seed), []
    for t in range(T):
        frame = scene(seed) + rng.normal(0, 1.0, (HEIGHT, WIDTH, 1))
        cv2.circle(frame, (round(20 + 3 * t), 45), 13, colour, -1, cv2.LINE_AA)
        cv2.circle(frame, (round(23 + 3 * t), 42), 4, (200, 30, 30), -1, cv2.LINE_AA)
        frames.append(np.clip(frame, 0, 255))
    return np.stack(frames).round().astype(np.uint8)


@pytest.fixture(scope="session")
def piece() -> Piece:
    """A thing that crosses a resting scene."""
    return Piece("made up 1", "made-up.mp4", footage(), FPS, frozenset({"rolls", "static_camera"}), 20)


@pytest.fixture(scope="session")
def bench(piece) -> Bench:
    """The piece, with cut-outs and a foreign clip."""
    other = Piece("other 1", "other.mp4", footage(1, (20, 20, 90))[:, ::-1], FPS, piece.physics, 20)
    sprites = [s for p in (piece, other) for s in sprites_of(Bench(p, [], lambda rng: None), np.random.default_rng(0))]
    return Bench(piece, sprites, lambda rng: other)


@pytest.fixture(scope="session")
def turning(bench) -> Bench:
    """The same, filmed by a camera that turns."""
    return Bench(panned(bench.piece, np.random.default_rng(1)), bench.sprites, bench.foreign)
