"""The pattern that most of a scene follows: found as strong as it is, whatever few things do, and told from theirs."""

import numpy as np
import pytest

from evaluation.consistency.bending import FAINT, measure, strength_and_spread

N, CELLS = 30, 60
COURSE = np.sin(np.arange(N) / 3)
KNOWN = np.ones((N, CELLS), bool)


def bent(strength):
    """Cells that all swing by `strength` %, each in its own direction, and rest otherwise."""
    turn = np.random.default_rng(0).uniform(0, 2 * np.pi, CELLS)
    return strength * COURSE[:, None, None] * np.stack([np.cos(turn), np.sin(turn)], 1)


def still(noise=0.05):
    return np.random.default_rng(1).normal(0, noise, (N, CELLS, 2))


def passing(motion):
    """A thing goes over a few cells, a different one every few moments, by much more than anything else."""
    there = motion.copy()
    for t in range(N):
        there[t, 20 + t // 4 : 24 + t // 4] += [1.8, 0.6]
    return there


@pytest.mark.parametrize("strength", [0.4, 1.0])
def test_a_bend_is_as_strong_as_it_is_and_all_over_with_a_thing_before_it_or_without(strength):
    expected = np.log(FAINT + strength * np.quantile(np.abs(COURSE), 0.85))
    for motion in (bent(strength) + still(), passing(bent(strength) + still())):
        strong, spread = strength_and_spread(motion, KNOWN)
        assert strong == pytest.approx(expected, abs=0.15)
        assert spread == pytest.approx(0, abs=0.2)


def test_a_thing_that_swings_in_a_few_cells_of_a_still_scene_is_no_bend():
    alone = still()
    alone[:, 10:16] += COURSE[:, None, None] * [1.5, 0.5]
    strong, spread = strength_and_spread(alone, KNOWN)
    assert strong < np.log(FAINT + 0.1)
    assert spread < -1.5


def test_a_bend_of_the_cells_that_can_be_followed_counts_by_how_much_of_the_picture_they_are():
    of_swerve = {"one pattern": 0.5, "lasts": 0.0, "begins": 0.0}
    some, all_of_it = (measure(of_swerve, bent(0.5), bent(0.5), KNOWN, share) for share in (0.5, 1.0))
    assert all_of_it["swerves all over"] - some["swerves all over"] == pytest.approx(np.log(2))
    assert all_of_it["swerves"] == some["swerves"]


def test_what_parallax_does_all_the_time_is_no_change():
    steady = still() + np.linspace(-3, 3, CELLS)[:, None] * [1.0, 0.2]
    of_swerve = {"one pattern": 0.0, "lasts": 0.0, "begins": 0.0}
    assert measure(of_swerve, still(), steady, KNOWN, 1.0)["changes"] < np.log(FAINT + 0.1)
