"""Training starts where requests have drifted and are answered badly, and nowhere else."""

import re

import pytest

from kinora.data.drift import DriftConfig
from kinora.data.training_need import need_page, training_need

CONFIG = DriftConfig()
FAR = {"requests": 100.0, "drifted_share": 0.6, "unknown_words": 0.0}
NEW_WORDS = FAR | {"drifted_share": 0.0, "unknown_words": 0.2}
NEAR = FAR | {"drifted_share": 0.2, "unknown_words": 0.05}
BAD, GOOD, NONE = {"judged": 16.0, "answered": 0.25}, {"judged": 16.0, "answered": 0.75}, {"judged": 0.0}


@pytest.mark.parametrize(
    ("drift", "quality", "train", "sentence"),
    [
        (FAR, BAD, True, "60% of the features drifted .* only 25% of 16 recent prompts"),
        (NEW_WORDS, BAD, True, "20% of the words are new"),
        (FAR, GOOD, False, "still answers 75%"),
        (NEAR, BAD, False, "are what the model was trained for"),
        (FAR, NONE, False, "none of them can be judged"),
        ({"requests": 49.0}, NONE, False, "49 requests in 7 days decide nothing; 50 are needed"),
    ],
)
def test_both_must_say_so(drift, quality, train, sentence, tmp_path):
    need = training_need(drift, quality, CONFIG)
    assert need.train == train
    assert re.search(sentence, need.reason)
    page = need_page(need, drift, quality, CONFIG).write(tmp_path / "need.html").read_text()
    assert ("Training starts" in page) == train
    assert need.reason in page
