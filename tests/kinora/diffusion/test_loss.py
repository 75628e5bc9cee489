"""The loss is the squared error of velocity, bounded near clean data."""

import torch

from kinora.data.packing import Segment, layout_of
from kinora.diffusion.loss import velocity_loss
from kinora.diffusion.path import add_noise, velocity


def test_it_is_the_squared_error_of_velocity():
    layout = layout_of([Segment((1, 1, 3), 2.0), Segment((1, 1, 2), 2.0)])
    clean, noise, estimate = torch.randn(5, 4), torch.randn(5, 4), torch.randn(5, 4)
    times = torch.tensor([0.9, 0.4])[layout.segments]
    t = times[:, None]
    x = add_noise(clean, noise, t)
    expected = (velocity(x, estimate, t) - (noise - clean)).square().mean()
    loss, error = velocity_loss(estimate, clean, times, torch.zeros(5, dtype=torch.bool))
    torch.testing.assert_close(loss / 5, expected)
    torch.testing.assert_close(error / 5, (estimate - clean).square().mean())


def test_given_tokens_and_near_clean_times_do_not_take_over():
    clean, given = torch.zeros(2, 4), torch.tensor([True, False])
    estimate = torch.tensor([[100.0] * 4, [1.0] * 4])
    loss, _ = velocity_loss(estimate, clean, torch.full((2,), 1e-4), given)
    torch.testing.assert_close(loss, torch.tensor(100.0))  # 1 / SMALLEST_TIME^2
