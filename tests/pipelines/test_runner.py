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
from pipelines.runner import Workspace, execute, known_durations, record_durations
from pipelines.state import RunState
from pipelines.view import LinesView

STEPS = ("make", "judge", "pick", "publish", "aside")


@pytest.fixture(autouse=True)
def toy_is_importable(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))


def run(work: Path, **arguments) -> RunState:
    """Run the toy pipeline in `work`; return what is known of it afterwards."""
    place = Workspace(work)
    with place.taken(), open(os.devnull, "w") as nowhere:
        state = RunState(STEPS, {}, place.run / "progress")
        execute(place, "toy:toy", arguments, state, LinesView(nowhere))
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
    second = run(tmp_path)
    cached = dict.fromkeys(("make", "judge", "aside"), "cached")
    assert statuses(second) == cached | {"pick": "finished", "publish": "finished"}
    assert second.steps["make"].tasks[0].artifacts == made.artifacts


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
    log = (tmp_path / "run" / "log.txt").read_text()
    assert ("Traceback" in log) == (behaviour == "broken")
    events = list(EventReader(tmp_path / "run" / "events.jsonl").new())
    assert [event.kind for event in events if event.step == "make"] == ["started", "failed"]
    assert not {"judge", "pick", "publish"} & {event.step for event in events}


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_run_leaves_no_process(tmp_path, root, how, wait_until):
    code = (
        "from test_runner import run; from pathlib import Path; import sys\n"
        "try: run(Path(sys.argv[1]), behaviour='hangs')\n"
        "except KeyboardInterrupt: sys.exit(130)"
    )
    folders = os.pathsep.join([str(Path(__file__).parent), str(root)])
    runner = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], env=os.environ | {"PYTHONPATH": folders}, start_new_session=True
    )
    pid = wait_until(lambda: next((int(p.read_text() or 0) for p in tmp_path.rglob("make/model/pid")), 0))
    family = [psutil.Process(pid), *psutil.Process(runner.pid).children(recursive=True)]
    assert len(family) > 2
    runner.send_signal(how)
    assert runner.wait() == (130 if how != signal.SIGKILL else -signal.SIGKILL)
    wait_until(lambda: not any(process.is_running() for process in family))


def test_one_run_at_a_time(tmp_path):
    with (
        Workspace(tmp_path).taken(),
        pytest.raises(KinoraError, match="another run is using"),
        Workspace(tmp_path).taken(),
    ):
        pass


def test_a_work_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(KinoraError, match=r"cannot be used: .* choose another"), Workspace(tmp_path / "file").taken():
        pass


def test_durations_are_remembered_for_steps_that_ran(tmp_path):
    place = Workspace(tmp_path)
    state = RunState(("a", "b"), {}, tmp_path / "progress")
    for event in (
        Event("started", "a", at=10.0),
        Event("finished", "a", at=15.0),
        Event("started", "b", at=15.0),
        Event("cached", "b", at=15.1),
    ):
        state.apply(event)
    record_durations(place, "tiny", state)
    record_durations(place, "smoke", state)
    assert known_durations(place) == {"tiny": {"a": 5.0}, "smoke": {"a": 5.0}}
