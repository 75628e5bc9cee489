"""Running a pipeline here: in a process of its own, watched, and ended with all that it started."""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.runtime.step import FAILURE
from kinora.config import read_json, write_json
from kinora.errors import KinoraError
from kinora.files import friendly_os_errors
from kinora.processes import end_descendants, with_parent
from pipelines.events import EventReader
from pipelines.local_runner import Request
from pipelines.state import RunState
from pipelines.view import View

SECONDS_BETWEEN_LOOKS = 0.25
SECONDS_TO_END = 20.0


@dataclass(frozen=True)
class Workspace:
    """The folders of one work folder. Only one run at a time uses it."""

    root: Path

    @property
    def outputs(self) -> Path:
        """What steps made, and Kubeflow's cache of it."""
        return self.root / "pipeline"

    @property
    def run(self) -> Path:
        """The last run: its page, its log, its events."""
        return self.root / "run"

    @property
    def log(self) -> Path:
        """Everything that the last run's steps printed."""
        return self.run / "log.txt"

    @property
    def durations(self) -> Path:
        """How long each step took when it last ran, a recipe at a time."""
        return self.root / "durations.json"

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Make the folders and hold them for one run.

        Raises:
            KinoraError: if they cannot be written, or another run holds them.
        """
        with friendly_os_errors(self.root):
            self.outputs.mkdir(parents=True, exist_ok=True)
            (self.root / ".lock").touch()
        with open(self.root / ".lock") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise KinoraError(
                    f"another run is using {self.root}; wait for it, or name another folder with --work."
                ) from error
            with friendly_os_errors(self.root):
                shutil.rmtree(self.run, ignore_errors=True)
                self.run.mkdir()
            yield


def execute(
    workplace: Workspace,
    pipeline: str,
    arguments: dict[str, Any],
    state: RunState,
    view: View,
) -> None:
    """Run `pipeline` (`module:function`) to its end, keeping `state` current and shown.

    Ctrl-C, SIGTERM and a closed terminal end every process that was started, and raise KeyboardInterrupt.

    Raises:
        KinoraError: if a step failed.
    """
    request = Request(
        pipeline=pipeline,
        arguments=arguments,
        outputs=str(workplace.outputs.absolute()),
        progress=str(state.progress_folder.absolute()),
        events=str((workplace.run / "events.jsonl").absolute()),
        threads=len(os.sched_getaffinity(0)),
    )
    state.progress_folder.mkdir(parents=True, exist_ok=True)
    request_path = workplace.run / "request.json"
    request.write(request_path)
    reader = EventReader(Path(request.events))
    with open(workplace.log, "w") as log, _signals_as_interrupts(), view:
        process = subprocess.Popen(
            [sys.executable, "-m", "pipelines.local_runner", str(request_path)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=os.environ | {"PYTHONUNBUFFERED": "1", "DO_NOT_TRACK": "1"} | with_parent(),
            start_new_session=True,  # the terminal's Ctrl-C reaches us alone, and we end the others in order
        )
        try:
            while process.poll() is None:
                _take(reader, state, view)
                view.tick(state)
                time.sleep(SECONDS_BETWEEN_LOOKS)
            _take(reader, state, view)
        finally:
            _end(process)
    if process.returncode != 0:
        raise KinoraError(_failure(workplace, state))


def record_durations(workplace: Workspace, recipe: str, state: RunState) -> None:
    """Remember how long the steps took that really ran, for the next run's time left."""
    known = known_durations(workplace)
    took = {step.name: step.seconds(time.time()) for step in state.steps.values() if step.status == "finished"}
    write_json(workplace.durations, known | {recipe: known.get(recipe, {}) | took})


def known_durations(workplace: Workspace) -> dict[str, dict[str, float]]:
    """Return seconds a step, a recipe at a time, as earlier runs recorded them."""
    return read_json(workplace.durations) if workplace.durations.exists() else {}


def _take(reader: EventReader, state: RunState, view: View) -> None:
    for event in reader.new():
        state.apply(event)
        view.happened(event, state)


def _end(process: subprocess.Popen) -> None:
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(SECONDS_TO_END)
    except subprocess.TimeoutExpired:
        end_descendants(process.pid, patience=0.5)
        process.kill()
        process.wait()


def _failure(workplace: Workspace, state: RunState) -> str:
    path = state.progress_folder / FAILURE
    failed = [step.name for step in state.steps.values() if step.status == "failed"]
    if path.exists():
        record = json.loads(path.read_text())
        return f"step {record['step']}: {record['sentence'].rstrip('.')}. The log is {workplace.log}."
    if failed:
        return f"step {failed[0]} ended without saying why (too little memory?); the log is {workplace.log}."
    return f"the pipeline could not be run; the log is {workplace.log}."


@contextmanager
def _signals_as_interrupts() -> Iterator[None]:
    """Have SIGTERM and SIGHUP do what Ctrl-C does, where this is the main thread."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    numbers: Sequence[signal.Signals] = (signal.SIGTERM, signal.SIGHUP)
    try:
        before = {number: signal.signal(number, interrupt) for number in numbers}
    except ValueError:  # not the main thread: its owner decides about signals
        before = {}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
