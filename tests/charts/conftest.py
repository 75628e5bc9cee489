"""Renders the chart with Helm's own library."""

from pathlib import Path

import pytest
import yaml
from helm_python.chart import Chart

CHART = Path(__file__).parents[2] / "charts" / "kinora"


def merged(values: dict, changes: dict) -> dict:
    """Return `values` with `changes` laid over them, mapping by mapping."""
    result = dict(values)
    for key, value in changes.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merged(result[key], value) if both else value
    return result


@pytest.fixture(scope="session")
def folder() -> Path:
    """The chart's folder."""
    return CHART


@pytest.fixture(scope="session")
def chart():
    """The chart, loaded by Helm."""
    with Chart.load(CHART) as loaded:
        yield loaded


@pytest.fixture(scope="session")
def complete_values() -> dict:
    """A complete set of values."""
    return yaml.safe_load((CHART / "ci" / "values.yaml").read_text())


@pytest.fixture(scope="session")
def render(chart, complete_values):
    """Render release `demo` in namespace `kinora-serving` with some values changed: {(kind, name): object}.

    The values are those of an endpoint in service, or with `bare` none at all.
    """

    def render_with(changes: dict | None = None, bare: bool = False) -> dict[tuple[str, str], dict]:
        values = merged({} if bare else complete_values, changes or {})
        texts = chart.render(values, name="demo", namespace="kinora-serving")
        documents = [
            document
            for name, text in texts.items()
            if not name.endswith(".txt")
            for document in yaml.safe_load_all(text)
        ]
        return {(d["kind"], d["metadata"]["name"]): d for d in documents if d}

    return render_with
