"""Processes that read inputs, each with limits of memory and time, replaced when one of them ends."""

import base64
import json
import os
import queue
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from kinora.config import to_dict
from kinora.data.grid import Grid
from kinora.data.ingest.config import IngestConfig
from kinora.data.ingest.reading import Reading, rejection
from kinora.errors import KinoraError
from kinora.processes import with_parent

STARTING_SECONDS = 120.0


class WorkerPool:
    """As many reading processes as there are cores; `read` may be called by as many threads at once, or more."""

    def __init__(self, config: IngestConfig, grid: Grid, processes: int | None = None):
        self.limits = config.limits
        self._settings = json.dumps({"config": to_dict(config), "grid": to_dict(grid)})
        self.size = processes or len(os.sched_getaffinity(0))
        self._idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()

    def __enter__(self) -> "WorkerPool":
        self._starter = _Starter(self._settings)
        for _ in range(self.size):
            self._idle.put(_Worker(self._starter))
        return self

    def __exit__(self, *error: object) -> None:
        for _ in range(self.size):
            self._idle.get().end()
        self._starter.end()

    def read(self, name: str, path: Path | None, caption: str, media: Path) -> Reading:
        """Read the input `name`, a file, or make the simulated clip of that name; clips go into the folder `media`."""
        job = {"name": name, "path": "" if path is None else str(path.absolute()), "caption": caption}
        with self._worker() as worker:
            said = worker.ask(job | {"media": str(media.absolute())}, self.limits.seconds)
        if isinstance(said, str):
            return Reading(rejected=[rejection(name, "too_heavy", said)])
        if "failed" in said:
            sentence = f"Reading it failed, which is a fault of Kinora: {said['failed']}."
            return Reading(rejected=[rejection(name, "failed", sentence)])
        if "exhausted" in said:
            sentence = f"Reading it takes more than {self.limits.memory_mb} MiB of memory (ingest.limits.memory_mb)."
            return Reading(rejected=[rejection(name, "too_heavy", sentence)])
        prints = [np.frombuffer(base64.b64decode(text), np.uint64).reshape(-1, 8) for text in said["fingerprints"]]
        return Reading(said["rows"], prints, said["rejected"], said["digest"])

    @contextmanager
    def _worker(self) -> Iterator["_Worker"]:
        worker = self._idle.get()
        try:
            yield worker
        finally:
            try:
                worker = worker if worker.lives else worker.replaced()
            finally:
                self._idle.put(worker)


class _Starter:
    """The process that starts reading processes, and waits for their end."""

    def __init__(self, settings: str):
        self._control, control = socket.socketpair()
        command = [sys.executable, "-m", "kinora.data.ingest.worker", str(control.fileno()), settings]
        environment = os.environ | with_parent() | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
        # A session of its own: the terminal's Ctrl-C is for us, who end it.
        self._process = subprocess.Popen(
            command, pass_fds=(control.fileno(),), env=environment, stdin=subprocess.DEVNULL, start_new_session=True
        )
        control.close()
        self._control.settimeout(STARTING_SECONDS)
        self._lock = threading.Lock()

    def start(self, *descriptors: int) -> int:
        """Return the number of a new reading process, which takes requests from one descriptor, and answers to another.

        Raises:
            KinoraError: if there is none.
        """
        return self._said(b"start", descriptors)

    def exit_code(self, pid: int) -> int:
        """Return the exit code of a process that ends; once for each."""
        return self._said(str(pid).encode())

    def end(self) -> None:
        """End the process."""
        self._control.close()  # which it takes as the end
        self._process.wait()

    def _said(self, message: bytes, descriptors: Sequence[int] = ()) -> int:
        with self._lock:
            try:
                socket.send_fds(self._control, [message], descriptors)
                number = self._control.recv(64)
            except OSError:
                number = b""
        if not number:
            raise KinoraError("the process that reads inputs did not start; see what it printed, and run again.")
        return int(number)


class _Worker:
    """One process, which answers one job at a time. `lives`: whether it can answer another."""

    def __init__(self, starter: _Starter):
        self._starter, self.lives, self._rest = starter, True, b""
        requests, self._requests = os.pipe()
        self._answers, answers = os.pipe()
        try:
            self.pid = starter.start(requests, answers)
        finally:
            os.close(requests)
            os.close(answers)

    def ask(self, job: dict[str, Any], seconds: float) -> dict[str, Any] | str:
        """Return the answer to a job; a sentence if there is none because the process ended or took too long."""
        self._send(json.dumps(job))
        line = self._line(seconds)
        if line:
            answer: dict[str, Any] = json.loads(line)
            return answer
        self.lives = False
        if line is None:
            os.kill(self.pid, signal.SIGKILL)
        code = self._starter.exit_code(self.pid)
        if line is None:
            return f"Reading it takes more than {seconds:g} s (ingest.limits.seconds)."
        name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return f"Reading it ended the reading process ({name})."

    def end(self) -> None:
        """End the process."""
        os.close(self._requests)  # which it takes as the end
        if self.lives:
            if self._line(5) is None:
                os.kill(self.pid, signal.SIGKILL)
            self._starter.exit_code(self.pid)
        os.close(self._answers)

    def replaced(self) -> "_Worker":
        """End this process, and return another."""
        other = _Worker(self._starter)
        self.end()
        return other

    def _send(self, line: str) -> None:
        data = line.encode() + b"\n"
        try:
            while data:
                data = data[os.write(self._requests, data) :]
        except BrokenPipeError:
            pass  # it has ended: asking for its answer says so

    def _line(self, seconds: float) -> bytes | None:
        """Return the next line; None if there is none in time, an empty one if the process has ended."""
        while b"\n" not in self._rest:
            ready, _, _ = select.select([self._answers], [], [], seconds)
            if not ready:
                return None
            chunk = os.read(self._answers, 2**16)
            if not chunk:
                return b""
            self._rest += chunk
        line, _, self._rest = self._rest.partition(b"\n")
        return line
