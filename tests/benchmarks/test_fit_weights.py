"""Weights fitted anew from the candidates in a part's cases, beside the present ones."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.fit_weights import Drawn, refitted, weighed
from evaluation.consistency.view_inconsistency import WEIGHTS
from evaluation.proving.weights.weighed import FALSE, TRUE, Sample
from kinora.errors import UsageError


def views(count: int, names: list[str]) -> list[Sample]:
    """Return clips of which the failing ones have more of the last measure."""
    rng, made = np.random.default_rng(0), []
    for number in range(count):
        failing = bool(number % 2)
        values = rng.normal(0, 1, len(names)) + np.append(np.zeros(len(names) - 1), 4 * failing)
        measured = (dict(zip(names, values.tolist(), strict=True)),)
        made.append(Sample("paper", f"base {number}", failing, measured, np.array([TRUE if failing else FALSE])))
    return made


def test_a_part_gives_the_candidates_of_the_models_asked_for():
    found = weighed(Drawn("clay", 2, 0, frozenset({"identity_drift"})), ["forming", "turning"])
    assert list(found) == ["forming", "turning"]
    assert {one.base for name in found for one in found[name]} == {"clay-0-0"}
    assert not any(one.failing and one.measured and (one.truth == FALSE).all() for one in found["turning"])


def test_only_failures_of_the_types_named_are_drawn():
    cases = [case for case, _ in Drawn("paper", 3, 0, frozenset({"flicker"})).cases()]
    assert [case.failure and case.failure.type for case in cases] == [None, "flicker", None]


def test_a_new_measure_gets_a_weight_beside_those_of_now(tmp_path):
    rows = refitted("views", views(80, [*WEIGHTS, "new"]), tmp_path)
    assert [row["clips"] for row in rows] == ["paper", "all"]
    assert {(row["failing"], row["faultless"]) for row in rows} == {("40", "40")}
    assert float(rows[0]["AUROC, anew"]) > 0.9
    assert float(rows[0]["AUROC, present"]) < 0.7  # what the present weights weigh is chance here
    written = (tmp_path / "view_inconsistency.py").read_text()
    assert '"beside even motion"' in written
    assert '"new"' in written


def test_figures_are_also_of_looks_that_nothing_was_fitted_to(tmp_path):
    drawn, filmed = views(80, list(WEIGHTS)), views(80, list(WEIGHTS))
    for one in filmed:  # what tells there tells the other way round
        one.measured[0][list(WEIGHTS)[-1]] *= -1
    samples = [*drawn, *(replace(one, family="real", base=f"real {one.base}") for one in filmed)]
    rows = refitted("views", samples, tmp_path)
    assert float(rows[0]["AUROC, of an unseen look"]) < 0.3
    assert float(rows[0]["AUROC, anew"]) > 0.3
    assert np.isnan(float(refitted("views", drawn, tmp_path)[0]["AUROC, of an unseen look"]))  # there is one look alone


def test_without_failing_clips_nothing_is_written(tmp_path):
    with pytest.raises(UsageError, match="too few clips"):
        refitted("views", [one for one in views(40, list(WEIGHTS)) if not one.failing], tmp_path)
    assert not list(tmp_path.iterdir())
