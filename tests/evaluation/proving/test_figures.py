"""The benchmark's figures against figures known otherwise."""

import numpy as np
import pandas as pd
import pytest

from evaluation import intervals
from evaluation.proving import figures
from evaluation.proving.shards import AS_MADE, EDITED, FAILING, FAULTLESS


def row(case, group, strength, *, kind="freeze", due=True, base=None, start=5, **more):
    measured = not np.isnan(strength)
    return {
        "case": case, "base": base or case, "family": "studio", "way": "w", "group": group, "frames": 30, "fps": 10.0,
        "seconds": 0.5, "type": kind, "true_type": kind if group == FAILING else "", "twin": "",
        "severity": "plain", "due": due,
        "measured": measured, "strength": strength, "reason": "" if measured else "too dark", "missed": False,
        "start": start, "end": 9, "true_start": 4, "true_end": 9, "box": [0, 0, 10, 10],
        "true_box": [0, 0, 10, 20], **more,
    }  # fmt: skip


def test_auroc_is_the_share_of_pairs_in_order():
    rng = np.random.default_rng(0)
    good, bad = rng.integers(0, 6, 40).astype(float), rng.integers(2, 9, 30).astype(float)
    pairs = [(b > g) + 0.5 * (b == g) for g in good for b in bad]
    assert figures.auroc(good, bad) == pytest.approx(np.mean(pairs))
    alarmed, found = figures.curve(good, bad)
    assert figures.auroc(good, bad) == pytest.approx(np.trapezoid(found, alarmed))


def test_what_is_due_and_not_measured_is_missed():
    good = [row(f"g{i}", FAULTLESS, 0.1 * i) for i in range(10)]
    seen = [row(f"b{i}", FAILING, 5.0) for i in range(10)]
    blind = [row(f"c{i}", FAILING, float("nan")) for i in range(10)]
    (figure,) = [f for f in figures.by_type(pd.DataFrame(good + seen + blind), {}) if f["type"] == "freeze"]
    assert figure["auroc"] == pytest.approx(0.5)
    assert figure["found"] == pytest.approx(0.5)
    assert figure["measurable"] == pytest.approx(2 / 3)
    assert figure["onset_median"] == 1
    assert figure["frames_overlap"] == pytest.approx(5 / 6)
    assert figure["place_overlap"] == pytest.approx(0.5)


def test_clips_in_which_a_type_is_not_due_do_not_make_it_look_good():
    good = [row(f"g{i}", FAULTLESS, float("nan"), due=False) for i in range(50)]
    good += [row(f"h{i}", FAULTLESS, 9.0) for i in range(10)]
    bad = [row(f"b{i}", FAILING, 5.0) for i in range(10)]
    (figure,) = [f for f in figures.by_type(pd.DataFrame(good + bad), {}) if f["type"] == "freeze"]
    assert figure["faultless"] == 10
    assert figure["auroc"] == 0


def test_intervals_against_published_values():
    share = intervals.wilson(1, 10)  # Newcombe, Statistics in Medicine 17 (1998)
    assert (share.low, share.high) == (pytest.approx(0.0179, abs=1e-3), pytest.approx(0.4042, abs=1e-3))
    assert intervals.wilson(0, 0).of == 0
    assert intervals.poisson(0) == (0.0, pytest.approx(3.6889, abs=1e-3))
    assert intervals.poisson(10) == (pytest.approx(4.7954, abs=1e-3), pytest.approx(18.3904, abs=1e-3))


def test_clips_of_one_base_are_not_counted_as_if_they_were_many():
    def flags(values, size):
        index = pd.MultiIndex.from_tuples(
            [(str(i // size), str(i)) for i in range(len(values))], names=["base", "case"]
        )
        return pd.Series(values, index=index)

    alike = np.repeat([True] * 5 + [False] * 45, 10)
    together, apart = intervals.clustered(flags(alike, 10)), intervals.clustered(flags(alike, 1))
    assert together.value == apart.value == pytest.approx(0.1)
    assert together.high - together.low > 2 * (apart.high - apart.low)
    assert intervals.clustered(flags(np.zeros(500, bool), 10)).high == pytest.approx(intervals.wilson(0, 50).high)


def test_false_alarms_are_counted_by_clip_and_hour(monkeypatch):
    monkeypatch.setattr("evaluation.calibration.entries", dict)
    rows = [
        row(f"g{i}", FAULTLESS, 2.0 if i < 3 else 0.1, kind=kind)
        for i in range(60)
        for kind in ("freeze", "incoherence")
    ]
    (figure,) = figures.false_alarms(pd.DataFrame(rows))
    assert figure["any"].count == 3
    assert figure["alarms"] == 6
    assert figure["hours"] == pytest.approx(60 * 3 / 3600)
    assert figure["by_type"] == {"freeze": 3, "incoherence": 3}


def test_a_null_loses_where_it_is_the_more_suspicious(monkeypatch):
    monkeypatch.setattr("evaluation.calibration.entries", dict)
    rows = [row(f"g{i}", FAULTLESS, 0.1) for i in range(4)]
    rows += [row(f"g{i}", "null", 0.1 if i == 0 else 3.0) | {"way": "noise"} for i in range(4)]
    (figure,) = figures.nulls(pd.DataFrame(rows))
    assert (figure["pairs"], figure["loses"].count) == (4, 3)


def test_a_null_loses_where_what_cannot_be_measured_counts_against_it_alone(monkeypatch):
    monkeypatch.setattr("evaluation.calibration.entries", dict)
    rows = [row(f"g{i}", FAULTLESS, 0.9) | {"missed": i == 3} for i in range(4)]
    rows += [row(f"g{i}", "null", float("nan")) | {"way": "blurred", "missed": i > 0} for i in range(4)]
    (figure,) = figures.nulls(pd.DataFrame(rows))
    assert figure["loses"].count == 2
    (alarms,) = figures.false_alarms(pd.DataFrame(rows))
    assert alarms["any"].count == 1


def test_a_clip_that_fails_anyway_is_compared_with_itself_alone():
    made = [row(f"m{i}", AS_MADE, strength) for i, strength in enumerate((0.0, 3.0, 3.0, 0.5))]
    edits = [
        row(f"e{i}", EDITED, strength, base=f"m{i}", twin=f"m{i}", true_type="freeze", family="generated")
        for i, strength in enumerate((2.0, 5.0, 3.0, float("nan")))
    ]
    stray = [row("s", EDITED, 9.0, twin="nowhere", true_type="freeze", family="generated")]
    (figure,) = figures.beside(pd.DataFrame(made + edits + stray), {})
    assert (figure["family"], figure["pairs"]) == ("generated", 4)
    assert figure["above"].value == pytest.approx((1 + 1 + 0.5 + 0) / 4)
    assert (figure["found"].count, figure["before"].count) == (3, 2)  # of what reaches a strength of 1
    assert figure["onset_near"] == 1.0
    assert not any(figure["failing"] for figure in figures.by_type(pd.DataFrame(made + edits), {}))
