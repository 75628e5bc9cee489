"""Progress writes plain lines and a file that another process can read at any moment."""

import json

from kinora.progress import Progress


def test_the_progress_file_holds_the_count_and_the_figures(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("KINORA_PROGRESS_DIR", str(tmp_path))
    with Progress("train autoencoder", total=4) as progress:
        for step in range(1, 5):
            progress.update(step, loss=1 / step)
    record = json.loads((tmp_path / "train-autoencoder.json").read_text())
    assert (record["done"], record["total"], record["figures"]) == (4, 4, {"loss": 0.25})
    assert "train autoencoder: 4/4 steps" in capsys.readouterr().err


def test_a_resumed_task_remembers_where_it_began(tmp_path, monkeypatch):
    monkeypatch.setenv("KINORA_PROGRESS_DIR", str(tmp_path))
    with Progress("pretrain", total=100) as progress:
        progress.update(60)
        progress.update(70)
    assert json.loads((tmp_path / "pretrain.json").read_text())["first"] == 60


def test_work_goes_on_where_its_progress_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("KINORA_PROGRESS_DIR", str(tmp_path / "file"))
    with Progress("train transformer", 10) as progress:
        progress.update(10)
    assert progress.done == 10
