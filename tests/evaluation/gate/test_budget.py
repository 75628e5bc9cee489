"""The error is spent over releases, and only an earned promotion gives a new one."""

import pytest

from evaluation.gate.budget import attempt, level, spent
from kinora.generation.registry import GateDecision


def decided(candidate, outcome, rival="r"):
    return GateDecision("2026-11-29T00:00:00+00:00", candidate, "v", rival, 0.01, 0.5, outcome, "")


def test_all_levels_together_are_the_error_and_the_sixth_is_not_nothing():
    levels = [level(number, 0.025) for number in range(1, 10_000)]
    assert sum(levels) == pytest.approx(0.025, rel=1e-3)
    assert sum(levels) < 0.025
    assert sum(levels[:7]) == pytest.approx(spent(7, 0.025))
    assert levels[0] == 0.0125
    assert levels[5] > 0.0005


def test_attempts_are_counted_since_the_last_earned_promotion():
    assert attempt([], "a", "") == 1
    failed = [decided("a", "kept"), decided("b", "kept")]
    assert attempt(failed, "c", "r") == 3
    assert attempt([*failed, decided("c", "better")], "d", "c") == 1
    assert attempt([decided("a", "trial", "")], "b", "r") == 2  # to be served on trial proves nothing


def test_to_decide_the_same_again_is_the_same_attempt():
    decisions = [decided("a", "kept"), decided("b", "kept"), decided("c", "kept")]
    assert attempt(decisions, "b", "r") == 2
    assert attempt(decisions, "b", "other") == 4
