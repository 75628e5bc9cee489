"""Real processes are started, fail and end together; the same application renders for a cluster."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kinora.errors import KinoraError
from kinora.training.launcher import application, kubernetes_manifest, launch

WORKER = """
import os, sys, time, pathlib
folder = pathlib.Path(sys.argv[1])
(folder / f"{os.environ['RANK']}-{os.getpid()}").write_text(os.environ["WORLD_SIZE"])
if sys.argv[2] == "fail":
    print("kinora: the disk is full.", file=sys.stderr)
    sys.exit(1)
time.sleep(float(sys.argv[2]))
"""
PARENT = "import sys; from kinora.training.launcher import launch; launch('worker', sys.argv[1:], 2)"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder whose `worker` module is importable by what is launched."""
    (tmp_path / "worker.py").write_text(WORKER)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "seen").mkdir()
    return tmp_path / "seen"


def running(folder: Path) -> list[int]:
    return [pid for pid in (int(file.name.split("-")[1]) for file in folder.iterdir()) if Path(f"/proc/{pid}").exists()]


def test_every_process_runs_and_knows_its_place(folder):
    polls = []
    launch("worker", [str(folder), "0"], 2, lambda: polls.append(1))
    assert sorted(file.name.split("-")[0] for file in folder.iterdir()) == ["0", "1"]
    assert {file.read_text() for file in folder.iterdir()} == {"2"}
    assert polls


def test_a_failed_process_is_one_sentence(folder):
    with pytest.raises(KinoraError, match=r"^training stopped: the disk is full\.$"):
        launch("worker", [str(folder), "fail"], 1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ending_the_launcher_leaves_no_process(folder, root, number, wait_until):
    environment = os.environ | {"PYTHONPATH": f"{root}{os.pathsep}{os.environ['PYTHONPATH']}"}
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(folder), "600"], env=environment, stderr=subprocess.PIPE
    )
    wait_until(lambda: parent.poll() is not None or len(list(folder.iterdir())) == 2)
    assert len(running(folder)) == 2
    parent.send_signal(number)
    parent.communicate()
    assert parent.returncode != 0
    assert running(folder) == []


def test_the_same_application_renders_for_a_cluster():
    app = application("kinora.training.transformer_worker", ["/data/run"], 8, nodes=2, gpus=8, image="kinora:1")
    job = kubernetes_manifest(app, namespace="kinora", queue="training")
    assert job["kind"] == "Job"
    assert job["spec"]["queue"] == "training"
    assert len(job["spec"]["tasks"]) == 2
    container = job["spec"]["tasks"][0]["template"].spec.containers[0]
    assert container.image == "kinora:1"
    assert container.resources.limits["nvidia.com/gpu"] == "8"
    command = " ".join(container.command)
    assert "--nproc_per_node 8" in command
    assert "-m kinora.training.transformer_worker /data/run" in command
