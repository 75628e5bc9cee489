"""Gateway and worker on this machine, as `kinora serve` runs them: started together, watched, and ended together."""

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from kinora.errors import KinoraError
from kinora.processes import with_parent
from serving.address import TOKEN
from serving.model_store import HOME, HOME_IN_WORK

SECONDS_TO_START = 600.0
SECONDS_TO_END = 8.0
SECONDS_BETWEEN_POLLS = 0.1
MOST_RESTARTS = 3  # of a worker that ends by itself, within
RESTARTS_WITHIN_SECONDS = 300.0


@dataclass
class Program:
    """One of our programs, and the log that it writes."""

    module: str
    arguments: list[str]
    log: Path
    environment: dict[str, str]
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it in a session of its own: the terminal's Ctrl-C is for us, and we end it in order."""
        command = [sys.executable, "-m", self.module, *self.arguments]
        with open(self.log, "a") as log:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=os.environ | self.environment | with_parent(),
                start_new_session=True,
            )

    def ended(self) -> bool:
        """Say whether it is not running."""
        return self.process is None or self.process.poll() is not None

    def last_words(self) -> str:
        """Return the last line of its log, without its name."""
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return (lines[-1] if lines else "it said nothing").removeprefix(f"{self.module.rpartition('.')[2]}: ")

    def end(self) -> None:
        """End it in order, and in the end without."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(SECONDS_TO_END)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


@contextmanager
def running(work: Path, artifact_root: str, host: str, port: int) -> Iterator[tuple[Program, Program]]:
    """Run gateway and worker while the caller is inside.

    Args:
        work: holds the queue, the clips, the logs and the worker's model store.
        artifact_root: holds the registry of model versions and the feature store.
        host, port: where the gateway listens.

    Yields:
        gateway and worker, ready.

    Raises:
        KinoraError: if one of them does not start.
    """
    folder = work / "serving"
    folder.mkdir(parents=True, exist_ok=True)
    environment = {TOKEN: os.environ.get(TOKEN) or secrets.token_urlsafe(32)}
    environment[HOME] = str(work.absolute() / HOME_IN_WORK)
    own = "127.0.0.1" if host == "0.0.0.0" else "::1" if host == "::" else host
    address = f"http://[{own}]:{port}" if ":" in own else f"http://{own}:{port}"
    gateway = Program(
        "serving.gateway",
        ["--work", str(work), "--host", host, "--port", str(port), "--artifact-root", artifact_root],
        _fresh(folder / "gateway.log"),
        environment,
    )
    worker = Program(
        "serving.worker",
        ["--gateway", address, "--artifact-root", artifact_root, "--heartbeat", str(folder / "worker-heartbeat")],
        _fresh(folder / "worker.log"),
        environment,
    )
    try:
        gateway.start()
        worker.start()
        _wait_until_ready(address, gateway, worker)
        yield gateway, worker
    finally:
        worker.end()
        gateway.end()


def watch(gateway: Program, worker: Program) -> None:
    """Stay until the gateway ends; a worker that ends by itself is started again, a few times.

    Raises:
        KinoraError: when the gateway ended, or the worker ends again and again.
    """
    restarts: list[float] = []
    while True:
        if gateway.ended():
            raise KinoraError(f"the gateway ended: {gateway.last_words()} Its log is {gateway.log}.")
        if worker.ended():
            now = time.monotonic()
            restarts = [moment for moment in restarts if now - moment < RESTARTS_WITHIN_SECONDS] + [now]
            if len(restarts) > MOST_RESTARTS:
                raise KinoraError(f"the worker ends again and again: {worker.last_words()} Its log is {worker.log}.")
            print("kinora serve: the worker ended and is started again", file=sys.stderr, flush=True)
            worker.start()
        time.sleep(SECONDS_BETWEEN_POLLS * 5)


def _wait_until_ready(address: str, gateway: Program, worker: Program) -> None:
    end = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < end:
        for program in (gateway, worker):
            if program.ended():
                raise KinoraError(program.last_words())
        try:
            model = httpx.get(f"{address}/v1/models/kinora", timeout=5.0, trust_env=False)
            if model.status_code == 200 and model.json()["workers"]:
                return
        except httpx.HTTPError:
            pass
        time.sleep(SECONDS_BETWEEN_POLLS)
    raise KinoraError(
        f"the endpoint was not ready within {SECONDS_TO_START:.0f} s; its logs are in {gateway.log.parent}."
    )


def _fresh(log: Path) -> Path:
    """Empty a log: what an earlier run said is not of this one."""
    log.write_text("")
    return log
