"""Scores must mean what they say: how seldom a faultless clip is as suspicious."""

import numpy as np
import pytest
from scipy.stats import genpareto

from evaluation import calibration
from evaluation.findings import Candidate, calibrated


def test_the_score_is_that_of_the_share_of_faultless_clips():
    assert calibration.score_of(0.1) == 0
    assert calibration.score_of(0.5) == 0
    assert calibration.score_of(1e-3) == pytest.approx(0.5)
    assert calibration.score_of(1e-5) == pytest.approx(1)
    assert calibration.score_of(0.0) == 1


@pytest.mark.parametrize("scale", [0.3, 20.0])
def test_a_thousandth_of_new_clips_is_called_failing_where_the_tail_is_as_heavy_as_supposed(scale):
    entry = calibration.fitted(genpareto.rvs(calibration.SHAPE, scale=scale, size=4000, random_state=0))
    new = genpareto.rvs(calibration.SHAPE, scale=scale, size=400_000, random_state=1)
    limit = calibration.strength_at(entry, 1e-3)
    assert calibration.chance(entry, limit) == pytest.approx(1e-3)
    assert 0.5e-3 < (new >= limit).mean() < 2e-3


def test_faultless_clips_without_any_strength_leave_room():
    entry = calibration.fitted(np.zeros(300))
    assert calibration.score_of(calibration.chance(entry, 0.0)) < 0.5
    assert calibration.score_of(calibration.chance(entry, 1.0)) == 1


def test_no_faultless_clips_no_calibration():
    with pytest.raises(ValueError, match="faultless"):
        calibration.fitted([])


def test_a_type_without_entry_fails_from_the_strength_its_detector_calls_one(monkeypatch):
    monkeypatch.setattr(calibration, "entries", dict)
    found = calibrated("flicker", [Candidate(1, 2, 1.0, "It flickers."), Candidate(5, 5, 0.2, "Hardly.", (0, 0, 2, 2))])
    assert (found.score, found.strength) == (0.5, 1.0)
    assert [(f.start_frame, f.end_frame, f.box) for f in found.failures] == [(1, 2, None)]


def test_nothing_suspicious_is_no_failure():
    found = calibrated("flicker", [])
    assert (found.score, found.strength, found.failures) == (0, 0, ())


@pytest.mark.parametrize("strength", [float("nan"), float("inf"), -1.0])
def test_what_cannot_be_ranked_is_refused(strength):
    with pytest.raises(ValueError, match="flicker"):
        calibrated("flicker", [Candidate(0, 0, strength, "?")])


def test_what_is_installed_is_complete():
    for kind, entry in calibration.entries().items():
        assert 0 <= calibration.score(kind, calibration.strength_at(entry, 1e-3)) == pytest.approx(0.5), kind
