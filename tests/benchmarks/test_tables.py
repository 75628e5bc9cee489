"""Every step that reads a made dataset's tables runs, and what it held is measured."""

import numpy as np
import pytest

from benchmarks import tables
from benchmarks.tables import DATASET, STEPS, make, taken
from kinora.data.clips import ClipDataset


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A folder of few clips, and one of some more."""
    made = [tmp_path_factory.mktemp("tables") / str(clips) for clips in (100, 300)]
    for folder in made:
        make(folder, int(folder.name))
    return made


@pytest.mark.parametrize("name", STEPS)
def test_each_step_takes_the_made_dataset(folders, name):
    figures = taken(name, *folders)
    assert 0 <= figures["bytes"] < 2**29  # of 300 clips
    assert figures["seconds"] >= 0


def test_the_steps_made_what_they_should(folders):
    made = ClipDataset.open(folders[1] / DATASET)
    assert (len(made), len(made.quarantine)) == (300, 100)
    assert len(ClipDataset.open(folders[1] / "valid")) == 300  # all that is said of the clips is right
    merged = ClipDataset.open(folders[1] / "merged")
    assert merged.clips["clip_id"].tolist() == made.clips["clip_id"].tolist()
    assert len(merged.quarantine) == 100
    assert (folders[1] / "features" / "features.html").is_file()


def test_what_was_held_and_let_go_is_in_the_peak(tmp_path, monkeypatch):
    def hold(folder):
        np.ones(folder.stat().st_size // 8).sum()

    for name, size in (("few", 8), ("many", 2**26)):
        with open(tmp_path / name, "wb") as file:
            file.truncate(size)
    monkeypatch.setitem(tables.STEPS, "hold", hold)
    assert 0.9 < taken("hold", tmp_path / "few", tmp_path / "many")["bytes"] / 2**26 < 1.2
