"""The path's ends, its velocity, its shift, and the times that training draws."""

import pytest
import torch

from kinora.diffusion.path import add_noise, sample_times, shift_time, velocity


def test_ends_and_velocity_of_the_path():
    clean, noise = torch.randn(5), torch.randn(5)
    assert torch.equal(add_noise(clean, noise, torch.tensor(0.0)), clean)
    assert torch.equal(add_noise(clean, noise, torch.tensor(1.0)), noise)
    time = torch.tensor(0.3, requires_grad=True)
    derivative = torch.autograd.functional.jvp(lambda t: add_noise(clean, noise, t), time, torch.tensor(1.0))[1]
    torch.testing.assert_close(velocity(add_noise(clean, noise, time.detach()), clean, time.detach()), derivative)


def test_one_step_of_the_true_velocity_ends_at_the_data():
    clean, noise = torch.randn(5), torch.randn(5)
    x, time = noise, torch.tensor(1.0)
    torch.testing.assert_close(x - time * velocity(x, clean, time), clean)


def test_shift_keeps_the_ends_and_moves_the_middle():
    times = torch.linspace(0, 1, 11)
    moved = shift_time(times, 3.0)
    assert moved[0] == 0
    assert moved[-1] == 1
    assert (moved[1:-1] > times[1:-1]).all()
    assert shift_time(torch.tensor(0.5), 3.0) == pytest.approx(0.75)


def test_training_times_are_logit_normal():
    times = sample_times(20_000, torch.Generator().manual_seed(0), logit_mean=0.4, logit_std=0.8)
    logits = torch.logit(times)
    assert logits.mean() == pytest.approx(0.4, abs=0.03)
    assert logits.std() == pytest.approx(0.8, abs=0.03)
