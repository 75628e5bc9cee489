"""Running a pipeline here: in a process of its own, watched, and ended with all that it started."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from components.runtime.step import FAILURE
from kinora.errors import KinoraError
from kinora.processes import end_descendants, with_parent
from pipelines.events import EventReader
from pipelines.local_runner import Request
from pipelines.state import RunState
from pipelines.view import View
from pipelines.workspace import Run

SECONDS_BETWEEN_LOOKS = 0.25
SECONDS_TO_END = 20.0


def execute(
    run: Run,
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
        run=run.name,
        outputs=str(run.workspace.outputs.absolute()),
        progress=str(run.progress.absolute()),
        events=str(run.events.absolute()),
        threads=len(os.sched_getaffinity(0)),
    )
    run.progress.mkdir(parents=True, exist_ok=True)
    request_path = run.folder / "request.json"
    request.write(request_path)
    reader = EventReader(Path(request.events))
    with open(run.log, "w") as log, _signals_as_interrupts(), view:
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
                _follow(reader, state, view)
                view.tick(state)
                time.sleep(SECONDS_BETWEEN_LOOKS)
            _follow(reader, state, view)
        finally:
            _end(process)
    if process.returncode != 0:
        raise KinoraError(_failure(run, state))


def _follow(reader: EventReader, state: RunState, view: View) -> None:
    for event in reader.new():
        state.apply(event)
        view.happened(event, state)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(SECONDS_TO_END)
    except subprocess.TimeoutExpired:
        end_descendants(process.pid, patience=0.5)
        process.kill()
        process.wait()


def _failure(run: Run, state: RunState) -> str:
    path = run.progress / FAILURE
    failed = [step.name for step in state.steps.values() if step.status == "failed"]
    if path.exists():
        record = json.loads(path.read_text())
        return f"step {record['step']}: {record['sentence'].rstrip('.')}. The log is {run.log}."
    if failed:
        return f"step {failed[0]} ended without saying why (too little memory?); the log is {run.log}."
    return f"the pipeline could not be run; the log is {run.log}."


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
