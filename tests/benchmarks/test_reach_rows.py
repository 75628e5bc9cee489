"""The quick rows of `benchmarks.reach` measure a model, here a small one with random weights."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.reach import connect, edit, full_size, given, loop, prompts
from benchmarks.reach.__main__ import ROWS
from benchmarks.reach.options import Options, Subject, report
from kinora import recipes
from kinora.config import to_dict
from kinora.generation import write_version
from kinora.worlds import WorldsConfig


@pytest.fixture(scope="module")
def subject(model_folders, tmp_path_factory) -> Subject:
    folder = tmp_path_factory.mktemp("reach")
    recipe = to_dict(recipes.get("smoke"))
    recipe["ingest"]["worlds"] = to_dict(WorldsConfig(worlds=("uniform",), sizes=((32, 32),), frames=(13,), held_out=8))
    recipe["sampling"] |= {"steps": 2}
    parts = (model_folders / name for name in ("vae", "dit", "captioner"))
    version = write_version(folder, *parts, recipe, {}, {})
    return Subject(Options(model=str(version.path), count=1, out=folder))


@pytest.fixture
def short(monkeypatch):
    """Make the large ones short and small."""
    monkeypatch.setattr(full_size, "SIZES", ((50, 34, "video"), (40, 40, "image")))
    monkeypatch.setattr(full_size, "SHORT", 5)


@pytest.mark.parametrize("row", [connect, edit, full_size, given, loop, prompts])
def test_a_row_measures_a_model(row, subject, short):
    name = row.__name__.rpartition(".")[2]
    assert ROWS[name] is row
    text = report(name, row.TITLE, row.measure, subject.options, subject)
    assert text.startswith(f"### {row.TITLE}")
    written = json.loads((Path(subject.options.out) / f"{name}.json").read_text())
    assert written["figures"]
    assert written["settings"]["model"] == subject.version.name
    assert all(np.isfinite(figure["value"]) for figure in written["figures"])
    if row is full_size:
        exact = [figure for figure in written["figures"] if "exactly so large" in figure["name"]]
        assert all(figure["reached"] for figure in exact)
