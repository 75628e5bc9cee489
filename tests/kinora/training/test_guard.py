"""Gradients that are too long are shortened, impossible ones left out, and many of these end the training."""

import pytest
import torch

from kinora.errors import KinoraError
from kinora.training.guard import LEAST, MOST_SKIPPED, GradientGuard


def judged(guard: GradientGuard, norm: float) -> tuple[float, float]:
    kept, factor = guard.judge(torch.tensor(norm))
    return float(kept), float(factor)


def usual() -> GradientGuard:
    guard = GradientGuard(2.0, torch.device("cpu"))
    for number in range(LEAST):
        assert judged(guard, 1.0 + number % 2)[0] == 1
    return guard


def test_a_long_gradient_is_scaled_to_the_norm_and_a_short_one_left():
    guard = GradientGuard(2.0, torch.device("cpu"))
    assert judged(guard, 8.0) == (1, pytest.approx(0.25))
    assert judged(guard, 1.0) == (1, 1)


@pytest.mark.parametrize("norm", [torch.nan, torch.inf, 30.0])
def test_what_is_not_finite_or_far_above_the_recent_is_skipped_and_forgotten(norm):
    guard = usual()
    before = guard.state()["recent"]
    assert judged(guard, norm) == (0, 0)
    assert guard.state()["recent"] == before
    assert judged(guard, 3.0)[0] == 1


def test_before_anything_is_usual_only_what_is_not_finite_is_skipped():
    guard = GradientGuard(2.0, torch.device("cpu"))
    assert [judged(guard, norm)[0] for norm in (1.0, 1e6, torch.nan)] == [1, 1, 0]


def test_many_skipped_steps_in_a_row_end_the_training_in_one_sentence():
    guard = usual()
    for _ in range(MOST_SKIPPED - 1):
        judged(guard, torch.nan)
    guard.check()
    judged(guard, torch.nan)
    with pytest.raises(KinoraError, match="last 20 steps were skipped"):
        guard.check()
    judged(guard, 1.0)
    guard.check()


def test_a_restored_guard_decides_alike():
    guard, other = usual(), GradientGuard(2.0, torch.device("cpu"))
    judged(guard, torch.nan)
    other.restore(guard.state())
    assert other.state() == guard.state()
    assert judged(guard, 30.0) == judged(other, 30.0) == (0, 0)


def test_nothing_waits_for_the_device():
    """Tensors of the meta device have no values: whatever needed one would fail."""
    guard = GradientGuard(2.0, torch.device("meta"))
    kept, factor = guard.judge(torch.empty((), device="meta"))
    assert kept.shape == factor.shape == ()
