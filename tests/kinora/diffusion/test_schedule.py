"""The times through which latent frames go."""

import pytest
import torch

from kinora.diffusion.sampler import Sampling
from kinora.diffusion.schedule import staircase, times_from


def test_times_fall_from_the_start_to_clean():
    assert times_from(1.0, 4, 1.0).tolist() == [1.0, 0.75, 0.5, 0.25, 0.0]
    half = times_from(0.5, 4, 3.0)
    assert (half[0], half[-1]) == (0.5, 0)
    assert (half.diff() < 0).all()


def test_the_shift_grows_with_the_square_root_of_the_tokens():
    """Equation 23 of arXiv:2403.03206: t_m / (1 - t_m) = sqrt(m / n) t_n / (1 - t_n)."""
    few, many = (Sampling(steps=10, shift=1.0, shift_tokens=100).times(tokens)[1:-1] for tokens in (100, 400))
    torch.testing.assert_close(many / (1 - many), 2 * few / (1 - few))


def test_a_staircase_makes_frames_one_after_another():
    times = torch.tensor([1.0, 0.75, 0.5, 0.25, 0.0])
    table = [staircase(times, range(3), 2, turn).tolist() for turn in range(9)]
    assert table == [
        [1.0, 1.0, 1.0],
        [0.75, 1.0, 1.0],
        [0.5, 1.0, 1.0],
        [0.25, 0.75, 1.0],
        [0.0, 0.5, 1.0],
        [0.0, 0.25, 0.75],
        [0.0, 0.0, 0.5],
        [0.0, 0.0, 0.25],
        [0.0, 0.0, 0.0],
    ]


def test_an_edit_begins_where_its_share_of_the_steps_is_left():
    sampling = Sampling(steps=10, shift=3.0)
    assert [sampling.time_of(strength) for strength in (0.5, 1.0)] == pytest.approx([0.75, 1.0])
    assert sampling.time_of(0.3) == pytest.approx(float(sampling.times()[7]))
