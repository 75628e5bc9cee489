"""How the feature store answers the endpoint from a Redis, and what a person meets while that is away.

    python -m benchmarks.feature_store [--clips 200000] [--seconds 30] [--away 5]

Redis, and PostgreSQL for the registry where it is installed (else SQLite), are started on free ports of 127.0.0.1 and
ended again. Threads ask as the endpoint does, each as soon as it has its answer, and one that was told to come back
waits a little. A third into that, Redis is killed, and starts again `away` seconds later with what it wrote to disk.
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import tyro

from benchmarks.tables import DATASET, make
from kinora.data.clips import ClipDataset
from kinora.data.features import Features
from kinora.data.features.definitions import ONLINE, REGISTRY
from serving.errors import ApiError
from serving.known import KnownClips

THREADS, PAUSE_S, STARTS_S = 16, 0.05, 30.0
NO_REDIS = "this measures a Redis, and there is no redis-server here; install it (apt-get install redis-server)."


@dataclass
class Asked:
    """What threads were told: of each question when that was, how long it waited (seconds), and the error or ""."""

    ended: list[float] = field(default_factory=list)
    waited: list[float] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def during(self, start: float, end: float) -> "Asked":
        """Return what was told between two times."""
        some = [row for row in zip(self.ended, self.waited, self.said, strict=True) if start < row[0] <= end]
        return Asked(*(list(column) for column in zip(*some, strict=True))) if some else Asked()


@contextmanager
def server(command: Sequence[str], port: int, user: str | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server until the end of the block; it answers at `port` when the block begins."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, user=user)
    try:
        until = time.monotonic() + STARTS_S
        while not _answers(port):
            if process.poll() is not None or time.monotonic() > until:
                raise SystemExit(f"{command[0]} does not start at port {port}.")
            time.sleep(0.02)
        yield process
    finally:
        process.send_signal(signal.SIGINT)  # which PostgreSQL takes as the quick way to end
        process.wait()


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_port() -> int:
    """Return a port of 127.0.0.1 that nothing uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def redis_command(folder: Path, port: int) -> list[str]:
    """Return the command of a Redis that keeps in `folder` what it is told, as one in service does."""
    folder.mkdir(exist_ok=True)
    kept = ["--appendonly", "yes", "--save", "", "--dir", str(folder)]
    return ["redis-server", "--bind", "127.0.0.1", "--port", str(port), *kept]


@contextmanager
def registry(folder: Path) -> Iterator[str]:
    """Yield the address of a registry: a PostgreSQL's if there is one here, else a file of SQLite."""
    if not (shutil.which("postgres") and shutil.which("initdb")):
        yield f"sqlite:///{folder}.sql"
        return
    folder.mkdir()
    user = "nobody" if os.getuid() == 0 else None  # PostgreSQL refuses to run as root
    if user is not None:
        shutil.chown(folder, user)
    port = free_port()
    begin = [
        "initdb",
        "--pgdata",
        str(folder / "data"),
        "--username",
        "kinora",
        "--auth",
        "trust",
        "--encoding",
        "UTF8",
    ]
    subprocess.run(begin, check=True, stdout=subprocess.DEVNULL, user=user, cwd=folder)
    command = ["postgres", "-D", str(folder / "data"), "-p", str(port), "-h", "127.0.0.1", "-k", str(folder)]
    with server(command, port, user):
        yield f"postgresql+psycopg://kinora@127.0.0.1:{port}/postgres"


def _wait_until_read(known: KnownClips, clip_id: str) -> None:
    """Wait until the endpoint has read the store, which it says of itself until then."""
    while True:
        with suppress(ApiError):
            if known.clip(clip_id) is not None:
                return
        time.sleep(PAUSE_S)


def ask(known: KnownClips, clip_ids: Sequence[str], until: float, seed: int, asked: Asked) -> None:
    """Ask for clips drawn at random until a time."""
    rng = np.random.default_rng(seed)
    while (begun := time.monotonic()) < until:
        try:
            clip, said = known.clip(clip_ids[int(rng.integers(len(clip_ids)))]), ""
            if clip is None:
                said = "a published clip is unknown"
        except ApiError as error:
            said = error.message
        asked.ended.append(time.monotonic())
        asked.waited.append(time.monotonic() - begun)
        asked.said.append(said)
        if said:
            time.sleep(PAUSE_S)


def row(name: str, asked: Asked, seconds: float) -> str:
    """Return what was told in a time as a row of the table."""
    answered = [wait for wait, said in zip(asked.waited, asked.said, strict=True) if not said]
    half, most = (f"{1e3 * np.quantile(answered, share):.1f} ms" if answered else "" for share in (0.5, 0.95))
    longest = max(asked.waited, default=0.0)
    errors = len(asked.said) - len(answered)
    return f"| {name} | {len(answered) / seconds:.0f} | {half} | {most} | {longest:.2f} s | {errors} |"


def measure(clips: int, seconds: float, away: float, work: Path) -> Iterator[str]:
    """Yield what is measured as Markdown."""
    make(work, clips)
    dataset, root, port = ClipDataset.open(work / DATASET), str(work / "root"), free_port()
    redis = redis_command(work / "redis", port)
    with registry(work / "registry") as address, server(redis, port) as running:
        os.environ |= {REGISTRY: address, ONLINE: f"redis://127.0.0.1:{port}/0"}
        store, begun, worked = Features.open(root), time.monotonic(), time.process_time()
        store.publish(dataset)
        took, worked = time.monotonic() - begun, time.process_time() - worked
        kind = "PostgreSQL" if address.startswith("postgresql") else "SQLite"
        yield f"{clips:,} clips published in {took:.0f} s ({worked:.0f} s of a processor); registry: {kind}.\n"
        clip_ids = [clip_id for piece in dataset.pieces(["clip_id"]) for clip_id in piece["clip_id"]]
        known = KnownClips(root)
        known.start()
        _wait_until_read(known, clip_ids[0])
        start, each = time.monotonic(), [Asked() for _ in range(THREADS)]
        threads = [
            threading.Thread(target=ask, args=(known, clip_ids, start + seconds, seed, asked))
            for seed, asked in enumerate(each)
        ]
        for thread in threads:
            thread.start()
        time.sleep(seconds / 3)
        running.kill()
        gone = time.monotonic()
        time.sleep(away)
        with server(redis, port):
            back = time.monotonic()
            for thread in threads:
                thread.join()
            known.stop()
    every = Asked()
    for one in each:
        every.ended += one.ended
        every.waited += one.waited
        every.said += one.said
    yield from table(every, start, gone, back, start + seconds)


def table(asked: Asked, start: float, gone: float, back: float, end: float) -> Iterator[str]:
    """Yield the table of what was told before Redis went, while it was away and after it was back."""
    yield f"| {THREADS} threads | answers a second | half within | 95 of 100 within | longest wait | errors |"
    yield "|---|---:|---:|---:|---:|---:|"
    for name, since, until in (
        ("before", start, gone),
        ("Redis away", gone, back),
        ("back", back, max(end, back, *asked.ended)),
    ):
        yield row(name, asked.during(since, until), until - since)
    yield row("all", asked, max(asked.ended) - start)
    again = min((t for t, said in zip(asked.ended, asked.said, strict=True) if not said and t > back), default=end)
    yield f"\nThe first answer came {again - back:.1f} s after Redis was back. What a person was told meanwhile:\n"
    for said in sorted({said for said in asked.said if said}):
        yield f"- {said} ({asked.said.count(said)} times)"


def main(clips: int = 200_000, seconds: float = 30.0, away: float = 5.0) -> None:
    """Measure how the feature store answers.

    Args:
        clips: are published.
        seconds: threads ask for so long; what they still wait for then is waited for.
        away: for so long there is no Redis; its client tries for 7 s, 14 at most, before it says so.
    """
    if not shutil.which("redis-server"):
        raise SystemExit(NO_REDIS)
    with tempfile.TemporaryDirectory() as temporary:
        Path(temporary).chmod(0o755)  # PostgreSQL may run as another user
        for line in measure(clips, seconds, away, Path(temporary)):
            print(line, flush=True)


if __name__ == "__main__":
    tyro.cli(main)
