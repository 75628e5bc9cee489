"""The job queue: one SQLite file, owned by one gateway, that survives restarts.

A worker claims a job for the length of a lease and renews it while it works. A job whose lease runs out is given back,
at most `GIVEN_BACK` times; a job that nobody takes, or that takes too long, fails. So every job ends.
"""

import json
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from kinora.errors import KinoraError
from kinora.files import friendly_os_errors

LEASE_SECONDS = 30.0
GIVEN_BACK = 2  # times; then the job fails
MOST_SECONDS = 900.0  # one attempt may take
MOST_SECONDS_WAITING = 3600.0
SECONDS_TO_RETRY = 600.0  # a client's retried create comes within this time
ALIVE_SECONDS = 30.0  # a worker that asked for work within this time is there
WAITING, RUNNING, DONE, FAILED = "queued", "in_progress", "completed", "failed"

SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT UNIQUE NOT NULL, kind TEXT NOT NULL, status TEXT NOT NULL,
    prompt TEXT NOT NULL, width INTEGER NOT NULL, height INTEGER NOT NULL, frames INTEGER NOT NULL,
    fps REAL NOT NULL, seed INTEGER NOT NULL, given TEXT NOT NULL, wanted TEXT NOT NULL,
    fingerprint TEXT NOT NULL, key TEXT, seen INTEGER NOT NULL DEFAULT 0,
    created REAL NOT NULL, queued REAL NOT NULL, started REAL, completed REAL,
    progress INTEGER NOT NULL DEFAULT 0, attempts INTEGER NOT NULL DEFAULT 0,
    lease TEXT, lease_until REAL, version TEXT, error_code TEXT, error TEXT
);
CREATE INDEX IF NOT EXISTS by_status ON jobs (status, number);
CREATE INDEX IF NOT EXISTS by_fingerprint ON jobs (fingerprint, number);
CREATE UNIQUE INDEX IF NOT EXISTS by_key ON jobs (key) WHERE key IS NOT NULL;
CREATE TABLE IF NOT EXISTS workers (
    name TEXT PRIMARY KEY, version TEXT NOT NULL, facts TEXT NOT NULL, seen REAL NOT NULL
);
"""


class QueueFull(Exception):
    """As many jobs wait as may."""


class KeyReused(Exception):
    """The same idempotency key came with another request."""


class LeaseLost(Exception):
    """The job is no longer this worker's: deleted, finished, or given to another."""


@dataclass(frozen=True)
class JobRequest:
    """What a job is to make.

    frames: of the finished clip; of an extension, with the frames given.
    given: what the client gave besides the prompt: "", "image" (the first frame), or a video to extend "forward" or
        "backward".
    wanted: the model version that must make it, or "" for the one in service.
    """

    kind: str  # "video" or "image"
    prompt: str
    width: int
    height: int
    frames: int
    fps: float
    seed: int
    given: str = ""
    wanted: str = ""


@dataclass(frozen=True, kw_only=True)
class Job(JobRequest):
    """One row of the queue: what a job is to make, and how far it is; times in seconds since 1970."""

    id: str
    status: str
    fingerprint: str
    created: float
    started: float | None
    completed: float | None
    progress: int
    attempts: int
    lease: str | None
    version: str | None
    error_code: str | None
    error: str | None


NAMES = tuple(field.name for field in fields(Job))
COLUMNS = ", ".join(NAMES)


class JobStore:
    """The queue in a file. Methods may be called from any thread; each is one transaction."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time):
        """Open or make the queue.

        Raises:
            KinoraError: if the file cannot be used.
        """
        self._clock, self._lock = clock, threading.RLock()
        with friendly_os_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.executescript(SCHEMA)
            there = {name for _, name, *_ in self._db.execute("PRAGMA table_info(jobs)")}
        except sqlite3.Error as error:
            raise KinoraError(
                f"the job queue {path} cannot be used ({error}); repair or remove it, or choose another --work."
            ) from error
        if not set(NAMES) <= there:
            self._db.close()
            raise KinoraError(
                f"the job queue {path} is of another version of Kinora; move it away, or choose another --work."
            )

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    # ---- clients

    def create(
        self,
        asked: JobRequest,
        fingerprint: str,
        most_waiting: int,
        key: str | None = None,
        retried: bool = False,
        prepare: Callable[[str], None] = lambda name: None,
    ) -> tuple[Job, bool]:
        """Put a job at the end of the queue; return it and whether it is new.

        A request that came before makes no second job: by its idempotency `key`, or, when the client says that it
        `retried`, by `fingerprint`, if nobody has asked for that job yet (the answer to the first try was lost).
        `prepare` is called with the new job's name before any worker can claim it.

        Raises:
            QueueFull: if `most_waiting` jobs wait.
            KeyReused: if `key` came with another fingerprint.
        """
        with self._transaction() as now:
            before = self._earlier(fingerprint, key, retried, now)
            if before is not None:
                return before, False
            (waiting,) = self._db.execute("SELECT COUNT(*) FROM jobs WHERE status = ?", (WAITING,)).fetchone()
            if waiting >= most_waiting:
                raise QueueFull
            name = f"{asked.kind}_{secrets.token_hex(16)}"
            row = vars(asked) | {"id": name, "status": WAITING, "fingerprint": fingerprint, "key": key}
            row |= {"created": now, "queued": now}
            prepare(name)
            places = ", ".join(f":{column}" for column in row)
            self._db.execute(f"INSERT INTO jobs ({', '.join(row)}) VALUES ({places})", row)
            job = self._one("id = ?", name)
            assert job is not None
            return job, True

    def get(self, name: str, seen: bool = False) -> Job | None:
        """Return a job; `seen` notes that its client knows it."""
        with self._transaction():
            if seen:
                self._db.execute("UPDATE jobs SET seen = 1 WHERE id = ? AND seen = 0", (name,))
            return self._one("id = ?", name)

    def listed(self, after: str | None, limit: int, ascending: bool, kind: str = "video") -> tuple[list[Job], bool]:
        """Return up to `limit` jobs following the job `after`, and whether there are more.

        Raises:
            KeyError: if there is no job `after`.
        """
        with self._transaction():
            where, values = "kind = ?", [kind]
            if after is not None:
                found = self._db.execute("SELECT number FROM jobs WHERE id = ?", (after,)).fetchone()
                if found is None:
                    raise KeyError(after)
                where += f" AND number {'>' if ascending else '<'} ?"
                values.append(found[0])
            order = "ASC" if ascending else "DESC"
            rows = self._db.execute(
                f"SELECT {COLUMNS} FROM jobs WHERE {where} ORDER BY number {order} LIMIT ?", (*values, limit + 1)
            ).fetchall()
            return [_job(row) for row in rows[:limit]], len(rows) > limit

    def delete(self, name: str) -> bool:
        """Remove a job, whatever its state; say whether there was one."""
        with self._transaction():
            return self._db.execute("DELETE FROM jobs WHERE id = ?", (name,)).rowcount > 0

    def oldest_finished(self, keep: int) -> list[str]:
        """Return the finished jobs beyond the newest `keep`."""
        with self._transaction():
            rows = self._db.execute(
                "SELECT id FROM jobs WHERE status IN (?, ?) ORDER BY number DESC LIMIT -1 OFFSET ?",
                (DONE, FAILED, keep),
            )
            return [name for (name,) in rows]

    # ---- workers

    def claim(self, worker: str, version: str, facts: dict[str, Any]) -> Job | None:
        """Give the oldest waiting job that `version` may make to a worker, with a lease; None where there is none."""
        with self._transaction() as now:
            self._db.execute(
                "INSERT INTO workers VALUES (?, ?, ?, ?) ON CONFLICT (name) DO UPDATE "
                "SET version = excluded.version, facts = excluded.facts, seen = excluded.seen",
                (worker, version, json.dumps(facts), now),
            )
            job = self._one("status = ? AND wanted IN ('', ?) ORDER BY number LIMIT 1", WAITING, version)
            if job is None:
                return None
            self._db.execute(
                "UPDATE jobs SET status = ?, lease = ?, lease_until = ?, started = ?, version = ?, progress = 0, "
                "attempts = attempts + 1 WHERE id = ?",
                (RUNNING, secrets.token_hex(16), now + LEASE_SECONDS, now, version, job.id),
            )
            return self._one("id = ?", job.id)

    def renew(self, name: str, lease: str, progress: int, worker: str) -> None:
        """Prolong the lease and note the progress, 0 to 100.

        Raises:
            LeaseLost: if the job is no longer the worker's.
        """
        with self._transaction() as now:
            self._held(name, lease)
            self._db.execute(
                "UPDATE jobs SET lease_until = ?, progress = MAX(progress, ?) WHERE id = ?",
                (now + LEASE_SECONDS, progress, name),
            )
            self._db.execute("UPDATE workers SET seen = ? WHERE name = ?", (now, worker))

    def held(self, name: str, lease: str) -> Job:
        """Return a job that a worker holds.

        Raises:
            LeaseLost: if the job is no longer the worker's.
        """
        with self._transaction():
            return self._held(name, lease)

    def finish(self, name: str, lease: str) -> None:
        """Note that the job is done; its media are stored already.

        Raises:
            LeaseLost: if the job is no longer the worker's.
        """
        with self._transaction() as now:
            self._held(name, lease)
            self._db.execute(
                "UPDATE jobs SET status = ?, progress = 100, completed = ?, lease = NULL, lease_until = NULL "
                "WHERE id = ?",
                (DONE, now, name),
            )

    def fail(self, name: str, lease: str, code: str, message: str) -> None:
        """Note that the job failed, in one sentence.

        Raises:
            LeaseLost: if the job is no longer the worker's.
        """
        with self._transaction() as now:
            self._held(name, lease)
            self._end(name, now, code, message)

    def give_back(self, name: str, lease: str) -> None:
        """Put the job back into the queue, as if its lease had run out.

        Raises:
            LeaseLost: if the job is no longer the worker's.
        """
        with self._transaction() as now:
            job = self._held(name, lease)
            self._back(job.id, job.attempts, now)

    # ---- watchers

    def counts(self) -> dict[str, int]:
        """Return how many jobs are in each state, 0 included."""
        with self._transaction():
            rows = dict(self._db.execute("SELECT status, COUNT(*) FROM jobs GROUP BY status").fetchall())
        return {status: rows.get(status, 0) for status in (WAITING, RUNNING, DONE, FAILED)}

    def ahead(self, name: str) -> int:
        """Return how many waiting jobs come before this one."""
        with self._transaction():
            (count,) = self._db.execute(
                "SELECT COUNT(*) FROM jobs WHERE status = ? AND number < (SELECT number FROM jobs WHERE id = ?)",
                (WAITING, name),
            ).fetchone()
            return count

    def workers(self) -> tuple[int, dict[str, Any] | None]:
        """Return how many workers are there, and the facts of the model version that was last seen in service."""
        with self._transaction() as now:
            (alive,) = self._db.execute(
                "SELECT COUNT(*) FROM workers WHERE seen >= ?", (now - ALIVE_SECONDS,)
            ).fetchone()
            last = self._db.execute("SELECT facts FROM workers ORDER BY seen DESC LIMIT 1").fetchone()
            return alive, json.loads(last[0]) if last else None

    def serves(self, version: str) -> bool:
        """Say whether a worker that is there has this model version."""
        with self._transaction() as now:
            found = self._db.execute(
                "SELECT 1 FROM workers WHERE version = ? AND seen >= ?", (version, now - ALIVE_SECONDS)
            ).fetchone()
            return found is not None

    # ---- inside

    @contextmanager
    def _transaction(self) -> Iterator[float]:
        """Yield the time within one transaction, in which what has run out was dealt with first."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                now = self._clock()
                self._expire(now)
                yield now
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def _expire(self, now: float) -> None:
        lost = self._db.execute(
            "SELECT id, attempts FROM jobs WHERE status = ? AND (lease_until < ? OR started < ?)",
            (RUNNING, now, now - MOST_SECONDS),
        ).fetchall()
        for name, attempts in lost:
            self._back(name, attempts, now)
        late = self._db.execute(
            "SELECT id FROM jobs WHERE status = ? AND queued < ?", (WAITING, now - MOST_SECONDS_WAITING)
        ).fetchall()
        for (name,) in late:
            minutes = MOST_SECONDS_WAITING / 60
            self._end(name, now, "no_worker", f"No worker took the job within {minutes:.0f} minutes; ask again later.")

    def _back(self, name: str, attempts: int, now: float) -> None:
        if attempts > GIVEN_BACK:
            self._end(name, now, "worker_lost", f"The worker was lost {attempts} times on this job; ask for less.")
            return
        self._db.execute(
            "UPDATE jobs SET status = ?, progress = 0, queued = ?, lease = NULL, lease_until = NULL WHERE id = ?",
            (WAITING, now, name),
        )

    def _end(self, name: str, now: float, code: str, message: str) -> None:
        self._db.execute(
            "UPDATE jobs SET status = ?, completed = ?, error_code = ?, error = ?, lease = NULL, lease_until = NULL "
            "WHERE id = ?",
            (FAILED, now, code, message, name),
        )

    def _held(self, name: str, lease: str) -> Job:
        job = self._one("id = ?", name)
        if job is None or job.status != RUNNING or job.lease is None or not secrets.compare_digest(job.lease, lease):
            raise LeaseLost
        return job

    def _earlier(self, fingerprint: str, key: str | None, retried: bool, now: float) -> Job | None:
        if key is not None:
            job = self._one("key = ?", key)
            if job is not None and job.fingerprint != fingerprint:
                raise KeyReused
            return job
        if not retried:
            return None
        return self._one(
            "fingerprint = ? AND seen = 0 AND created > ? ORDER BY number DESC LIMIT 1",
            fingerprint,
            now - SECONDS_TO_RETRY,
        )

    def _one(self, where: str, *values: Any) -> Job | None:
        row = self._db.execute(f"SELECT {COLUMNS} FROM jobs WHERE {where}", values).fetchone()
        return _job(row) if row else None


def _job(row: tuple) -> Job:
    return Job(**dict(zip(NAMES, row, strict=True)))
