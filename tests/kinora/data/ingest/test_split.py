"""What is held out for validation shares nothing with what is trained on, as far as the clips allow it."""

import numpy as np

from kinora.data.ingest.split import held_out


def split(groups, sources, share=0.1, video=None):
    """Hold out of clips with these groups and sources; return the groups of both sides, and what is held out."""
    group, source = np.array(groups), np.array(sources)
    kind = np.ones(len(group), bool) if video is None else np.array(video)
    held = held_out(group, source, kind, share, seed=3)
    return set(group[held].tolist()), set(group[~held].tolist()), held


def test_whole_groups_are_held_out_where_they_fit():
    held, trained, _ = split([0] * 6 + [1] * 6 + [2], [0] * 3 + [1] * 3 + [2] * 6 + [3])
    assert held == {2}
    assert trained == {0, 1}


def test_where_no_group_fits_a_source_that_shares_nothing_is_cut():
    groups, sources = [0] * 12 + [1] * 8, [0] * 6 + [1] * 6 + [2] * 8
    held, _, which = split(groups, sources)
    assert held == {1}  # not the longer sources of group 0, which share content
    assert which.nonzero()[0].tolist() == [18, 19]  # its end


def test_where_every_group_is_of_several_sources_a_whole_one_is_held_out():
    held, trained, which = split([0] * 12 + [1] * 8, [0] * 6 + [1] * 6 + [2] * 4 + [3] * 4)
    assert not held & trained
    assert which.sum() == 8


def test_one_group_of_everything_is_cut_all_the_same():
    _, _, which = split([0] * 10, [0] * 6 + [1] * 4)
    assert which.nonzero()[0].tolist() == [5]


def test_an_image_of_a_video_that_is_trained_on_is_not_held_out():
    # Two groups, each a long video and a frame of it as an image.
    groups, sources = [0] * 9 + [1] * 9 + [0, 1], [0] * 9 + [1] * 9 + [2, 3]
    held, trained, which = split(groups, sources, video=[True] * 18 + [False] * 2)
    assert which[:18].any()
    assert not held & trained
