"""Intervals of means hold the truth: over clips by their bases, and of shares whatever they spread."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from evaluation.intervals import averaged, averaged_share, wilson


def series(values, bases):
    return pd.Series(values, index=pd.Index(bases, name="base"))


def test_the_interval_is_students_over_bases():
    values = np.random.default_rng(0).normal(3, 1, 20)
    found = averaged(series(values, range(20)))
    low, high = stats.ttest_1samp(values, 0).confidence_interval()
    assert (found.value, found.low, found.high) == pytest.approx((values.mean(), low, high))
    assert str(found) == f"{found.value:.3f} ({low:.3f}–{high:.3f})"


def test_clips_of_one_base_say_no_more_than_one_of_them():
    values = np.array([1.0, 2.0, 4.0])
    once = averaged(series(values, [0, 1, 2]))
    often = averaged(series(values.repeat(5), np.arange(3).repeat(5)))
    assert (often.value, often.low, often.high) == pytest.approx((once.value, once.low, once.high))
    assert (once.of, often.of) == (3, 15)


def test_of_one_base_there_is_no_interval():
    assert np.isnan(averaged(series([1.0, 2.0], [0, 0])).low)


@pytest.mark.parametrize("clips", [10, 40])
@pytest.mark.parametrize(
    "draw",
    [
        lambda rng, n: (rng.random(n) < 0.7).astype(float),
        lambda rng, n: (rng.random(n) < 0.97).astype(float),
        lambda rng, n: rng.beta(7, 3, n),
        lambda rng, n: rng.beta(0.7, 0.3, n),
    ],
    ids=["often", "nearly always", "close together", "far apart"],
)
def test_the_interval_of_a_mean_of_shares_holds_the_truth(draw, clips):
    rng = np.random.default_rng(0)
    truth = draw(rng, 200_000).mean()
    told = [averaged_share(draw(rng, clips)) for _ in range(2000)]
    assert np.mean([share.low <= truth <= share.high for share in told]) > 0.92
    assert np.mean([share.high - share.low for share in told]) < (0.55 if clips == 10 else 0.3)


def test_of_yes_and_no_it_is_wilsons():
    said, wilsons = averaged_share(np.array([1.0] * 30 + [0.0] * 10)), wilson(30, 40)
    assert (said.low, said.high) == pytest.approx((wilsons.low, wilsons.high))
    assert averaged_share(np.ones(20)) == wilson(20, 20)
    assert averaged_share(np.array([])).of == 0
