"""How far the distribution of each column of a table has moved from that of a reference, reported by Evidently.

The measure is the population stability index (PSI): the sum over bins of (p - q) * ln(p / q), where p and q are the
shares of the current and of the reference rows in a bin. 0 is no change.
"""

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from kinora.files import atomic_write, friendly_os_errors

PSI_THRESHOLD = 0.2  # the usual reading: from here on a shift is significant
MIN_ROWS = 10  # on each side, below which a figure of drift means nothing


def comparable(current: pd.DataFrame, reference: pd.DataFrame) -> bool:
    """Say whether both tables have enough rows to be compared."""
    return min(len(current), len(reference)) >= MIN_ROWS


def drift_report(
    current: pd.DataFrame, reference: pd.DataFrame, page: str | Path, categorical: Sequence[str] = ()
) -> dict[str, float]:
    """Compare two tables of the same columns, at least `MIN_ROWS` rows each, and write Evidently's page to `page`.

    Columns that are not `categorical` are numerical.

    Returns:
        `psi_<column>` of each column, and `drifted_share`: the share of columns whose PSI is `PSI_THRESHOLD` or more.
    """
    snapshot = _run("DataDriftPreset", current, reference, page, categorical, method="psi", threshold=PSI_THRESHOLD)
    metrics = {metric["config"].get("column"): metric["value"] for metric in snapshot["metrics"]}
    psi = {f"psi_{name}": float(metrics[name]) for name in current}
    return {**psi, "drifted_share": sum(value >= PSI_THRESHOLD for value in psi.values()) / len(psi)}


def summary_report(
    current: pd.DataFrame, reference: pd.DataFrame, page: str | Path, categorical: Sequence[str] = ()
) -> None:
    """Write a page that sums up the columns of two tables side by side, without a verdict."""
    _run("DataSummaryPreset", current, reference, page, categorical)


def _run(
    preset: str,
    current: pd.DataFrame,
    reference: pd.DataFrame,
    page: str | Path,
    categorical: Sequence[str],
    **options: Any,
) -> dict[str, Any]:
    """Write the page of one of Evidently's presets, and return what it found."""
    os.environ["DO_NOT_TRACK"] = "1"  # Evidently would otherwise report each use of it to its makers
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its dependencies warn each other of deprecations
        import evidently.presets
        from evidently import DataDefinition, Dataset, Report

    names = list(current)
    definition = DataDefinition(
        numerical_columns=[name for name in names if name not in categorical], categorical_columns=list(categorical)
    )
    tables = [Dataset.from_pandas(table[names], data_definition=definition) for table in (current, reference)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the histogram of a column with one value divides by zero
        snapshot = Report([getattr(evidently.presets, preset)(**options)]).run(*tables)
    with friendly_os_errors(page), atomic_write(page) as temporary:
        snapshot.save_html(str(temporary))
    result: dict[str, Any] = snapshot.dict()
    return result
