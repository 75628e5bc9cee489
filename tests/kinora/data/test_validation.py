"""Great Expectations finds every way in which a row or its file breaks the contract."""

import shutil

import pytest

from kinora.data.clips import ClipDataset
from kinora.data.validation import validate
from kinora.errors import KinoraError


@pytest.fixture
def dataset(real_dataset, tmp_path):
    """A copy of the real dataset that a test may spoil."""
    shutil.copytree(real_dataset.path, tmp_path / "clips")
    return ClipDataset.open(tmp_path / "clips")


def test_a_good_dataset_is_kept_whole(dataset, tmp_path):
    valid, page, figures = validate(dataset, tmp_path / "valid")
    assert valid.digest == dataset.digest
    assert figures["kept"] == figures["checked"] == len(dataset.clips)
    assert figures["expectations_met"] == figures["expectations"]
    assert (valid.frames(valid.clips["clip_id"][0]) == dataset.frames(dataset.clips["clip_id"][0])).all()
    assert "never missing" in page.write(tmp_path / "report.html").read_text()


def test_rows_that_break_the_contract_go_to_quarantine(dataset, tmp_path):
    clips = dataset.clips
    spoiled = {}

    def spoil(index, column, value, sentence):
        spoiled[clips.at[index, "source"], clips.at[index, "source_start_s"]] = sentence
        if column is not None:
            clips.at[index, column] = value

    spoil(0, "width", 41, "width is a multiple of 8")
    spoil(1, "split", "test", "split is train or validation")
    spoil(2, "caption_source", "human", "has a caption")
    spoil(3, "motion", float("nan"), "motion is never missing")
    spoil(4, "height", int(clips.at[4, "height"]) + 8, "decodes to the stated size")
    spoil(5, None, None, "its file is there")
    (dataset.path / clips.at[5, "uri"]).unlink()
    spoil(6, None, None, "the sha256 of its file")
    with open(dataset.path / clips.at[6, "uri"], "ab") as file:
        file.write(b"more")
    spoil(7, "duration_s", 99.0, "duration_s is frames / fps")
    clips.loc[len(clips)] = clips.loc[8]  # the first of two rows with one clip_id stays
    valid, page, figures = validate(dataset, tmp_path / "valid")
    moved = valid.quarantine[valid.quarantine["reason"] == "failed_validation"]
    assert figures["failed_validation"] == len(moved) == 9
    found = {(row.source, row.source_start_s): row.explanation for row in moved.itertuples()}
    for place, sentence in spoiled.items():
        assert sentence in found[place]
    assert clips.at[8, "clip_id"] in set(valid.clips["clip_id"])
    assert valid.clips["clip_id"].is_unique
    assert len(valid.clips) + len(moved) == len(clips)
    assert "Broken" in page.write(tmp_path / "report.html").read_text()


def test_a_table_that_is_wrong_as_a_whole_is_one_sentence(dataset, tmp_path):
    shutil.copytree(dataset.path, tmp_path / "wrong")
    dataset.clips.astype({"width": "float64"}).to_parquet(tmp_path / "wrong" / "clips.parquet")
    with pytest.raises(KinoraError, match="breaks its contract: width is int64"):
        validate(ClipDataset.open(tmp_path / "wrong"), tmp_path / "valid")
    empty = dataset.derive(tmp_path / "empty", dataset.clips.head(0), dataset.quarantine, {})
    with pytest.raises(KinoraError, match="there is at least one clip"):
        validate(empty, tmp_path / "valid")
    shutil.rmtree(dataset.path / "media")
    with pytest.raises(KinoraError, match=r"no clip in .* keeps the contract .*its file is there"):
        validate(dataset, tmp_path / "valid")
    assert not (tmp_path / "valid").exists()
