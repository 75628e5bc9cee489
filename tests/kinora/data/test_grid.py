"""Which sizes and lengths a grid has, against counting them."""

import pytest

from kinora.data.grid import Grid
from kinora.errors import UsageError
from kinora.models.vae import VAEConfig


@pytest.mark.parametrize("grid", [Grid(), Grid(16, 2), Grid(2, 1)])
def test_sizes_and_lengths_are_those_of_counting(grid):
    sides = [k * grid.side for k in range(1, 100)]
    lengths = [1 + k * grid.frames for k in range(100)]
    for number in range(1, 60):
        assert grid.has_side(number) == (number in sides)
        assert grid.has_length(number) == (number in lengths)
        assert abs(grid.nearest_side(number) - number) == min(abs(side - number) for side in sides)
        assert abs(grid.nearest_video(number) - number) == min(abs(length - number) for length in lengths[1:])
        assert grid.longest_within(number) == max(length for length in lengths if length <= number)
    assert grid.shortest_video == lengths[1]
    assert not grid.has_side(0)
    assert not grid.has_length(0)


def test_a_model_s_grid_follows_from_its_autoencoder_and_its_patch():
    config = VAEConfig(spatial=8, temporal=2)
    grid = config.grid(patch_size=2)
    assert grid == Grid(16, 2)
    for frames in range(1, 20):
        if grid.has_length(frames):
            t, h, w = config.latent_shape(frames, grid.side, 2 * grid.side)
            assert (t, h, w) == (1 + (frames - 1) // 2, 2, 4)


def test_a_grid_of_nothing_is_refused():
    with pytest.raises(UsageError, match="0 pixels"):
        Grid(side=0)
