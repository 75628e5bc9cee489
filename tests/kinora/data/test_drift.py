"""Drift is the population stability index by its formula; chance is not called drift, and what moved is."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from kinora.data.clips import ClipDataset
from kinora.data.drift import (
    MIN_ROWS,
    OF_FRAMES,
    PSI_THRESHOLD,
    DriftConfig,
    compare,
    dataset_drift,
    drift_section,
    generated_against_real,
)
from kinora.errors import UsageError
from kinora.report import Page


def test_the_index_of_a_category_is_that_of_the_formula():
    current = pd.DataFrame({"kind": ["video"] * 70 + ["image"] * 30, "same": ["a", "b"] * 50})
    reference = pd.DataFrame({"kind": ["video"] * 40 + ["image"] * 60, "same": ["a", "b"] * 50})
    result = compare(current, reference, ["kind", "same"])
    p, q = np.array([0.7, 0.3]), np.array([0.4, 0.6])
    figures = result.figures()
    assert figures["psi_kind"] == pytest.approx(((p - q) * np.log(p / q)).sum(), rel=1e-3)
    assert figures["psi_kind"] >= PSI_THRESHOLD > figures["psi_same"]
    assert (result.drifted, figures["drifted_share"]) == (["kind"], 0.5)
    kind = result.columns[0]
    assert (kind.bins, kind.current, kind.reference) == (("image", "video"), (0.3, 0.7), (0.6, 0.4))


def test_bins_hold_as_many_reference_rows_each_and_a_frequent_value_has_its_own():
    reference = pd.DataFrame({"even": np.arange(1000.0), "zeros": np.maximum(np.arange(1000.0) - 500, 0)})
    even, zeros = compare(reference, reference).columns
    assert even.reference[:10] == pytest.approx([0.1] * 10)
    assert max(zeros.reference) == pytest.approx(0.5, abs=0.01)
    assert even.psi == zeros.psi == 0
    moved = compare(reference.assign(zeros=1e-9), reference)
    assert moved.drifted == ["zeros"]


@pytest.mark.parametrize("rows", [(20, 20), (30, 2000), (400, 400)])
def test_chance_is_not_drift_and_a_shift_is(rows):
    """Of 40 columns drawn from one distribution, chance may take one for drifted; PSI alone takes most, of few rows."""
    rng = np.random.default_rng(0)
    names = [f"c{number}" for number in range(40)]
    current, reference = (pd.DataFrame(rng.normal(size=(count, 40)), columns=names) for count in rows)
    result = compare(current, reference)
    assert len(result.drifted) <= 2
    if rows == (20, 20):
        assert sum(column.psi >= PSI_THRESHOLD for column in result.columns) > 20
    assert len(compare(current + 3, reference).drifted) == 40


def test_what_is_missing_is_a_value_like_any_other():
    rng = np.random.default_rng(0)
    full = pd.DataFrame({"a": rng.normal(size=100)})
    assert compare(full, full.where(full["a"] > 0)).drifted == ["a"]


def test_a_few_rows_say_nothing():
    table = pd.DataFrame({"a": range(MIN_ROWS)})
    assert len(compare(table, table).columns) == 1
    result = compare(table, table.head(MIN_ROWS - 1))
    assert (result.columns, result.figures(), result.drifted_share) == ((), {}, 0)
    assert "say nothing about drift" in result.sentence("these", "those")


def test_the_page_shows_every_column_and_fits_a_phone(tmp_path, in_browser):
    rng = np.random.default_rng(0)
    table = pd.DataFrame({name: rng.normal(size=100) for name in "abc"} | {"kind": ["video", "image"] * 50})
    result = compare(table.assign(a=table["a"] + 2), table, ["kind"])
    page = drift_section(Page("Drift"), "Clips", result, "these", "the last ones").write(tmp_path / "drift.html")
    text = page.read_text()
    assert "1 of 4 columns drifted: a." in text
    assert text.count("<svg") == 4
    assert len(text) < 300_000
    (width,) = in_browser([page], "document.documentElement.scrollWidth")
    assert width <= 390


def test_two_datasets_are_compared_without_who_wrote_captions(real_dataset, tmp_path):
    clips = real_dataset.clips
    darker = clips.assign(brightness=clips["brightness"] / 4, caption_source="human", caption="A man talks.")
    other = ClipDataset.write(tmp_path / "other", darker, real_dataset.quarantine, real_dataset.config)
    result = dataset_drift(other, real_dataset)
    assert {"brightness", "caption_words"} <= set(result.drifted)
    assert {"caption_source"}.isdisjoint(column.name for column in result.columns)
    assert dataset_drift(real_dataset, real_dataset).drifted == []


def test_generated_clips_are_held_against_held_out_ones(real_dataset, tmp_path):
    clips = real_dataset.clips
    videos = clips[clips["kind"] == "video"].assign(split="validation")
    held_out = real_dataset.derive(tmp_path / "held-out", videos, real_dataset.quarantine, real_dataset.config)
    own = [(real_dataset.row_frames(row), row["fps"]) for row in videos.to_dict("records")]
    same = generated_against_real(own, held_out)
    assert [column.name for column in same.columns] == list(OF_FRAMES)
    assert same.current_rows == same.reference_rows == len(videos) >= MIN_ROWS
    assert same.drifted == []
    noise = np.random.default_rng(0).integers(0, 256, (len(videos), 9, 32, 32, 3), dtype=np.uint8)
    other = generated_against_real([(frames, 8.0) for frames in noise], held_out)
    assert {"motion", "sharpness"} <= set(other.drifted)
    assert generated_against_real([], held_out).columns == ()


def test_thresholds_out_of_range_are_one_sentence():
    for wrong in ({"days": 0}, {"psi": 0.0}, {"fewest_requests": 2}, {"drifted_share": 0.0}, {"quality_floor": 1.5}):
        with pytest.raises(UsageError, match="drift"):
            replace(DriftConfig(), **wrong)
