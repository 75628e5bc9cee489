"""Weights fitted anew from the candidates in a part's cases, beside the present ones."""

import numpy as np
import pytest

from benchmarks.fit_weights import refitted, weighed
from evaluation.consistency.view_inconsistency import WEIGHTS
from evaluation.proving.shards import Drawn, Extras
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
    found = weighed(Drawn("paper", 1, 0, Extras(), faultless=True), ["views"])
    assert list(found) == ["views"]
    assert [one.base for one in found["views"]] == ["paper-0-0"]


def test_a_new_measure_gets_a_weight_beside_those_of_now(tmp_path):
    rows = refitted("views", views(80, [*WEIGHTS, "new"]), tmp_path)
    assert [row["clips"] for row in rows] == ["paper", "all"]
    assert {(row["failing"], row["faultless"]) for row in rows} == {("40", "40")}
    assert float(rows[0]["AUROC, anew"]) > 0.9
    assert float(rows[0]["AUROC, present"]) < 0.7  # what the present weights weigh is chance here
    written = (tmp_path / "view_inconsistency.py").read_text()
    assert '"beside even motion"' in written
    assert '"new"' in written


def test_without_failing_clips_nothing_is_written(tmp_path):
    with pytest.raises(UsageError, match="too few clips"):
        refitted("views", [one for one in views(40, list(WEIGHTS)) if not one.failing], tmp_path)
    assert not list(tmp_path.iterdir())
