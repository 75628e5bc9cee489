"""Real processes are started, fail, are started again and end together; the same application renders for a cluster."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kinora.errors import KinoraError, UsageError
from kinora.training.compute import Compute
from kinora.training.launcher import application, kubernetes_manifest, launch, one_node

TWO = Compute(processes=2)
# What a worker does is an expression; `first` says whether no process of its rank ran before it, `dist` is connected.
WORKER = """
import os, sys, time, pathlib, signal
from kinora.processes import end_with_parent
end_with_parent(at_once=True)
folder, rank = pathlib.Path(sys.argv[1]), int(os.environ["RANK"])
first = not list(folder.glob(f"{rank}-*"))
(folder / f"{rank}-{os.getpid()}").write_text(os.environ["WORLD_SIZE"] + " " + os.environ["OMP_NUM_THREADS"])
def say(text): print(text, file=sys.stderr, flush=True)
def die(number): os.kill(os.getpid(), number); time.sleep(60)
def wait_for_peers():
    import torch, torch.distributed as dist
    dist.init_process_group("gloo")
    dist.barrier()
    return dist
def lose_peer():
    dist = wait_for_peers()
    if rank == 1 and first: die(signal.SIGKILL)
    dist.barrier()
def own_fault():
    dist = wait_for_peers()
    if rank == 1: len(5)
    dist.barrier()
def steps():
    if sys.argv[3:]: signal.signal(signal.SIGINT, signal.SIG_IGN)  # as in a long kernel, which hears no signal
    for step in range(1000):
        (folder.parent / f"step-{rank}-{step}").touch()
        time.sleep(8)
exec(sys.argv[2])
"""
PARENT = """
import signal, sys
from kinora.training.compute import Compute
from kinora.training.launcher import launch
launch('worker', sys.argv[1:], Compute(processes=2))
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder whose `worker` module is importable by what is launched."""
    (tmp_path / "worker.py").write_text(WORKER)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "seen").mkdir()
    return tmp_path / "seen"


def seen(folder: Path) -> list[int]:
    return [int(file.name.split("-")[1]) for file in folder.iterdir()]


def running(folder: Path) -> list[int]:
    return [pid for pid in seen(folder) if Path(f"/proc/{pid}").exists()]


@pytest.mark.parametrize(("nodes", "processes"), [(1, 2), (2, 2)])
def test_every_process_runs_and_knows_its_place(folder, monkeypatch, nodes, processes):
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    polls = []
    compute = Compute(nodes=nodes, processes=processes)
    launch("worker", [str(folder), "wait_for_peers()"], compute, lambda: polls.append(1))
    assert sorted(file.name.split("-")[0] for file in folder.iterdir()) == [str(n) for n in range(nodes * processes)]
    assert {file.read_text() for file in folder.iterdir()} == {f"{nodes * processes} {8 // (nodes * processes)}"}
    assert polls


def test_a_lost_process_is_started_again_with_all_others(folder, capsys):
    launch("worker", [str(folder), "lose_peer()"], TWO, pauses=(0.1,))
    assert sorted(file.name.split("-")[0] for file in folder.iterdir()) == ["0", "0", "1", "1"]
    said = capsys.readouterr().err
    assert "kinora: warning: a process was killed by SIGKILL" in said
    assert "going on in 0.1 s (try 1 of 1)." in said


def test_a_lost_node_is_started_again(folder):
    code = "first and rank == 0 and os.kill(os.getppid(), signal.SIGKILL); wait_for_peers().barrier()"
    launch("worker", [str(folder), code], Compute(nodes=2, processes=1), pauses=(0.1,))
    assert len(seen(folder)) == 4


def test_tries_are_bounded(folder):
    with pytest.raises(KinoraError, match=r"^training stopped after 2 tries: a process was killed by SIGBUS\.$"):
        launch("worker", [str(folder), "die(signal.SIGBUS)"], Compute(), pauses=(0.1,))
    assert len(seen(folder)) == 2


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("say('kinora: the disk is full.'); sys.exit(1)", r"the disk is full\."),
        # Its peer says "Connection closed by peer".
        ("own_fault()", r"TypeError: object of type 'int' has no len\(\)"),
        (
            "import torch; torch.empty(2**60)",
            r"the memory is full \(tried to allocate \d+ bytes\); lower .*tokens_per_pack",
        ),
        ("raise type('Luck', (Exception,), {'__module__': 'a.b'})('all is gone')", r"a\.b\.Luck: all is gone"),
        ("die(signal.SIGSEGV)", r"a process crashed with SIGSEGV\."),
        ("sys.exit(3)", "a process failed"),
    ],
)
def test_a_fault_that_would_come_again_is_said_at_once(folder, code, sentence):
    with pytest.raises(KinoraError, match=rf"^training stopped: {sentence}"):
        launch("worker", [str(folder), code], TWO, pauses=(0.1,))
    assert len(seen(folder)) <= 2


def test_warnings_of_the_processes_are_shown_once(folder, capsys):
    launch("worker", [str(folder), "say('kinora: warning: the log is full.')"], TWO)
    assert capsys.readouterr().err.count("kinora: warning: the log is full.") == 1


@pytest.mark.parametrize(("number", "deaf"), [(signal.SIGINT, []), (signal.SIGTERM, []), (signal.SIGKILL, ["deaf"])])
def test_ending_the_launcher_leaves_no_process_even_in_a_slow_step(folder, root, number, deaf, wait_until):
    environment = os.environ | {"PYTHONPATH": f"{root}{os.pathsep}{os.environ['PYTHONPATH']}"}
    command = [sys.executable, "-c", PARENT, str(folder), "steps()", *deaf]
    parent = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)
    wait_until(lambda: parent.poll() is not None or len(list(folder.parent.glob("step-*"))) == 2)
    assert len(running(folder)) == 2
    parent.send_signal(number)
    parent.communicate()
    assert parent.returncode != 0
    wait_until(lambda: not running(folder))
    assert len(list(folder.parent.glob("step-*"))) == 2, "they went on to another step"


def test_the_same_application_renders_for_a_cluster():
    compute = Compute(nodes=2, processes=8)
    app = application("kinora.training.transformer_worker", ["/data/run"], compute, cores=96, image="kinora:1")
    job = kubernetes_manifest(app, namespace="kinora", queue="training")
    assert job["kind"] == "Job"
    assert job["spec"]["queue"] == "training"
    assert len(job["spec"]["tasks"]) == 2
    container = job["spec"]["tasks"][0]["template"].spec.containers[0]
    assert container.image == "kinora:1"
    assert container.resources.limits["nvidia.com/gpu"] == "8"
    assert {variable.name: variable.value for variable in container.env}["OMP_NUM_THREADS"] == "12"
    command = " ".join(container.command)
    assert "--nproc_per_node 8" in command
    assert "-m kinora.training.transformer_worker /data/run" in command


def test_several_nodes_are_refused_where_there_is_one():
    assert one_node(TWO) is TWO
    with pytest.raises(UsageError, match=r"compute\.nodes is 2, and a step of a pipeline runs on one machine; set"):
        one_node(Compute(nodes=2))
