"""Windows cover all there is, and what they hold is where it should be."""

import itertools

import pytest
import torch

from kinora.data.packing import Segment, layout_of
from kinora.diffusion.windows import cut, packs_of, spans


@pytest.mark.parametrize(("length", "size"), [(1, 4), (4, 4), (5, 4), (17, 4), (100, 7), (240, 16)])
def test_spans_cover_all_and_overlap(length, size):
    found = spans(length, size)
    assert {n for span in found for n in span} == set(range(length))
    assert all(len(span) == min(size, length) for span in found)
    assert all(a.stop - b.start >= int(size / 4) for a, b in itertools.pairwise(found))


def test_only_the_window_with_the_first_frame_begins_at_it():
    windows = cut((9, 4, 4), (4, 4, 4))
    assert [window.start for window in windows] == [0] + [1] * (len(windows) - 1)
    assert {frame for window in windows for frame in window.frames} == set(range(9))


def test_windows_of_a_loop_wrap_and_turn_with_the_circle():
    windows = cut((8, 2, 2), (4, 2, 2), loop=True)
    assert [window.frames for window in windows] == [(0, 1, 2, 3), (2, 3, 4, 5), (4, 5, 6, 7), (6, 7, 0, 1)]
    assert all(window.start for window in windows)
    whole = cut((4, 2, 2), (8, 2, 2), loop=True)
    assert [window.frames for window in whole] == [(0, 1, 2, 3), (2, 3, 0, 1)]


def test_packs_hold_the_tokens_of_their_windows_with_their_positions():
    grids, rates = [(3, 4, 6), (2, 2, 2)], [2.0, 4.0]
    windows = [cut(grid, (2, 2, 3)) for grid in grids]
    packs = packs_of(grids, rates, windows, tokens_at_once=40)
    assert len(packs) > 1
    assert all(len(pack.tokens) <= 40 for pack in packs)
    whole = [layout_of([Segment(grid, rate)]) for grid, rate in zip(grids, rates, strict=True)]
    positions = torch.cat([layout.positions for layout in whole])
    frames = torch.cat([whole[0].frames, whole[1].frames + 3])
    clips = torch.tensor([0] * 72 + [1] * 8)
    seen = torch.zeros(80)
    for pack in packs:
        seen[pack.tokens] = 1
        # Places are those in the whole; time too, but for windows that only know that they are no first one.
        torch.testing.assert_close(pack.layout.positions[:, 1:], positions[pack.tokens, 1:])
        assert torch.equal(pack.frames[pack.layout.frames], frames[pack.tokens])
        assert torch.equal(pack.clips[pack.layout.segments], clips[pack.tokens])
    assert seen.all()
