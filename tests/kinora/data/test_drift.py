"""Drift is the population stability index by its formula, and the same figure wherever it is asked for."""

import numpy as np
import pandas as pd
import pytest

from kinora.data.drift import MIN_ROWS, PSI_THRESHOLD, comparable, drift_report


def test_the_index_of_a_category_is_that_of_the_formula(tmp_path):
    current = pd.DataFrame({"kind": ["video"] * 70 + ["image"] * 30, "same": ["a", "b"] * 50})
    reference = pd.DataFrame({"kind": ["video"] * 40 + ["image"] * 60, "same": ["a", "b"] * 50})
    figures = drift_report(current, reference, tmp_path / "drift.html", ["kind", "same"])
    p, q = np.array([0.7, 0.3]), np.array([0.4, 0.6])
    assert figures["psi_kind"] == pytest.approx(((p - q) * np.log(p / q)).sum(), rel=1e-3)
    assert figures["psi_kind"] >= PSI_THRESHOLD > figures["psi_same"]
    assert figures["drifted_share"] == 0.5


def test_evidently_counts_the_same_columns_on_its_page(tmp_path):
    rng = np.random.default_rng(0)
    reference = pd.DataFrame({name: rng.normal(size=400) for name in "abcd"})
    current = reference.assign(a=reference["a"] + 1, b=reference["b"] * 3)
    figures = drift_report(current, reference, tmp_path / "drift.html")
    assert figures["drifted_share"] == 0.5
    assert "Drift is detected for 50" in (tmp_path / "drift.html").read_text()


def test_a_few_rows_say_nothing():
    table = pd.DataFrame({"a": range(MIN_ROWS)})
    assert comparable(table, table)
    assert not comparable(table.head(MIN_ROWS - 1), table)
    assert not comparable(table, table.head(MIN_ROWS - 1))
