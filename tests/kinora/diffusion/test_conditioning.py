"""Which tokens are given, and how training draws them and the times of all others."""

import torch

from kinora.data.packing import Segment, layout_of
from kinora.diffusion.conditioning import (
    draw_given,
    draw_times,
    given_tokens,
)


def test_a_mask_of_space_and_time_follows_the_packed_order():
    small, large = torch.tensor([[[True, False]]]), torch.arange(6).reshape(3, 1, 2) % 3 == 0
    layout = layout_of([Segment((1, 1, 2), 2.0), Segment((3, 1, 2), 2.0)])
    assert given_tokens(layout, [small, large]).tolist() == [True, False, False, True, False, False, True, False]


def test_training_draws_every_task_and_always_leaves_something():
    generator = torch.Generator().manual_seed(0)
    drawn = [draw_given((4, 3, 3), generator, share=0.5) for _ in range(600)]
    assert not any(given.all() for given in drawn)
    assert 0.4 < sum(bool(given.any()) for given in drawn) / 600 < 0.6
    frames = {tuple(given.all(2).all(1).tolist()) for given in drawn}
    expected = [(1, 0, 0, 0), (1, 1, 1, 0), (0, 0, 0, 1), (0, 1, 1, 1), (1, 0, 0, 1), (1, 1, 0, 1), (0, 1, 0, 1)]
    assert frames >= {tuple(map(bool, wanted)) for wanted in expected}
    boxes = [given for given in drawn if given.any() and not given.all(2).all(1).any()]
    assert any(not given[:, 1, 1].any() and given[:, 0].all() and given[:, :, 0].all() for given in boxes)


def test_the_first_frames_alone_are_given_where_they_are_asked_for():
    generator = torch.Generator().manual_seed(0)
    drawn = [draw_given((4, 3, 3), generator, share=0.5, first=2) for _ in range(400)]
    some = [given for given in drawn if given.any()]
    assert 0.4 < len(some) / 400 < 0.6
    assert all(given[:2].all() and not given[2:].any() for given in some)
    assert not any(draw_given((2, 3, 3), generator, share=1.0, first=2).any() for _ in range(10)), "nothing is left"


def test_of_an_image_a_region_may_be_given_and_of_one_token_nothing():
    generator = torch.Generator().manual_seed(0)
    assert any(draw_given((1, 3, 2), generator, share=1.0).any() for _ in range(10))
    assert not any(draw_given((1, 1, 1), generator, share=1.0).any() for _ in range(10))


def test_a_clip_has_one_time_or_each_latent_frame_its_own():
    generator = torch.Generator().manual_seed(0)
    drawn = [draw_times(5, generator, logit_mean=0, logit_std=1, shift=1, forcing_share=0.5) for _ in range(400)]
    own = [times for times in drawn if len(times.unique()) > 1]
    ascending = [times for times in own if (times.diff() > 0).all()]
    assert all(len(times) == 5 and times.min() > 0 and times.max() < 1 for times in drawn)
    assert 0.4 < len(own) / 400 < 0.6
    assert 0.4 < len(ascending) / len(own) < 0.6
