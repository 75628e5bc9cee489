"""Artifacts, training state and promoted versions under an s3:// artifact root, on a real S3 server."""

from pathlib import Path

import pytest
from kfp import dsl

from components.runtime import mirror
from components.runtime.mirror import mirrored, whole_folders
from components.runtime.step import running
from kinora.storage import open_store


def test_finished_artifacts_are_stored_once(s3_root, tmp_path):
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "table").write_text("rows")
    (tmp_path / "report").write_text("<h1>report</h1>")
    clips, report = (dsl.Artifact(name=name, uri=str(tmp_path / name), metadata={}) for name in ("clips", "report"))
    for _ in range(2):
        with running("ingest", s3_root) as step:
            step.keep(clips, report)
    store = open_store(s3_root)
    assert len(whole_folders(store, "steps/ingest/clips")) == len(whole_folders(store, "steps/ingest/report")) == 1
    root, _, key = clips.metadata["stored"].rpartition("/")
    open_store(root).get_folder(key, tmp_path / "back")
    assert (tmp_path / "back" / "table").read_text() == "rows"


def test_training_state_outlives_its_machine(s3_root, monkeypatch, wait_until):
    monkeypatch.setattr(mirror, "SECONDS_BETWEEN_SNAPSHOTS", 0.05)
    store = open_store(s3_root)

    def train() -> None:
        with mirrored(store, "checkpoints/a") as folder:
            save(folder, "step-1")
            wait_until(lambda: whole_folders(store, "checkpoints/a"))
            save(folder, "step-2")
            raise InterruptedError

    with pytest.raises(InterruptedError):
        train()
    assert len(whole_folders(store, "checkpoints/a")) == 1
    with mirrored(store, "checkpoints/a") as folder:
        assert sorted(path.name for path in folder.iterdir()) == ["step-1", "step-2"]
    with mirrored(store, "checkpoints/b") as folder:
        assert not list(folder.iterdir())


def test_a_log_that_grows_does_not_spoil_a_snapshot(s3_root, monkeypatch):
    monkeypatch.setattr(mirror, "SECONDS_BETWEEN_SNAPSHOTS", 0.02)
    store = open_store(s3_root)
    with mirrored(store, "checkpoints/a") as folder:
        save(folder, "step-1")
        with open(folder / "training.jsonl", "a") as file:
            for number in range(4000):
                file.write(f"{number}\n")
                file.flush()
                if number % 1000 == 500:
                    save(folder, f"step-{2 + number // 1000}")
        (folder / ".half-written").write_text("")
    with mirrored(store, "checkpoints/a") as folder:
        assert (folder / "training.jsonl").read_text().splitlines()[-1] == "3999"
        assert sorted(path.name for path in folder.glob("[!t]*")) == [f"step-{number}" for number in range(1, 6)]


def test_a_snapshot_that_was_not_finished_is_passed_over(s3_root, tmp_path):
    store = open_store(s3_root)
    with mirrored(store, "checkpoints/a") as folder:
        (folder / "whole").write_text("whole")
    (tmp_path / "half").write_text("half")
    store.put_file(tmp_path / "half", "checkpoints/a/00000002/half")  # no manifest: its machine died
    with mirrored(store, "checkpoints/a") as folder:
        assert [path.name for path in folder.iterdir()] == ["whole"]


def save(folder: Path, name: str) -> None:
    (folder / name).mkdir()
    (folder / name / "weights").write_text(name)
