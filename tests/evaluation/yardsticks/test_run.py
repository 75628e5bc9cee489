"""`kinora evaluate yardsticks`: on clips, and on a model version."""

import json
import re

import numpy as np
import pytest

from cli.main import main
from kinora import recipes
from kinora.config import to_dict
from kinora.generation.model_version import write_version
from kinora.media import write_image, write_video


def test_clips_are_measured_by_vbench_alone(tmp_path, capsys):
    frames = np.random.default_rng(0).integers(0, 256, (9, 32, 32, 3)).astype(np.uint8)
    (tmp_path / "clips").mkdir()
    write_video(tmp_path / "clips" / "still.mp4", np.repeat(frames[:1], 9, axis=0), 8.0)
    write_image(tmp_path / "clips" / "picture.png", frames[0])
    (tmp_path / "clips" / "broken.mp4").write_bytes(b"no video")
    out = tmp_path / "out"
    assert main(["evaluate", "yardsticks", str(tmp_path / "clips"), "--out", str(out)]) == 0
    record = json.loads((out / "yardsticks.json").read_text())
    assert record["preference_error"] == {}
    assert record["vbench"]["model"]["motion smoothness"]["clips"] == 1  # a picture has no course
    assert record["vbench"]["model"]["dynamic degree"] == {"mean": 0.0, "clips": 1}
    assert record["vbench"]["model"]["temporal flickering"]["mean"] > 0.99
    page = (out / "yardsticks.html").read_text()
    assert "2 clips were measured; of 1 of more than one frame 0.0% (0.0–79) move." in page  # Wilson's of 0 of 1
    assert "HunyuanVideo" in page
    assert "broken.mp4" in page
    assert "skipped" in capsys.readouterr().err


@pytest.fixture
def version(model_folders, tmp_path):
    recipe = to_dict(recipes.get("tiny", "ingest.worlds.frames=[17] sampling.steps=2"))
    folders = [model_folders / part for part in ("vae", "dit", "captioner")]
    return write_version(tmp_path / "versions", *folders, recipe, {}, {})


def test_a_version_is_measured_by_both(version, tmp_path):
    out = tmp_path / "out"
    words = ["evaluate", "yardsticks", str(version.path), "--out", str(out), "--pairs", "1", "--clips", "2"]
    assert main(words) == 0
    record = json.loads((out / "yardsticks.json").read_text())
    assert record["name"] == version.name
    assert record["preference_error"]["gravity reversed"]["model"]["of"] == 1
    assert record["vbench"]["simulator"]["motion smoothness"]["clips"] == 2
    page = (out / "yardsticks.html").read_text()
    assert "untrained" in page
    assert "2510.11512" in page
    published = re.search(r"published: Hunyuan T2V</span></td>\s*<td.*?>–</span></td><td.*?><span>(.*?)</span>", page)
    assert published[1] == "43.6%"  # in the column of the model's own error


@pytest.mark.parametrize(("words", "said"), [(["--pairs", "0"], "1 or more"), ([], "nothing-there")])
def test_what_cannot_be_measured_is_said(tmp_path, capsys, words, said):
    assert main(["evaluate", "yardsticks", "nothing-there", "--out", str(tmp_path / "out"), *words]) in (1, 2)
    assert said in capsys.readouterr().err
