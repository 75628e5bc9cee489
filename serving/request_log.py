"""What the endpoint was asked for, kept under the artifact root, where the steps that look for drift can read it.

    <artifact root>/requests/<day>/<time>-<random>.jsonl    a line a request: when, what kind, task, prompt and format

Nothing else of a request is kept: no address, key, seed, image or video. A prompt can be personal all the same:
`KINORA_REQUEST_LOG=0` switches the log off. It is bounded: so many requests a day, for so many days.

Requests wait in memory and are written by a thread, so that no client waits for a store. A file is written again as it
grows, whole each time, which a disk and S3 do alike.
"""

import json
import os
import secrets
import sys
import tempfile
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kinora.errors import KinoraError
from kinora.storage import open_store

if TYPE_CHECKING:
    import pandas as pd

    from serving.jobs import JobRequest

REQUESTS, SWITCH = "requests", "KINORA_REQUEST_LOG"
COLUMNS = ("at", "kind", "task", "prompt", "width", "height", "frames", "fps")
MOST_A_DAY = 10_000  # requests of one gateway; what comes after them that day is not kept
MOST_IN_A_FILE = 1000
DAYS_KEPT = 30
SECONDS_BETWEEN_WRITES = 10.0


def utc_now() -> datetime:
    """Return the time, UTC."""
    return datetime.now(UTC)


class RequestLog:
    """Keeps what is asked for. Methods may be called from any thread."""

    def __init__(self, artifact_root: str, clock: Callable[[], datetime] = utc_now):
        self._root, self._clock = artifact_root, clock
        self._lock, self._ended = threading.Lock(), threading.Event()
        self._writer = threading.Thread(target=self._write_now_and_then, daemon=True)
        self._files: dict[str, list[str]] = {}  # by key: the one that grows, and those that are not written yet
        self._written: dict[str, int] = {}  # lines
        self._day, self._key, self._today = "", "", 0
        self._failing, self._cleaned = False, ""

    def start(self) -> None:
        """Begin to write, unless the environment's KINORA_REQUEST_LOG is 0: then nothing is kept."""
        if os.environ.get(SWITCH, "1") != "0":
            self._writer.start()

    def add(self, request: "JobRequest") -> None:
        """Keep a request."""
        if not self._writer.is_alive():
            return
        now = self._clock()
        row = {"at": now.isoformat(timespec="seconds")} | {name: getattr(request, name) for name in COLUMNS[1:]}
        with self._lock:
            day = f"{now:%Y-%m-%d}"
            if day != self._day:
                self._day, self._key, self._today = day, "", 0
            if not self._key or len(self._files[self._key]) >= MOST_IN_A_FILE:
                self._key = f"{REQUESTS}/{day}/{now:%H%M%S}-{secrets.token_hex(4)}.jsonl"
                self._files[self._key] = []
            self._today += 1
            waiting = sum(map(len, self._files.values())) - sum(self._written.values())
            if self._today <= MOST_A_DAY and waiting < MOST_A_DAY:
                self._files[self._key].append(json.dumps(row))
            elif self._today == MOST_A_DAY + 1:
                _say(f"{MOST_A_DAY} requests were kept today; no more of today's are.")

    def write(self) -> None:
        """Write what is not written, and remove what is too old. A store that is away is tried again the next time."""
        with self._lock:
            for key in [key for key, count in self._written.items() if key != self._key]:
                if self._written[key] == len(self._files[key]):
                    del self._files[key], self._written[key]
            texts = {
                key: "".join(f"{line}\n" for line in lines)
                for key, lines in self._files.items()
                if len(lines) > self._written.get(key, 0)
            }
        if not texts:
            return
        try:
            self._put(texts)
            self._failing = False
        except KinoraError as error:
            if not self._failing:
                _say(f"requests could not be kept ({error}); trying again.")
            self._failing = True

    def stop(self) -> None:
        """Write what is left, and end."""
        self._ended.set()
        if self._writer.is_alive():
            self._writer.join()

    def _put(self, texts: dict[str, str]) -> None:
        store = open_store(self._root)
        with tempfile.TemporaryDirectory() as temporary:
            for key, text in texts.items():
                file = Path(temporary) / "requests.jsonl"
                file.write_text(text)
                store.put_file(file, key)
                with self._lock:
                    self._written[key] = text.count("\n")
        if self._cleaned == self._day:
            return
        self._cleaned = self._day
        oldest = f"{self._clock() - timedelta(days=DAYS_KEPT):%Y-%m-%d}"
        for key in store.list(REQUESTS):
            if _day_of(key) < oldest:
                store.delete(key)

    def _write_now_and_then(self) -> None:
        while not self._ended.wait(SECONDS_BETWEEN_WRITES):
            self.write()
        self.write()


def read_requests(artifact_root: str, days: int, now: datetime | None = None) -> "pd.DataFrame":
    """Return what was asked for in the last `days` days, oldest first: a row a request, with the columns `COLUMNS`.

    Raises:
        KinoraError: if a file of the log is damaged.
    """
    import pandas as pd

    since = (now or utc_now()) - timedelta(days=days)
    store, rows = open_store(artifact_root), list[dict[str, Any]]()
    with tempfile.TemporaryDirectory() as temporary:
        for key in store.list(REQUESTS):
            if _day_of(key) < f"{since:%Y-%m-%d}":
                continue
            lines = store.get_file(key, Path(temporary) / "requests.jsonl").read_text().splitlines()
            try:
                found = [{name: row[name] for name in COLUMNS} for row in map(json.loads, lines)]
            except (ValueError, KeyError, TypeError) as error:
                raise KinoraError(f"the log of requests {store.uri(key)} is damaged; remove it.") from error
            rows += [row for row in found if datetime.fromisoformat(row["at"]) >= since]
    rows.sort(key=lambda row: str(row["at"]))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _day_of(key: str) -> str:
    return key.split("/")[1]


def _say(sentence: str) -> None:
    print(f"gateway: {sentence}", file=sys.stderr, flush=True)
