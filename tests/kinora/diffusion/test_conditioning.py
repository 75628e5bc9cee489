"""Which latent frames each task gives, and how training draws the tasks."""

import pytest
import torch

from kinora.data.packing import layout_of
from kinora.diffusion.conditioning import Task, conditioning_frames, conditioning_mask, draw_conditioning_frames


@pytest.mark.parametrize(
    ("task", "given"),
    [
        (Task.TEXT, [False, False, False, False]),
        (Task.IMAGE, [True, False, False, False]),
        (Task.FORWARD, [True, True, False, False]),
        (Task.BACKWARD, [False, False, True, True]),
    ],
)
def test_given_frames_of_every_task(task, given):
    assert conditioning_frames(task, 4, 2) == given


def test_token_mask_follows_the_packed_order():
    grids = [(1, 1, 2), (3, 1, 2)]  # the longer one is packed first
    layout = layout_of(grids, [2.0, 2.0])
    mask = conditioning_mask(layout, [[False], [True, False, True]])
    assert mask.tolist() == [True, True, False, False, True, True, False, False]


def test_training_draws_every_task_and_always_leaves_something():
    generator = torch.Generator().manual_seed(0)
    drawn = {tuple(draw_conditioning_frames(4, generator, share=0.5)) for _ in range(400)}
    assert (False,) * 4 in drawn
    assert (True, False, False, False) in drawn
    assert (True, True, True, False) in drawn
    assert (False, False, True, True) in drawn
    assert (True,) * 4 not in drawn
    assert draw_conditioning_frames(1, generator, share=1.0) == [False]
