"""The test by random subsets: exact where it can be counted, and right about equal models."""

from itertools import product

import numpy as np
import pytest
from scipy import stats

from evaluation.gate.resampling import (
    bounds,
    chance_of,
    clusters_for_gain,
    clusters_for_guard,
    interval,
)


@pytest.mark.parametrize("seed", range(3))
def test_it_is_the_permutation_test_of_all_swaps(seed):
    differences = np.random.default_rng(seed).normal(0.2, 1, 10)
    means = [np.mean(differences * signs) for signs in product([-1, 1], repeat=10)]
    exact = np.mean(np.array(means) >= differences.mean() - 1e-12)
    assert chance_of(differences, 0.01) == pytest.approx(exact, abs=0.015)


def test_of_zeros_and_ones_it_is_mcnemars_exact_test():
    differences = np.array([1.0] * 9 + [-1.0] * 2 + [0.0] * 30)
    exact = stats.binomtest(9, 11, alternative="greater").pvalue
    assert chance_of(differences, 0.01) == pytest.approx(exact, abs=0.003)


def test_small_chances_are_known_where_small_levels_ask_for_them():
    assert chance_of(np.ones(16), 1e-4) == pytest.approx(2**-16, abs=2e-5)
    assert chance_of(np.zeros(50), 0.025) == 1.0


def test_interval_agrees_with_the_normal_one_where_that_is_right():
    differences = np.random.default_rng(1).uniform(-0.3, 0.5, 64)
    low, high = interval(differences, 0.95)
    half = stats.t.ppf(0.975, 63) * stats.sem(differences)
    assert (low, high) == pytest.approx((differences.mean() - half, differences.mean() + half), abs=0.1 * half)


def test_the_interval_excludes_zero_where_chance_is_small():
    for shift in np.linspace(0, 0.3, 13):
        differences = np.random.default_rng(5).normal(shift, 0.5, 40)
        low, _ = interval(differences, 0.95)
        assert (low > 0) == (chance_of(differences, 0.025) <= 0.025) or abs(low) < 0.01


@pytest.mark.parametrize(("n", "rate"), [(20, 0.139), (40, 0.072), (100, 0.03)])
def test_no_failure_in_n_clusters_proves_no_rate_of_zero(n, rate):
    """Whoever fails at `rate` fails n times not at all in 5% of the cases."""
    low, high = bounds(np.zeros(n), 0.05)
    assert rate <= -low < 1.4 * rate
    assert high == pytest.approx(-low, rel=0.05)


@pytest.mark.parametrize("n", [20, 64])
def test_a_guard_that_is_worse_by_the_margin_rarely_passes(n):
    rng, passed = np.random.default_rng(n), 0
    for _ in range(400):
        worse = (rng.random(n) < 0.1) * 1.0 - (rng.random(n) < 0.2)
        passed += bounds(worse, 0.05)[0] > -0.1
    assert passed <= 32  # 5% of 400 and its error


def test_so_many_clusters_as_it_says_show_the_gain():
    rng, spread, gain = np.random.default_rng(0), 0.5, 0.15
    needed = clusters_for_gain(rng.normal(0, spread, 4000), 0.0125, gain, 0.8)
    shown = [chance_of(rng.normal(gain, spread, needed), 0.0125) <= 0.0125 for _ in range(300)]
    assert np.mean(shown) == pytest.approx(0.8, abs=0.08)


def test_so_many_clusters_as_it_says_show_that_nothing_is_worse():
    rng = np.random.default_rng(0)

    def draw(n):
        return (rng.random(n) < 0.1) * 1.0 - (rng.random(n) < 0.1)

    needed = clusters_for_guard(draw(20_000), 0.05, 0.1, 0.9)
    shown = [bounds(draw(needed), 0.05)[0] > -0.1 for _ in range(300)]
    assert np.mean(shown) == pytest.approx(0.9, abs=0.06)
