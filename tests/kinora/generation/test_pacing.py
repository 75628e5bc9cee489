"""A way between two scenes changes evenly, and what moves on it stays whole."""

import numpy as np
import pytest

from kinora.generation.pacing import paced, steps_of


@pytest.fixture
def stairs():
    """A fade from black to 96 levels in stairs of 8 every four frames, the first of them at frame 1."""
    levels = 8 * np.repeat(np.arange(13), 4)[3:]
    return np.broadcast_to(levels[:, None, None, None], (len(levels), 16, 16, 3)).astype(np.uint8)


def test_a_hurried_part_takes_more_time():
    levels = np.concatenate([np.zeros(20), np.linspace(0, 100, 6), np.full(20, 100)])
    frames = np.broadcast_to(levels[:, None, None, None], (len(levels), 8, 8, 3)).astype(np.uint8)
    even = paced(frames, 6.0)
    assert even.shape == frames.shape
    assert (even[0] == frames[0]).all()
    assert (even[-1] == frames[-1]).all()
    assert steps_of(frames).max() == 20
    assert steps_of(even).max() <= 10  # 6 while there was room for all of it; the way is no longer than it was
    assert (np.diff(even[:, 0, 0, 0].astype(int)) >= 0).all()


def test_a_way_that_keeps_to_its_pace_stays_as_it_is(stairs):
    assert paced(stairs, 8.0) is stairs
