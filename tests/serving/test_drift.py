"""Requests that differ from the training captions are called drift; the same ones are not."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from kinora.data.accepted import keep_tables
from kinora.data.clips import ClipDataset, table
from kinora.data.columns import CLIP_COLUMNS, QUARANTINE_COLUMNS
from kinora.data.drift import DriftConfig
from kinora.errors import KinoraError
from kinora.generation import Registry, write_version
from serving import drift as module
from serving.drift import TrainingTexts, drift_from_deployed, drift_page, request_drift, training_texts, write_drift

CAPTIONS = ("A red circle moves.", "A blue square moves slowly to the left.")


@pytest.fixture
def dataset(tmp_path) -> ClipDataset:
    """Two hundred captioned clips, half of them with a short caption, and some that training does not see."""
    rows = [
        {
            "clip_id": f"{number:064x}", "kind": "video", "width": 32, "height": 32, "frames": 17, "fps": 8.0,
            "caption": CAPTIONS[number % 2], "short_caption": "red circle" if number % 2 == 0 else "",
            "split": "train" if number < 200 else "validation",
        }
        for number in range(220)
    ]  # fmt: skip
    rows.append(rows[0] | {"clip_id": "f" * 64, "caption": "", "short_caption": ""})
    return ClipDataset.write(tmp_path / "clips", table(rows, CLIP_COLUMNS), table([], QUARANTINE_COLUMNS), {})


@pytest.fixture
def training(dataset) -> TrainingTexts:
    return training_texts(dataset)


def asked(training: TrainingTexts, rows: int = 100) -> pd.DataFrame:
    """Return requests that are drawn from the training captions."""
    drawn = training.texts.sample(rows, random_state=0, ignore_index=True)
    return drawn.rename(columns={"text": "prompt"}).assign(task="text", kind="video")


def test_every_caption_of_training_counts_and_no_other(training):
    assert training.texts["text"].value_counts().to_dict() == {CAPTIONS[0]: 100, CAPTIONS[1]: 100, "red circle": 100}


def test_of_many_captions_some_are_compared_and_the_words_of_all_are_known(dataset, training, monkeypatch):
    rare = dataset.clips.copy()
    rare.loc[150, "caption"] = "A unique unicorn."
    ClipDataset.write(dataset.path, rare, dataset.quarantine, {})
    monkeypatch.setattr(module, "MOST_CAPTIONS", 60)
    some = training_texts(ClipDataset.open(dataset.path))
    assert 40 <= len(some.texts) <= 80
    assert some.words == training.words | {"unique", "unicorn"}
    assert request_drift(asked(training), some, DriftConfig()).result.drifted == []


def test_what_is_asked_for_differently_drifts_and_the_same_does_not(training):
    same = asked(training)
    drift = request_drift(same, training, DriftConfig())
    assert (drift.result.drifted, drift.unknown_share) == ([], 0)
    other = same.assign(prompt="An unheard dragon circle", frames=np.where(np.arange(100) % 2, 65, 33))
    drift = request_drift(other, training, DriftConfig())
    assert {"frames", "content_word", "words"} <= set(drift.result.drifted)
    assert "fps" not in drift.result.drifted
    assert drift.unknown == {"an": 100, "unheard": 100, "dragon": 100}
    assert drift.unknown_share == 0.75
    assert drift.figures()["requests"] == 100
    assert drift.figures()["drifted_share"] >= DriftConfig().drifted_share


def test_drift_is_measured_from_the_tables_of_the_deployed_version(training, dataset, model_folders, tmp_path):
    root, config = str(tmp_path / "artifacts"), DriftConfig()
    page, figures = drift_from_deployed(asked(training, 20), Registry(root), config)
    assert figures == {"requests": 20}
    assert "20 requests in 7 days say nothing" in page.summary
    with pytest.raises(KinoraError, match="no model version is deployed"):
        drift_from_deployed(asked(training), Registry(root), config)
    parts = (model_folders / part for part in ("vae", "dit", "captioner"))
    evaluation = {"clips": [], "rates": {"overall": 0.0}}
    version = write_version(tmp_path / "versions", *parts, {"name": "r"}, evaluation, {"dataset": dataset.digest})
    Registry(root).promote(version.path, verdict="by hand")
    with pytest.raises(KinoraError, match=r"the tables of the dataset .* are not kept"):
        drift_from_deployed(asked(training), Registry(root), config)
    keep_tables(root, dataset)
    page, figures = drift_from_deployed(asked(training), Registry(root), config)
    assert (figures["requests"], figures["drifted_share"], figures["unknown_words"]) == (100, 0, 0)


def test_an_image_has_no_rate_whatever_was_asked(training):
    images = asked(training).assign(frames=1, fps=24.0)
    stills = replace(training, texts=training.texts.assign(frames=1, fps=0.0))
    assert request_drift(images, stills, DriftConfig()).result.drifted == []


def test_the_page_names_what_is_new_and_fits_a_phone(training, tmp_path, in_browser):
    other = asked(training).assign(prompt="An unheard dragon", task=["text"] * 90 + ["extend"] * 10)
    path = write_drift(request_drift(other, training, DriftConfig()), "the model", tmp_path)
    text = path.read_text()
    for said in ("dragon", "extend", "100", "drifted"):
        assert said in text
    assert len(text) < 200_000
    (width,) = in_browser([path], "document.documentElement.scrollWidth")
    assert width <= 390
    assert drift_page(request_drift(asked(training), training, DriftConfig()), "the model").title


def test_too_little_to_compare_is_one_sentence(training, dataset, tmp_path):
    with pytest.raises(KinoraError, match="2 requests and 300 captions say nothing"):
        request_drift(asked(training, 2), training, DriftConfig())
    silent = ClipDataset.write(
        tmp_path / "silent", dataset.clips.assign(caption="", short_caption=""), dataset.quarantine, {}
    )
    with pytest.raises(KinoraError, match="have no captions"):
        training_texts(silent)
