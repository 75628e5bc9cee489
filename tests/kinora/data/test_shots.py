"""Pictures keep their shape, and shots are cut into windows, none across a cut."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinora.data.grid import Grid
from kinora.data.shots import Rejected, fit, mark_cuts, windows


def test_a_flash_is_no_cut():
    thumbnails = [np.full((16, 16, 3), 60, np.uint8) for _ in range(20)]
    thumbnails[9] = np.full((16, 16, 3), 250, np.uint8)
    thumbnails[15:] = [np.full((16, 16, 3), 160, np.uint8)] * 5
    assert [i for i, cut in mark_cuts(enumerate(thumbnails)) if cut] == [15]


@given(
    count=st.integers(0, 60),
    cuts=st.sets(st.integers(1, 59)),
    most=st.sampled_from([5, 9, 17]),
    step=st.sampled_from([2, 4]),
)
def test_windows_never_cross_a_cut_and_have_lengths_on_the_grid(count, cuts, most, step):
    frames = [(np.full((2, 2, 3), i, np.uint8), i in cuts) for i in range(count)]
    for window in windows(frames, 1.0, most, Grid(8, step)):
        numbers = [int(frame[0, 0, 0]) for frame in window.frames]
        start = round(window.start_s)
        if not numbers:  # a shot too short for a window is told, not dropped
            assert start == 0 or start in cuts
            continue
        assert numbers == list(range(start, start + len(numbers)))
        assert not cuts & set(numbers[1:])
        assert 1 + step <= len(numbers) <= most
        assert len(numbers) % step == 1


@given(
    width=st.integers(16, 4000),
    height=st.integers(16, 4000),
    most=st.sampled_from([32, 48, 256]),
    step=st.sampled_from([8, 16]),
)
def test_sizes_are_on_the_grid_and_keep_the_aspect_ratio(width, height, most, step):
    if max(width, height) > 4 * min(width, height):
        with pytest.raises(Rejected, match="longer than 4 times"):
            fit(width, height, most, Grid(step))
        return
    how = fit(width, height, most, Grid(step))
    assert all(side % step == 0 and step <= side <= most for side in how.size)
    assert all(scaled >= side for scaled, side in zip(how.scaled, how.size, strict=True))
    # What is scaled keeps the aspect ratio to a pixel; what is cut off is less than a multiple on one side.
    assert how.scaled[0] / width == pytest.approx(how.scaled[1] / height, rel=0.6 / min(how.scaled) + 0.02)
    assert how.scaled[0] == how.size[0] or how.scaled[1] == how.size[1]
