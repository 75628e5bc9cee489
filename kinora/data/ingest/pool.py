"""Processes that read inputs, each with limits of memory and time, replaced when one of them ends."""

import base64
import json
import os
import queue
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
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
        for _ in range(self.size):
            self._idle.put(_Worker(self._settings))
        return self

    def __exit__(self, *error: object) -> None:
        for _ in range(self.size):
            self._idle.get().end()

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
            if not worker.lives():
                worker.end()
                worker = _Worker(self._settings)
            self._idle.put(worker)


class _Worker:
    """One process, which answers one job at a time."""

    def __init__(self, settings: str):
        requests, self._requests = os.pipe()
        self._answers, answers = os.pipe()
        command = [sys.executable, "-m", "kinora.data.ingest.worker", str(requests), str(answers)]
        environment = os.environ | with_parent() | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
        # A session of its own: the terminal's Ctrl-C is for us, who end it.
        self._process = subprocess.Popen(
            command, pass_fds=(requests, answers), env=environment, stdin=subprocess.DEVNULL, start_new_session=True
        )
        os.close(requests)
        os.close(answers)
        self._rest = b""
        self._send(settings)
        self._ready = False

    def ask(self, job: dict[str, Any], seconds: float) -> dict[str, Any] | str:
        """Return the answer to a job; a sentence if there is none because the process ended or took too long."""
        if not self._ready and not self._line(STARTING_SECONDS):
            raise KinoraError("a process that reads inputs did not start; see what it printed, and run again.")
        self._ready = True
        self._send(json.dumps(job))
        line = self._line(seconds)
        if line is None:
            self._process.kill()
            self._process.wait()
            return f"Reading it takes more than {seconds:g} s (ingest.limits.seconds)."
        if not line:
            code = self._process.wait()
            name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
            return f"Reading it ended the reading process ({name})."
        answer: dict[str, Any] = json.loads(line)
        return answer

    def lives(self) -> bool:
        """Say whether the process runs."""
        return self._process.poll() is None

    def end(self) -> None:
        """End the process."""
        os.close(self._requests)  # which it takes as the end
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._answers)

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
