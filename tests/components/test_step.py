"""What surrounds a component's body: failures as sentences, figures, training state, finished artifacts."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from kfp import dsl

from components.runtime.code_digest import code_digest
from components.runtime.step import FAILURE, lasting_uri, running
from kinora.errors import KinoraError
from kinora.progress import PROGRESS_DIR, Progress


def test_a_refused_failure_ends_with_a_sentence_and_is_left_for_the_watcher(tmp_path, monkeypatch):
    monkeypatch.setenv(PROGRESS_DIR, str(tmp_path))
    with pytest.raises(SystemExit) as end, running("ingest", str(tmp_path)):
        raise KinoraError("the folder is empty; fill it.")
    assert end.value.code == "ingest: the folder is empty; fill it."  # Python prints it and exits with 1
    assert json.loads((tmp_path / FAILURE).read_text()) == {
        "step": "ingest",
        "sentence": "the folder is empty; fill it.",
    }


@pytest.mark.parametrize("root", ["", "/data", "file:///data"])
def test_on_a_cluster_the_first_step_refuses_a_root_that_keeps_nothing(tmp_path, monkeypatch, root):
    from components.plan_ingest.component import plan_ingest

    if root:
        monkeypatch.setenv("KFP_POD_NAME", "world-simulator-1-2")  # as Kubeflow sets it; its disk ends with it
    outputs = [dsl.Artifact(name=name, uri=str(tmp_path / name), metadata={}) for name in ("report", "metrics")]
    with pytest.raises(SystemExit) as end:
        plan_ingest.python_func("worlds", "smoke", "", root, "", *outputs)
    sentence = r"plan-ingest: artifact_root is [^.]* lost[^.]*; give s3://BUCKET/PREFIX[^.]*\."
    assert re.fullmatch(sentence, end.value.code)
    assert not list(tmp_path.iterdir())


def test_a_bug_keeps_its_traceback(tmp_path, monkeypatch):
    monkeypatch.setenv(PROGRESS_DIR, str(tmp_path))
    with pytest.raises(ZeroDivisionError), running("ingest", str(tmp_path)):
        raise ZeroDivisionError("a bug")
    assert "ZeroDivisionError" in json.loads((tmp_path / FAILURE).read_text())["sentence"]


def test_every_task_has_its_own_progress(tmp_path, monkeypatch):
    monkeypatch.setenv(PROGRESS_DIR, str(tmp_path))
    with running("evaluate", str(tmp_path), item="step-000100"), Progress("generate", 3) as progress:
        progress.update(3)
    assert (tmp_path / "evaluate-step-000100" / "generate.json").exists()


def test_figures_are_metadata_and_a_file(tmp_path):
    metrics = dsl.Metrics(name="metrics", uri=str(tmp_path / "metrics"), metadata={})
    with running("validate", str(tmp_path)) as step:
        step.measured(metrics, {"clips": 12})
    assert metrics.metadata == {"clips": 12}
    assert json.loads((tmp_path / "metrics").read_text()) == {"clips": 12}


def test_training_state_stays_after_an_interruption_and_goes_when_training_is_done(tmp_path):
    def train(data: str, interrupted: bool) -> list[str]:
        with running("pretrain", str(tmp_path)) as step, step.state({"steps": 5}, data) as folder:
            found = sorted(path.name for path in folder.iterdir())
            (folder / f"step-{len(found)}").write_text("state")
            if interrupted:
                raise InterruptedError
        return found

    with pytest.raises(InterruptedError):
        train("a", interrupted=True)
    with pytest.raises(InterruptedError):
        train("a", interrupted=True)
    assert train("b", interrupted=False) == []  # another data set never resumes this one's state
    assert train("a", interrupted=False) == ["step-0", "step-1"]
    assert train("a", interrupted=False) == []


def test_later_steps_read_inputs_where_they_last():
    assert lasting_uri(dsl.Artifact(uri="/data/clips", metadata={"stored": "s3://b/x"})) == "/data/clips"
    assert lasting_uri(dsl.Artifact(uri="minio://m/clips", metadata={"stored": "s3://b/x"})) == "s3://b/x"
    assert lasting_uri(dsl.Artifact(uri="minio://m/clips", metadata={})) == "minio://m/clips"


def test_the_code_digest_changes_with_the_code_that_steps_run(tmp_path):
    for name in ("kinora", "evaluation", "components"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("")
    source = Path(sys.modules[code_digest.__module__].__file__)
    (tmp_path / "components" / "runtime").mkdir()
    (tmp_path / "components" / "runtime" / "code_digest.py").write_text(source.read_text())

    def digest() -> str:
        command = [sys.executable, "-c", "from components.runtime.code_digest import code_digest; print(code_digest())"]
        return subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout

    first = digest()
    (tmp_path / "cli").mkdir()
    (tmp_path / "cli" / "new.py").write_text("x = 1")
    assert digest() == first
    (tmp_path / "evaluation" / "new.py").write_text("x = 1")
    second = digest()
    assert second != first
    (tmp_path / "evaluation" / "calibration.json").write_text("{}")  # which decides scores as code does
    assert digest() != second
