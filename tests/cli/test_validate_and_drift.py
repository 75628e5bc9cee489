"""`kinora validate --against` and `kinora drift`, as a person calls them."""

import json
from datetime import UTC, datetime

import pytest

from cli.main import main
from kinora.data.clips import ClipDataset, table
from kinora.data.columns import CLIP_COLUMNS, QUARANTINE_COLUMNS


@pytest.fixture
def dataset(tmp_path) -> ClipDataset:
    """Captioned clips without media."""
    row = {"kind": "video", "width": 32, "height": 32, "frames": 17, "fps": 8.0, "split": "train"}
    rows = [row | {"clip_id": f"{number:064x}", "caption": "A red circle falls."} for number in range(20)]
    return ClipDataset.write(tmp_path / "clips", table(rows, CLIP_COLUMNS), table([], QUARANTINE_COLUMNS), {})


def test_a_dataset_is_validated_beside_another_one(tmp_path, capsys):
    clips = str(tmp_path / "clips")
    few = ["--set", "ingest.simulated.videos=8", "--set", "ingest.simulated.images=0"]
    assert main(["ingest", "worlds", "--out", clips, "--recipe", "smoke", *few]) == 0
    made = ClipDataset.open(clips)
    dark = made.clips.assign(brightness=made.clips["brightness"] / 4)
    last = str(ClipDataset.write(tmp_path / "last", dark, made.quarantine, made.config).path)
    assert main(["validate", clips, "--out", str(tmp_path / "valid"), "--against", last]) == 0
    assert "8 clips kept, 0 moved to quarantine, 2 warnings: " in capsys.readouterr().out
    assert "the mean of brightness is within" in (tmp_path / "valid" / "report.html").read_text()
    stop = 'validation.stops=["mean_shift"]'
    assert main(["validate", clips, "--out", str(tmp_path / "not"), "--against", last, "--set", stop]) == 1
    assert "is not accepted: expected the mean of brightness" in capsys.readouterr().err
    assert not (tmp_path / "not").exists()


def test_requests_of_the_log_are_compared(dataset, tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("KINORA_ARTIFACT_ROOT", raising=False)
    row = {"at": datetime.now(UTC).isoformat(), "kind": "video", "task": "text", "prompt": "A dragon falls."}
    row |= {"width": 32, "height": 32, "frames": 17, "fps": 8.0}
    folder = tmp_path / "work" / "artifacts" / "requests" / f"{datetime.now(UTC):%Y-%m-%d}"
    folder.mkdir(parents=True)
    places = [str(dataset.path), "--work", str(tmp_path / "work"), "--out", str(tmp_path / "drift")]
    assert main(["drift", *places]) == 1
    assert "0 requests and 20 captions say nothing about drift" in capsys.readouterr().err
    (folder / "1.jsonl").write_text(f"{json.dumps(row)}\n" * 12)
    assert main(["drift", *places]) == 0
    assert "33% of the words are new to it" in capsys.readouterr().out
    assert json.loads((tmp_path / "drift" / "drift.json").read_text())["requests"] == 12
    assert "dragon" in (tmp_path / "drift" / "drift.html").read_text()
