"""The embedded runner, on a pipeline with the shape of the real one."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from kinora.errors import KinoraError
from pipelines.events import Event, EventReader
from pipelines.origins import KEPT_RUNS, Origin, known_origins, remove_old_runs
from pipelines.runner import execute
from pipelines.state import RunState
from pipelines.step_durations import MEASURED_SECONDS, expected_durations, record_durations
from pipelines.view import LinesView
from pipelines.workspace import Run, Workspace

STEPS = ("make", "judge", "pick", "publish", "aside")


@pytest.fixture(autouse=True)
def toy_is_importable(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))


def run(work: Path, **arguments) -> RunState:
    """Run the toy pipeline in `work`; return what is known of it afterwards."""
    workspace = Workspace(work)
    with workspace.new_run() as run, open(os.devnull, "w") as nowhere:
        state = RunState(STEPS, {}, run.progress, known_origins(workspace.kept()))
        execute(run, "toy:toy", arguments, state, LinesView(nowhere))
    return state


def statuses(state: RunState) -> dict[str, str]:
    return {step.name: step.status for step in state.steps.values()}


def test_runs_every_step_then_takes_them_from_the_cache(tmp_path):
    first = run(tmp_path)
    assert statuses(first) == dict.fromkeys(STEPS, "finished")
    (made,) = first.steps["make"].tasks
    assert made.values["Output"] == ["item-0", "item-1", "item-2"]
    assert made.artifacts["metrics"]["metadata"] == {"count": 3.0}
    judged = first.steps["judge"].tasks
    assert sorted(task.item for task in judged) == ["item-0", "item-1", "item-2"]
    share = str(max(1, len(os.sched_getaffinity(0)) // 2))
    assert {task.artifacts["score"]["metadata"]["threads"] for task in judged} == {share}
    for task in judged:
        assert Path(task.artifacts["report"]["path"]).read_text() == f"<h1>{task.item}</h1>"
    (name,) = (run.name for run in Workspace(tmp_path).kept())
    assert Path(made.artifacts["model"]["path"]).is_relative_to(tmp_path / "pipeline" / name)
    for number in range(2):
        again = run(tmp_path)
        cached = dict.fromkeys(("make", "judge", "aside"), "cached")
        assert statuses(again) == cached | {"pick": "finished", "publish": "finished"}, number
        assert again.steps["make"].tasks[0].artifacts == made.artifacts
        assert again.steps["make"].tasks[0].origin == Origin(name, made.started, made.ended)
        assert {task.origin.run for task in again.steps["judge"].tasks} == {name}
        assert again.steps["pick"].tasks[0].origin is None


def test_a_lost_artifact_is_made_again(tmp_path):
    (made,) = run(tmp_path).steps["make"].tasks
    Path(made.artifacts["metrics"]["path"]).unlink()
    assert statuses(run(tmp_path))["make"] == "finished"


@pytest.mark.parametrize(
    ("behaviour", "sentence"),
    [
        ("fails", "step make: there is nothing to make; give something"),
        ("broken", "step make: ZeroDivisionError: a bug"),
        ("full", "step make: .*/make/model cannot be used: the disk is full"),
    ],
)
def test_a_failure_is_one_sentence_and_nothing_runs_on(tmp_path, behaviour, sentence):
    with pytest.raises(KinoraError, match=sentence) as failure:
        run(tmp_path, behaviour=behaviour)
    assert "\n" not in str(failure.value)
    log = (tmp_path / "runs" / "latest" / "log.txt").read_text()
    assert ("Traceback" in log) == (behaviour == "broken")
    events = list(EventReader(tmp_path / "runs" / "latest" / "events.jsonl").new())
    assert [event.kind for event in events if event.step == "make"] == ["started", "failed"]
    assert not {"judge", "pick", "publish"} & {event.step for event in events}


def test_an_entry_of_the_cache_without_outputs_is_none(tmp_path):
    run(tmp_path)
    for entry in (tmp_path / "pipeline" / ".kfp_cache").glob("*.json"):
        entry.write_text("{}")
    assert statuses(run(tmp_path)) == dict.fromkeys(STEPS, "finished")


@pytest.fixture
def begin(tmp_path, root):
    """Begin a run in a process of its own."""

    def start(behaviour: str, **environment: str) -> subprocess.Popen:
        code = (
            "from test_runner import run; from pathlib import Path; import sys\n"
            "try: run(Path(sys.argv[1]), behaviour=sys.argv[2])\n"
            "except KeyboardInterrupt: sys.exit(130)"
        )
        folders = os.pathsep.join([str(Path(__file__).parent), str(root)])
        return subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path), behaviour],
            env=os.environ | {"PYTHONPATH": folders} | environment,
            start_new_session=True,
        )

    return start


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_was_interrupted_in_a_loop_goes_on_from_there(tmp_path, begin, how, wait_until):
    runner = begin("works", TOY_HANGS="item-1")
    wait_until(lambda: list(tmp_path.rglob("*.hangs")))
    family = psutil.Process(runner.pid).children(recursive=True)
    runner.send_signal(how)
    assert runner.wait() == (130 if how != signal.SIGKILL else -signal.SIGKILL)
    wait_until(lambda: not any(process.is_running() for process in family))
    events = EventReader(tmp_path / "runs" / "latest" / "events.jsonl").new()
    assert ("judge", "item-1") not in {(event.step, event.item) for event in events if event.kind != "started"}
    again = run(tmp_path)
    assert {step: status for step, status in statuses(again).items() if step != "aside"} == {
        "make": "cached", "judge": "finished", "pick": "finished", "publish": "finished",
    }  # fmt: skip
    hung = next(task for task in again.steps["judge"].tasks if task.item == "item-1")
    assert Path(hung.artifacts["report"]["path"]).read_text() == "<h1>item-1</h1>"


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_run_leaves_no_process(tmp_path, begin, how, wait_until):
    runner = begin("hangs")
    pid = wait_until(lambda: next((int(p.read_text() or 0) for p in tmp_path.rglob("make/model/pid")), 0))
    family = [psutil.Process(pid), *psutil.Process(runner.pid).children(recursive=True)]
    assert len(family) > 2
    runner.send_signal(how)
    assert runner.wait() == (130 if how != signal.SIGKILL else -signal.SIGKILL)
    wait_until(lambda: not any(process.is_running() for process in family))


def test_one_run_at_a_time(tmp_path):
    with (
        Workspace(tmp_path).new_run(),
        pytest.raises(KinoraError, match="another run is using"),
        Workspace(tmp_path).new_run(),
    ):
        pass


def test_a_work_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    workspace = Workspace(tmp_path / "file")
    with pytest.raises(KinoraError, match=r"cannot be used: .* choose another"), workspace.new_run():
        pass


def test_every_run_keeps_its_folder_and_the_last_one_is_named(tmp_path):
    workspace, names = Workspace(tmp_path), []
    for _ in range(3):
        with workspace.new_run() as run:
            (run.folder / "log.txt").write_text(run.name)
            names.append(run.name)
    assert [run.name for run in workspace.kept()] == sorted(names, reverse=True)
    assert len(set(names)) == 3
    assert (tmp_path / "runs" / "latest" / "log.txt").read_text() == names[-1]


def test_old_runs_go_but_not_those_whose_work_is_still_used(tmp_path):
    workspace, artifacts = Workspace(tmp_path), {"model": {"path": "/m", "type": "system.Model", "metadata": {}}}
    for number in range(KEPT_RUNS + 4):
        run = Run(workspace, f"2026-01-01-0000{number:02d}")
        run.folder.mkdir(parents=True)
        if number == 1:
            Event("started", "make", at=10.0).append_to(run.events)
            Event("finished", "make", at=15.0, artifacts=artifacts).append_to(run.events)
        else:
            Event("cached", "make", artifacts=artifacts).append_to(run.events)
    remove_old_runs(workspace)
    kept = [int(run.name[-2:]) for run in workspace.kept()]
    assert kept == [*range(KEPT_RUNS + 3, 3, -1), 1]
    assert known_origins(workspace.kept()) == {frozenset({"/m"}): Origin("2026-01-01-000001", 10.0, 15.0)}


def test_durations_are_remembered_for_steps_that_ran(tmp_path):
    workspace = Workspace(tmp_path)
    state = RunState(("a", "b"), {}, tmp_path / "progress")
    for event in (
        Event("started", "a", at=10.0),
        Event("finished", "a", at=15.0),
        Event("started", "b", at=15.0),
        Event("cached", "b", at=15.1),
    ):
        state.apply(event)
    record_durations(workspace, "mine", state)
    record_durations(workspace, "tiny", state)
    assert expected_durations(workspace, "mine") == {"a": 5.0}
    assert expected_durations(workspace, "tiny") == MEASURED_SECONDS["tiny"] | {"a": 5.0}
    assert expected_durations(workspace, "other") == {}
