"""What was accepted is found again on a disk and on S3: its tables whole, the last of the same source first."""

import json
import tempfile
from pathlib import Path

import pytest

from kinora.data.accepted import accept, history, keep_tables, last_accepted, open_tables, source_of
from kinora.data.clips import ClipDataset
from kinora.errors import KinoraError
from kinora.storage import open_store


@pytest.fixture(params=["file", "s3"])
def root(request, tmp_path, monkeypatch) -> str:
    """An artifact root of each kind."""
    if request.param == "file":
        return f"{tmp_path}/artifacts"
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # where copies from S3 are kept
    return request.getfixturevalue("s3_root")


@pytest.fixture
def derived(real_dataset, tmp_path):
    """Make a dataset of the first clips of the real one, from any source."""

    def make(count: int, source: str | None = None) -> ClipDataset:
        config = real_dataset.config | ({"source": source} if source else {})
        return real_dataset.derive(
            tmp_path / f"{count}-{source}", real_dataset.clips.head(count), real_dataset.quarantine, config
        )

    return make


def test_tables_come_back_as_they_were(root, derived):
    dataset = derived(5)
    for _ in range(2):
        keep_tables(root, dataset)
    kept = open_tables(root, dataset.digest)
    assert kept.digest == dataset.digest
    assert source_of(kept) == source_of(dataset)
    assert (kept.frames(kept.clips["clip_id"][0]) == dataset.frames(dataset.clips["clip_id"][0])).all()
    (summary,) = (key for key in open_store(root).list("datasets") if key.endswith("summary.json"))
    assert summary == f"datasets/{dataset.digest}/summary.json"
    assert history(root) == []  # kept is not accepted


def test_the_last_one_is_of_the_same_source_and_another(root, derived):
    first, second, other = derived(4), derived(6), derived(5, "elsewhere")
    assert last_accepted(root, first) is None
    for dataset in (first, second, other, second):
        accept(root, dataset)
    assert [line.digest for line in history(root)] == [d.digest for d in (first, second, other, second)]
    assert history(root)[0].counts["clips"] == 4
    assert last_accepted(root, second).digest == first.digest
    assert last_accepted(root, first).digest == second.digest
    assert last_accepted(root, other) is None


def test_what_is_not_there_or_damaged_is_one_sentence(derived, tmp_path):
    with pytest.raises(KinoraError, match="the tables of the dataset abc are not kept"):
        open_tables(str(tmp_path), "abc")
    accept(str(tmp_path / "root"), derived(4))
    (line,) = (tmp_path / "root" / "datasets" / "accepted").iterdir()
    assert json.loads(line.read_text())["counts"]["clips"] == 4
    line.write_text("{}")
    with pytest.raises(KinoraError, match=r"accepted.* is damaged"):
        history(str(tmp_path / "root"))
    assert Path(line).is_file()
