"""Packing loses nothing, and every token knows its place in space and time."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kinora.data.packing import Segment, layout_of, pack, patch_grid, patchify, repeated, unpack
from kinora.errors import KinoraError

grids = st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4))


@settings(max_examples=30, deadline=None)
@given(st.lists(grids, min_size=1, max_size=6), st.integers(1, 3))
def test_what_is_packed_comes_back_in_its_order(shapes, patch):
    latents = [torch.randn(2, t, rows * patch, columns * patch) for t, rows, columns in shapes]
    layout = layout_of([Segment(grid, 2.0) for grid in shapes])
    tokens = pack(latents, layout, patch)
    assert tokens.shape == (sum(t * r * c for t, r, c in shapes), 2 * patch**2)  # nothing is padded
    for latent, back in zip(latents, unpack(tokens, layout, patch), strict=True):
        assert torch.equal(latent, back)


@settings(max_examples=30, deadline=None)
@given(st.lists(grids, min_size=1, max_size=8))
def test_segments_begin_where_it_says_and_equal_lengths_are_neighbours(shapes):
    layout = layout_of([Segment(grid, 2.0) for grid in shapes])
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
    positions = layout_of([Segment((2, 2, 4), 1.0)]).positions  # one latent frame a second: a second is two units
    assert positions[:, 0].unique().tolist() == [0.0, 2.0]
    assert positions[:8].mean(0).tolist() == [0.0] * 5 + [-1.0]  # half as fine as the reference
    assert positions[:, 2].unique().tolist() == [-6.0, -2.0, 2.0, 6.0]
    assert positions[:, 4].max() == 0.75


def test_the_same_scene_has_the_same_positions_at_any_size():
    """The middle of a patch is where the middle of the four patches is that it becomes at twice the size."""
    small, large = (layout_of([Segment((1, s * 2, s * 3), 2.0)]).positions for s in (1, 2))
    middles = large.reshape(2, 2, 3, 2, 6).mean(dim=(1, 3)).reshape(-1, 6)
    torch.testing.assert_close(middles[:, :5], small[:, :5])
    torch.testing.assert_close(middles[:, 5], small[:, 5] + 1)


def test_a_window_stands_where_it_does_in_the_whole():
    whole = layout_of([Segment((3, 4, 6), 2.0)]).positions.reshape(3, 4, 6, -1)
    window = layout_of([Segment((2, 2, 3), 2.0, start=1, place=(2, 1), frame=(4, 6))]).positions.reshape(2, 2, 3, -1)
    assert torch.equal(window, whole[1:, 2:, 1:4])


def test_every_token_knows_its_row_of_conditions():
    layout = layout_of([Segment((1, 1, 2), 2.0), Segment((2, 1, 2), 2.0)])  # the longer one is packed first
    given = torch.tensor([True, False, False, False, False, True])
    assert layout.condition_rows(given).tolist() == [3, 0, 1, 1, 2, 4]
    assert layout.condition_times(torch.tensor([0.5, 0.9])).tolist() == pytest.approx([0.5, 0.5, 0.9, 0.0, 0.0])
    twice = repeated(layout, 2)
    assert twice.condition_rows(given.repeat(2)).tolist() == [6, 0, 1, 1, 2, 7, 8, 3, 4, 4, 5, 9]


def test_a_still_needs_no_rate():
    assert layout_of([Segment((1, 2, 2), 0.0)]).positions.isfinite().all()


def test_sides_that_do_not_divide_are_refused():
    with pytest.raises(KinoraError, match="multiples of 2"):
        patch_grid((16, 1, 5, 4), 2)
