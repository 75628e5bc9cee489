"""The job queue: one SQLite file, owned by one gateway, that survives restarts.

A worker claims a job for the length of a lease and renews it while it works. A job whose lease runs out is queued
again, until `MOST_LOST_LEASES` were lost on it; one that a worker releases, because it was told to stop, is queued
again and has lost nothing. A job that nobody claims, that takes too long or is too old fails. So every job ends.
"""

import json
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from kinora.errors import KinoraError
from kinora.files import friendly_os_errors

LEASE_SECONDS = 30.0
MOST_LOST_LEASES = 3  # then the job fails
MOST_SECONDS_IN_PROGRESS = 3600.0  # of one attempt: large and long clips take their time
MOST_SECONDS_QUEUED = 3600.0
MOST_SECONDS = 6 * 3600.0  # from its creation, however often it was released
SECONDS_TO_RETRY = 600.0  # a client's retried create comes within this time
ALIVE_SECONDS = 30.0  # a worker that asked for work within this time is there
QUEUED, IN_PROGRESS, COMPLETED, FAILED = "queued", "in_progress", "completed", "failed"

SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT UNIQUE NOT NULL, kind TEXT NOT NULL, status TEXT NOT NULL,
    prompt TEXT NOT NULL, width INTEGER NOT NULL, height INTEGER NOT NULL, frames INTEGER NOT NULL,
    fps REAL NOT NULL, seed INTEGER NOT NULL, task TEXT NOT NULL, options TEXT NOT NULL, media TEXT NOT NULL,
    notes TEXT NOT NULL, requested_version TEXT NOT NULL,
    fingerprint TEXT NOT NULL, key TEXT, seen INTEGER NOT NULL DEFAULT 0,
    created REAL NOT NULL, queued REAL NOT NULL, started REAL, completed REAL,
    progress INTEGER NOT NULL DEFAULT 0, previews INTEGER NOT NULL DEFAULT 0, sampled TEXT,
    lost_leases INTEGER NOT NULL DEFAULT 0,
    lease TEXT, lease_until REAL, model_version TEXT, error_code TEXT, error TEXT
);
CREATE INDEX IF NOT EXISTS by_status ON jobs (status, number);
CREATE INDEX IF NOT EXISTS by_fingerprint ON jobs (fingerprint, number);
CREATE UNIQUE INDEX IF NOT EXISTS by_key ON jobs (key) WHERE key IS NOT NULL;
-- The requests whose last try was refused.
CREATE TABLE IF NOT EXISTS refusals (fingerprint TEXT PRIMARY KEY, refused REAL NOT NULL);
CREATE TABLE IF NOT EXISTS workers (
    name TEXT PRIMARY KEY, version TEXT NOT NULL, facts TEXT NOT NULL, seen REAL NOT NULL
);
"""


class QueueFull(Exception):
    """As many jobs are queued as may be."""


class KeyReused(Exception):
    """The same idempotency key came with another request."""


class LeaseLost(Exception):
    """The job is no longer this worker's: deleted, finished, or another has it."""


@dataclass(frozen=True)
class JobRequest:
    """What a job is to make: the fields of a `kinora.generation.GenerationRequest`, without its arrays.

    frames: of the finished clip; of an extension, with those of the video that it extends.
    options: the request's other fields, as JSON has them.
    media: the names of the images and videos that were given, which the media store keeps.
    notes: a sentence each on what was chosen for the client, such as how an image was cut.
    requested_version: the model version that must make it, or "" for the deployed one.
    """

    kind: str  # "video" or "image"
    prompt: str
    width: int
    height: int
    frames: int
    fps: float
    seed: int
    task: str = "text"
    options: dict[str, Any] = field(default_factory=dict)
    media: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    requested_version: str = ""


@dataclass(frozen=True, kw_only=True)
class Job(JobRequest):
    """One row of the queue: what a job is to make, and how far it is; times in seconds since 1970.

    progress: 0 to 100. previews: how many pictures of the clip on its way there have been.
    sampled: what the prompt was sampled as, once a worker has begun.
    """

    id: str
    status: str
    fingerprint: str
    created: float
    started: float | None
    completed: float | None
    progress: int
    previews: int
    sampled: str | None
    lost_leases: int
    lease: str | None
    model_version: str | None
    error_code: str | None
    error: str | None


NAMES = tuple(each.name for each in fields(Job))
COLUMNS = ", ".join(NAMES)
LISTS = ("media", "notes")  # kept as JSON, as are the options


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
        job_request: JobRequest,
        fingerprint: str,
        most_queued: int,
        key: str | None = None,
        retried: bool = False,
        prepare: Callable[[str], None] = lambda name: None,
    ) -> tuple[Job, bool]:
        """Put a job at the end of the queue; return it and whether it is new.

        A request that came before makes no second job: by its idempotency `key`, or, when the client says that it
        `retried`, by `fingerprint`, if the last try of this request made a job that nobody has asked for yet (the
        answer was lost). A try that was refused made none: what follows it is new, whatever an earlier request made.
        `prepare` is called with the new job's name before any worker can claim it.

        Raises:
            QueueFull: if `most_queued` jobs are queued.
            KeyReused: if `key` came with another fingerprint.
        """
        with self._transaction() as now:
            before = self._earlier(fingerprint, key, retried, now)
            if before is not None:
                return before, False
            (queued,) = self._db.execute("SELECT COUNT(*) FROM jobs WHERE status = ?", (QUEUED,)).fetchone()
            if queued < most_queued:
                name = f"{job_request.kind}_{secrets.token_hex(16)}"
                row = vars(job_request) | {"id": name, "status": QUEUED, "fingerprint": fingerprint, "key": key}
                row |= {"created": now, "queued": now}
                row |= {column: json.dumps(row[column]) for column in ("options", *LISTS)}
                prepare(name)
                places = ", ".join(f":{column}" for column in row)
                self._db.execute(f"INSERT INTO jobs ({', '.join(row)}) VALUES ({places})", row)
                self._db.execute("DELETE FROM refusals WHERE fingerprint = ?", (fingerprint,))
                job = self._one("id = ?", name)
            else:
                self._db.execute("INSERT OR REPLACE INTO refusals VALUES (?, ?)", (fingerprint, now))
                job = None
        if job is None:
            raise QueueFull
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
                (COMPLETED, FAILED, keep),
            )
            return [name for (name,) in rows]

    # ---- workers

    def claim(self, worker: str, version: str, facts: dict[str, Any]) -> Job | None:
        """Give the oldest queued job that `version` may make to a worker, with a lease; None where there is none."""
        with self._transaction() as now:
            self._db.execute(
                "INSERT INTO workers VALUES (?, ?, ?, ?) ON CONFLICT (name) DO UPDATE "
                "SET version = excluded.version, facts = excluded.facts, seen = excluded.seen",
                (worker, version, json.dumps(facts), now),
            )
            job = self._one("status = ? AND requested_version IN ('', ?) ORDER BY number LIMIT 1", QUEUED, version)
            if job is None:
                return None
            self._db.execute(
                "UPDATE jobs SET status = ?, lease = ?, lease_until = ?, started = ?, model_version = ?, progress = 0 "
                "WHERE id = ?",
                (IN_PROGRESS, secrets.token_hex(16), now + LEASE_SECONDS, now, version, job.id),
            )
            return self._one("id = ?", job.id)

    def renew(self, name: str, lease: str, progress: int, worker: str, sampled: str | None = None) -> None:
        """Prolong the lease; note the progress, 0 to 100, and what the prompt is sampled as, where that is known.

        Raises:
            LeaseLost: if the job is no longer the worker's.
        """
        with self._transaction() as now:
            self._held(name, lease)
            self._db.execute(
                "UPDATE jobs SET lease_until = ?, progress = MAX(progress, ?), "
                "sampled = COALESCE(?, sampled) WHERE id = ?",
                (now + LEASE_SECONDS, progress, sampled, name),
            )
            self._db.execute("UPDATE workers SET seen = ? WHERE name = ?", (now, worker))

    def preview(self, name: str, lease: str) -> None:
        """Note that there is a new preview; its picture is stored already.

        Raises:
            LeaseLost: if the job is no longer the worker's.
        """
        with self._transaction():
            self._held(name, lease)
            self._db.execute("UPDATE jobs SET previews = previews + 1 WHERE id = ?", (name,))

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
                (COMPLETED, now, name),
            )

    def fail(self, name: str, lease: str, code: str, message: str) -> None:
        """Note that the job failed, in one sentence.

        Raises:
            LeaseLost: if the job is no longer the worker's.
        """
        with self._transaction() as now:
            self._held(name, lease)
            self._end(name, now, code, message)

    def release(self, name: str, lease: str) -> None:
        """Queue the job again, for a worker that was told to stop; this is no lost lease.

        Raises:
            LeaseLost: if the job is no longer the worker's.
        """
        with self._transaction() as now:
            self._held(name, lease)
            self._queue_again(name, now)

    # ---- watchers

    def counts(self) -> dict[str, int]:
        """Return how many jobs are in each state, 0 included."""
        with self._transaction():
            rows = dict(self._db.execute("SELECT status, COUNT(*) FROM jobs GROUP BY status").fetchall())
        return {status: rows.get(status, 0) for status in (QUEUED, IN_PROGRESS, COMPLETED, FAILED)}

    def ahead(self, name: str) -> int:
        """Return how many queued jobs come before this one."""
        with self._transaction():
            (count,) = self._db.execute(
                "SELECT COUNT(*) FROM jobs WHERE status = ? AND number < (SELECT number FROM jobs WHERE id = ?)",
                (QUEUED, name),
            ).fetchone()
            return int(count)

    def workers(self) -> tuple[int, dict[str, Any] | None]:
        """Return how many workers are there, and the facts of the deployed model version as last seen."""
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
        old = self._db.execute(
            "SELECT id FROM jobs WHERE status IN (?, ?) AND created < ?", (QUEUED, IN_PROGRESS, now - MOST_SECONDS)
        ).fetchall()
        for (name,) in old:
            hours = MOST_SECONDS / 3600
            self._end(name, now, "too_old", f"The job was not finished within {hours:.0f} hours; ask again later.")
        lost = self._db.execute(
            "SELECT id, lost_leases FROM jobs WHERE status = ? AND (lease_until < ? OR started < ?)",
            (IN_PROGRESS, now, now - MOST_SECONDS_IN_PROGRESS),
        ).fetchall()
        for name, before in lost:
            self._lose(name, before + 1, now)
        late = self._db.execute(
            "SELECT id FROM jobs WHERE status = ? AND queued < ?", (QUEUED, now - MOST_SECONDS_QUEUED)
        ).fetchall()
        for (name,) in late:
            minutes = MOST_SECONDS_QUEUED / 60
            self._end(name, now, "no_worker", f"No worker took the job within {minutes:.0f} minutes; ask again later.")
        self._db.execute("DELETE FROM refusals WHERE refused < ?", (now - SECONDS_TO_RETRY,))

    def _lose(self, name: str, lost: int, now: float) -> None:
        self._db.execute("UPDATE jobs SET lost_leases = ? WHERE id = ?", (lost, name))
        if lost >= MOST_LOST_LEASES:
            self._end(name, now, "worker_lost", f"The worker was lost {lost} times on this job; ask for less.")
        else:
            self._queue_again(name, now)

    def _queue_again(self, name: str, now: float) -> None:
        self._db.execute(
            "UPDATE jobs SET status = ?, progress = 0, queued = ?, lease = NULL, lease_until = NULL WHERE id = ?",
            (QUEUED, now, name),
        )

    def _end(self, name: str, now: float, code: str, message: str) -> None:
        self._db.execute(
            "UPDATE jobs SET status = ?, completed = ?, error_code = ?, error = ?, lease = NULL, lease_until = NULL "
            "WHERE id = ?",
            (FAILED, now, code, message, name),
        )

    def _held(self, name: str, lease: str) -> Job:
        job = self._one("id = ?", name)
        if (
            job is None
            or job.status != IN_PROGRESS
            or job.lease is None
            or not secrets.compare_digest(job.lease, lease)
        ):
            raise LeaseLost
        return job

    def _earlier(self, fingerprint: str, key: str | None, retried: bool, now: float) -> Job | None:
        if key is not None:
            job = self._one("key = ?", key)
            if job is not None and job.fingerprint != fingerprint:
                raise KeyReused
            return job
        refused = self._db.execute("SELECT 1 FROM refusals WHERE fingerprint = ?", (fingerprint,)).fetchone()
        if not retried or refused is not None:
            return None
        return self._one(
            "fingerprint = ? AND seen = 0 AND created > ? ORDER BY number DESC LIMIT 1",
            fingerprint,
            now - SECONDS_TO_RETRY,
        )

    def _one(self, where: str, *values: Any) -> Job | None:
        row = self._db.execute(f"SELECT {COLUMNS} FROM jobs WHERE {where}", values).fetchone()
        return _job(row) if row else None


def _job(row: tuple[Any, ...]) -> Job:
    values = dict(zip(NAMES, row, strict=True))
    values |= {"options": json.loads(values["options"])} | {name: tuple(json.loads(values[name])) for name in LISTS}
    return Job(**values)
