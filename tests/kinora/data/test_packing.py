"""Packing loses nothing, and every token knows its place in space and time."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kinora.data.packing import layout_of, pack, patch_grid, patchify, unpack
from kinora.errors import KinoraError

grids = st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4))


@settings(max_examples=30, deadline=None)
@given(st.lists(grids, min_size=1, max_size=6), st.integers(1, 3))
def test_what_is_packed_comes_back_in_its_order(shapes, patch):
    latents = [torch.randn(2, t, rows * patch, columns * patch) for t, rows, columns in shapes]
    layout = layout_of(shapes, [2.0] * len(shapes))
    tokens = pack(latents, layout, patch)
    assert tokens.shape == (sum(t * r * c for t, r, c in shapes), 2 * patch**2)  # nothing is padded
    for latent, back in zip(latents, unpack(tokens, layout, patch), strict=True):
        assert torch.equal(latent, back)


@settings(max_examples=30, deadline=None)
@given(st.lists(grids, min_size=1, max_size=8))
def test_segments_begin_where_it_says_and_equal_lengths_are_neighbours(shapes):
    layout = layout_of(shapes, [2.0] * len(shapes))
    lengths = layout.segments.bincount(minlength=len(shapes))
    assert layout.cu_seq.dtype is torch.int32
    assert layout.cu_seq.tolist() == [0, *lengths.cumsum(0).tolist()]
    assert layout.longest == lengths.max()
    assert lengths.tolist() == sorted(lengths.tolist(), reverse=True)


def test_a_token_is_one_patch_of_the_latent():
    latent = torch.arange(2 * 3 * 4 * 6).view(2, 3, 4, 6).float()
    tokens = patchify(latent, 2)
    frame, row, column = 1, 1, 2
    expected = latent[:, frame, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2].flatten()
    assert torch.equal(tokens[frame * 6 + row * 3 + column], expected)


def test_positions_are_in_seconds_and_from_the_middle():
    layout = layout_of([(2, 2, 4)], [1.0])  # one latent frame a second: a second is two units
    assert layout.positions[:, 0].unique().tolist() == [0.0, 2.0]
    assert layout.positions[:8].mean(0).tolist() == [0.0] * 5
    assert layout.positions[:, 4].max() == 0.75


def test_a_still_needs_no_rate():
    assert layout_of([(1, 2, 2)], [0.0]).positions.isfinite().all()


def test_sides_that_do_not_divide_are_refused():
    with pytest.raises(KinoraError, match="multiples of 2"):
        patch_grid((16, 1, 5, 4), 2)
