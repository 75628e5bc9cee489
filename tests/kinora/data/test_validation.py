"""Great Expectations finds every way in which a row or its file breaks the contract."""

import shutil
from dataclasses import fields, replace

import pandas as pd
import pytest

from kinora.data import validation
from kinora.data.batch_checks import Batch, check_batch
from kinora.data.clips import ClipDataset
from kinora.data.validation import validate
from kinora.data.validation_config import ValidationConfig
from kinora.errors import KinoraError, UsageError


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


def test_rows_that_break_the_contract_go_to_quarantine(dataset, tmp_path, monkeypatch):
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
    monkeypatch.setattr(validation, "ASKED", 7)  # not in the same piece
    ClipDataset.write(dataset.path, clips, dataset.quarantine, dataset.config)
    valid, page, figures = validate(dataset, tmp_path / "valid")
    moved = valid.quarantine[valid.quarantine["reason"] == "failed_validation"]
    assert figures["failed_validation"] == len(moved) == 9
    found = {(row.source, row.source_start_s): row.explanation for row in moved.itertuples()}
    for place, sentence in spoiled.items():
        assert sentence in found[place]
    assert clips.at[8, "clip_id"] in set(valid.clips["clip_id"])
    assert valid.clips["clip_id"].is_unique
    assert len(valid.clips) + len(moved) == len(clips)
    text = page.write(tmp_path / "report.html").read_text()
    assert "Broken" in text
    # Rows 0 to 3, 6 and 7 can be shown, and both with one clip_id; 4 is another size, and 5 has no file.
    assert text.count('class="failed"') >= 7
    assert "Not so: split is train or validation." in text


def test_a_table_that_is_wrong_as_a_whole_is_one_sentence(dataset, tmp_path):
    shutil.copytree(dataset.path, tmp_path / "wrong")
    dataset.clips.astype({"width": "float64"}).to_parquet(tmp_path / "wrong" / "clips.parquet")
    with pytest.raises(KinoraError, match="breaks its contract: width is int64"):
        validate(ClipDataset.open(tmp_path / "wrong"), tmp_path / "valid")
    empty = dataset.derive(tmp_path / "empty", dataset.clips.head(0), dataset.quarantine, {})
    with pytest.raises(KinoraError, match="there is at least one clip"):
        validate(empty, tmp_path / "valid")
    for uri in dataset.clips["uri"]:
        (dataset.path / uri).unlink()
    with pytest.raises(KinoraError, match=r"no clip in .* keeps the contract .*its file is there"):
        validate(dataset, tmp_path / "valid")
    assert not (tmp_path / "valid").exists()


def batch(clips, quarantine, last=None, **limits):
    """Return the limits that clips break, and the sentences."""
    sets = [one and Batch.of([one[0]], [one[1]]) for one in ((clips, quarantine), last)]
    found = check_batch(sets[0], ValidationConfig(**limits), sets[1])
    return {finding.limit for finding in found if not finding.met}, [f.expected for f in found if not f.met]


def test_every_limit_of_a_dataset_as_a_whole_can_be_broken(dataset):
    clips, quarantine = dataset.clips, dataset.quarantine
    rejected = pd.DataFrame({"source": ["a", "b"], "source_start_s": 0.0, "reason": ["near_duplicate", "undecodable"]})
    assert batch(clips, quarantine) == (set(), [])
    assert batch(clips, quarantine, fewest_clips=len(clips) + 1)[0] == {"fewest_clips"}
    assert batch(clips.head(1), rejected, most_quarantined=0.6, fewest_clips=1)[0] == {"most_quarantined"}
    assert batch(clips.head(1), rejected, most_duplicates=0.3)[0] == {"most_duplicates"}
    one_of_three = Batch.of([clips.head(1)], [rejected])
    found = [one for one in check_batch(one_of_three, ValidationConfig(most_quarantined=0.6)) if not one.met]
    assert [(one.limit, one.observed) for one in found] == [("most_quarantined", "66.7%")]
    assert batch(clips.assign(caption=""), quarantine, least_captioned=0.1)[0] == {"least_captioned"}
    assert batch(clips.assign(split="train"), quarantine, least_validation=0.1)[0] == {"least_validation"}
    assert batch(clips.assign(split="validation"), quarantine)[0] == {"most_validation"}


def test_every_limit_beside_the_last_dataset_can_be_broken(dataset):
    clips, quarantine = dataset.clips, dataset.quarantine
    last = (clips, quarantine)
    assert batch(clips, quarantine, last) == (set(), [])
    fewer, sentences = batch(clips.head(len(clips) // 4), quarantine, last, mean_shift=0, quantile_shift=0)
    assert "row_change" in fewer
    assert f"as many clips as the last dataset's {len(clips)}" in sentences[0]
    brighter = clips.assign(brightness=clips["brightness"] + 0.6 * clips["brightness"].std(ddof=0))
    assert batch(brighter, quarantine, last)[0] == {"mean_shift"}
    brighter = clips.assign(brightness=clips["brightness"] + 1.1 * clips["brightness"].std(ddof=0))
    assert batch(brighter, quarantine, last)[0] == {"mean_shift", "quantile_shift"}
    assert batch(brighter, quarantine, last, mean_shift=0, quantile_shift=0)[0] == set()
    held = batch(clips.assign(split="validation"), quarantine, last, most_validation=1.0)
    assert held[0] == {"share_change"}
    assert "the share of held-out clips" in held[1][0]
    assert "x" in batch(clips.assign(width=clips["width"] + 8), quarantine, last)[1][0]
    assert batch(clips.assign(width=clips["width"] + 8), quarantine, last, share_change=0)[0] == set()


def test_a_broken_expectation_warns_or_stops_as_the_recipe_says(dataset, tmp_path):
    clips = dataset.clips
    dark = clips.assign(brightness=clips["brightness"] / 4)
    last = ClipDataset.write(tmp_path / "last", dark, dataset.quarantine, dataset.config)
    valid, page, figures = validate(dataset, tmp_path / "valid", last=last)
    assert len(valid.clips) == len(clips)
    assert figures["warnings"] == figures["expectations"] - figures["expectations_met"] == 2
    assert figures["psi_brightness"] > 0.2
    text = page.write(tmp_path / "report.html").read_text()
    assert "2 expectations of the dataset as a whole were broken, which is a warning" in text
    assert f"brightness {clips['brightness'].max():.3g}" in text  # the clip that lies furthest, playing
    assert "brightness" in text.split("columns drifted: ")[1].split(".")[0]
    with pytest.raises(
        KinoraError, match=r"not accepted: expected the mean of brightness .* set validation.mean_shift"
    ):
        validate(dataset, tmp_path / "stopped", config=ValidationConfig(stops=("mean_shift",)), last=last)
    assert not (tmp_path / "stopped").exists()


def test_limits_that_make_no_sense_are_one_sentence():
    with pytest.raises(UsageError, match=r"stops names most_clips; the expectations that can stop are fewest_clips"):
        ValidationConfig(stops=("most_clips",))
    for field in fields(ValidationConfig):
        if field.name != "stops":
            with pytest.raises(UsageError, match="validation"):
                replace(ValidationConfig(), **{field.name: -1})
