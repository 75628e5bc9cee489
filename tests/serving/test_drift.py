"""Requests that differ from the training prompts are called drift; the same ones are not."""

import numpy as np
import pandas as pd
import pytest

from kinora.errors import KinoraError
from serving.drift import features, read_requests, request_drift
from serving.jobs import JobRequest, JobStore


def training(count: int = 200) -> pd.DataFrame:
    captions = ["A red circle moves.", "A blue square moves slowly to the left."]
    return pd.DataFrame(
        {"caption": [captions[n % 2] for n in range(count)], "width": 32, "height": 32, "frames": 17, "fps": 8.0}
    )


def test_what_is_asked_for_differently_drifts_and_the_same_does_not(tmp_path):
    same = training(100).rename(columns={"caption": "prompt"})
    assert request_drift(same, training(), tmp_path / "same")["drifted_share"] == 0
    other = same.assign(prompt="An unheard dragon", frames=np.where(np.arange(100) % 2, 65, 33))
    figures = request_drift(other, training(), tmp_path / "other")
    assert figures["psi_frames"] > 0.2 < figures["psi_unknown_words"]
    assert figures["psi_fps"] == pytest.approx(0, abs=0.01)
    assert (tmp_path / "other" / "drift.html").stat().st_size > 100_000


def test_features_count_words_that_were_never_seen():
    table = pd.DataFrame({"prompt": ["a red dragon moves"], "width": 32, "height": 24, "frames": 1, "fps": 8.0})
    row = features(table, {"a", "red", "moves"}).iloc[0]
    assert (row.words, row.unknown_words, row.height) == (4, 0.25, 24)


def test_requests_are_read_from_the_queue(tmp_path):
    store = JobStore(tmp_path / "serving" / "jobs.sqlite")
    store.create(JobRequest("video", "a red circle", 40, 24, 17, 8.0, 1), "f", 10)
    assert read_requests(tmp_path).to_dict("records") == [
        {"prompt": "a red circle", "width": 40, "height": 24, "frames": 17, "fps": 8.0}
    ]


def test_too_little_to_compare_is_one_sentence(tmp_path):
    with pytest.raises(KinoraError, match="say nothing"):
        request_drift(training(2).rename(columns={"caption": "prompt"}), training(), tmp_path)
    with pytest.raises(KinoraError, match="no requests"):
        read_requests(tmp_path)
