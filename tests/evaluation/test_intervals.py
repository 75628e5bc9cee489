"""Means over clips: the base is the unit, and the interval is Student's."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from evaluation.intervals import averaged


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
