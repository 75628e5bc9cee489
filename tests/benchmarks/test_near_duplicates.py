"""Of clips that are called copies of another moment the pixels say whether that is right."""

import numpy as np
import pytest

from benchmarks.near_duplicates import interchangeable
from kinora.media import write_video

FPS = 8.0


@pytest.fixture
def film(tmp_path):
    """A video of 8 s: still for 4 s but for noise, then a square that jumps every second, and is back after two."""
    random = np.random.default_rng(0)
    frames = np.full((64, 72, 128, 3), 90.0) + np.linspace(0, 100, 128)[:, None]
    for second in range(4):
        frames[32 + 8 * second : 40 + 8 * second, 20:36, 30 + second % 2 * 40 : 46 + second % 2 * 40] = 250
    path = tmp_path / "film.mp4"
    write_video(path, (frames + random.normal(0, 2, frames.shape)).clip(0, 255).astype(np.uint8), FPS)
    return path


@pytest.mark.parametrize(
    ("window", "other", "same"),
    [
        ((0.0, 1.0), (2.0, 1.0), True),  # nothing moves
        ((4.0, 1.0), (6.0, 1.0), True),  # it repeats itself
        ((4.0, 1.0), (5.0, 1.0), False),  # the square is elsewhere
        ((0.0, 2.0), (4.0, 2.0), False),
        ((3.0, 1.75), (1.0, 2.0), True),  # most of it
        ((3.5, 2.0), (1.0, 2.0), False),
        ((4.0, 1e-3), (6.0, 1e-3), True),  # images
        ((4.0, 1e-3), (5.0, 1e-3), False),
    ],
)
def test_pixels_say_whether_two_moments_look_the_same(film, window, other, same):
    assert interchangeable(film, window, other) == same
