"""Features come back from the store that training reads, also after it has moved; drift is found where it is."""

import shutil
import tempfile

import numpy as np
import pandas as pd
import pytest

from kinora.data.clips import ClipDataset
from kinora.data.clips import table as clip_table
from kinora.data.columns import CLIP_COLUMNS, QUARANTINE_COLUMNS
from kinora.data.features import FEATURES, feature_report, online_features, publish_features, read_features
from kinora.errors import KinoraError


def dataset(clips: int, seed: int) -> ClipDataset:
    """A table of clips without media, every feature drawn from one distribution for both splits."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame({"clip_id": [f"{seed:08x}{number:056x}" for number in range(clips)]})
    for name, kind in CLIP_COLUMNS.items():
        if kind == "float64":
            table[name] = rng.random(clips)
        elif kind == "int64":
            table[name] = rng.choice([24, 32, 40], clips)
    table = table.assign(kind="video", fps=8.0, caption="A red circle moves.", short_caption="A red circle.")
    table = table.assign(caption_source="simulator", uri="", source="")
    table = clip_table(table.assign(split=rng.choice(["train", "validation"], clips)).to_dict("records"), CLIP_COLUMNS)
    return ClipDataset.write(tempfile.mkdtemp(), table, clip_table([], QUARANTINE_COLUMNS), {})


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A dataset and the moved folder of its features."""
    clips, folder = dataset(600, 1), tmp_path_factory.mktemp("features")
    publish_features(clips, folder / "first")
    shutil.move(folder / "first", folder / "moved")
    return clips, folder / "moved"


def test_features_come_back_in_the_order_asked(published):
    clips, folder = published
    asked = clips.clips["clip_id"].sample(50, random_state=0).tolist()
    found = read_features(folder, asked)
    expected = clips.clips.set_index("clip_id").loc[asked, list(FEATURES)].reset_index()
    pd.testing.assert_frame_equal(found, expected)
    assert len(read_features(folder)) == 600


def test_the_online_store_agrees_with_the_offline_store(published):
    clips, folder = published
    asked = clips.clips["clip_id"].tolist()[:3]
    online, offline = online_features(folder, [*asked, "unknown"]), read_features(folder, asked)
    for name in FEATURES:
        assert online[name] == [*offline[name], None]


def test_what_is_not_there_is_one_sentence(published, tmp_path):
    with pytest.raises(KinoraError, match="no features of 1 clips, the first unknown"):
        read_features(published[1], ["unknown"])
    with pytest.raises(KinoraError, match="holds no published features"):
        read_features(tmp_path, ["unknown"])
    with pytest.raises(KinoraError, match="cannot be used"):
        publish_features(published[0], "/dev/null/features")


def test_drift_is_found_where_it_is(published):
    clips, folder = published
    path, figures = feature_report(clips, folder)
    assert figures["drifted_share"] == 0
    assert "<html" in path.read_text()[:2000].lower()
    training = dataset(600, 2).clips[["clip_id", *FEATURES]]
    _, figures = feature_report(clips, folder, training.assign(motion=training["motion"] ** 4))
    assert figures["psi_motion"] > 0.2 > figures["psi_brightness"]
    assert figures["drifted_share"] == pytest.approx(1 / 11)


def test_a_handful_of_clips_is_summarised_without_a_verdict(real_dataset, tmp_path):
    publish_features(real_dataset, tmp_path / "features")
    path, figures = feature_report(real_dataset, tmp_path / "features")
    assert path.stat().st_size > 100_000
    assert "drifted_share" not in figures
