"""The queue: order, leases, retries, restarts, bounds."""

import sqlite3
from dataclasses import replace

import pytest

from kinora.errors import KinoraError
from serving import jobs
from serving.jobs import JobRequest, JobStore, KeyReused, LeaseLost, QueueFull

ASKED = JobRequest("video", "a red circle", 32, 32, 17, 8.0, 1)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path, clock) -> JobStore:
    return JobStore(tmp_path / "jobs.sqlite", clock)


def put(store: JobStore, fingerprint: str = "f", **more):
    return store.create(ASKED, fingerprint, 10, **more)[0]


def claim(store: JobStore, version: str = "v"):
    return store.claim("w", version, {"version": version})


def test_jobs_are_claimed_in_order_and_once(store):
    names = [put(store).id for _ in range(3)]
    assert [claim(store).id for _ in range(3)] == names
    assert claim(store) is None


def test_history_survives_a_restart(store, clock, tmp_path):
    put(store)
    job = claim(store)
    store.finish(job.id, job.lease)
    waiting = put(store)
    store.close()
    again = JobStore(tmp_path / "jobs.sqlite", clock)
    assert again.get(job.id).status == "completed"
    assert again.get(job.id).progress == 100
    assert again.get(waiting.id).status == "queued"


def test_a_lost_job_is_queued_again_twice_and_then_fails_with_a_sentence(store, clock):
    name = put(store).id
    for _ in range(3):
        assert claim(store).id == name
        clock.now += jobs.LEASE_SECONDS + 1
    job = store.get(name)
    assert (job.status, job.lost_leases, job.error_code) == ("failed", 3, "worker_lost")
    assert job.error.endswith(".")


def test_a_job_that_polite_workers_release_is_never_lost(store, clock):
    name = put(store).id
    for _ in range(5):
        job = claim(store)
        store.release(job.id, job.lease)
        clock.now += jobs.MOST_SECONDS_QUEUED / 2
    job = claim(store)
    assert (job.id, job.lost_leases) == (name, 0)
    store.finish(job.id, job.lease)
    assert store.get(name).status == "completed"


def test_a_job_that_is_released_for_ever_ends_too(store, clock):
    name, end = put(store).id, clock.now + jobs.MOST_SECONDS
    while clock.now < end:
        job = claim(store)
        store.release(job.id, job.lease)
        clock.now += jobs.MOST_SECONDS_QUEUED / 2
    clock.now += 1
    assert store.get(name).error_code == "too_old"


def test_a_renewed_lease_holds_but_no_attempt_lasts_for_ever(store, clock):
    put(store)
    job, end = claim(store), clock.now + jobs.MOST_SECONDS_IN_PROGRESS
    while clock.now + 20 < end:
        clock.now += 20
        store.renew(job.id, job.lease, 50, "w")
    clock.now = end + 1
    with pytest.raises(LeaseLost):
        store.renew(job.id, job.lease, 60, "w")
    assert store.get(job.id).status == "queued"


def test_a_job_that_nobody_takes_fails(store, clock):
    name = put(store).id
    clock.now += jobs.MOST_SECONDS_QUEUED + 1
    assert store.get(name).error_code == "no_worker"


def test_a_lease_is_good_for_its_own_claim_only(store, clock):
    put(store)
    first = claim(store)
    clock.now += jobs.LEASE_SECONDS + 1
    second = claim(store)
    assert second.id == first.id
    with pytest.raises(LeaseLost):
        store.finish(first.id, first.lease)
    store.finish(second.id, second.lease)
    with pytest.raises(LeaseLost):
        store.fail(second.id, second.lease, "x", "y")


def test_a_deleted_job_is_no_longer_the_workers(store):
    put(store)
    job = claim(store)
    assert store.delete(job.id)
    with pytest.raises(LeaseLost):
        store.renew(job.id, job.lease, 10, "w")


def test_progress_never_goes_back(store):
    put(store)
    job = claim(store)
    store.renew(job.id, job.lease, 50, "w")
    store.renew(job.id, job.lease, 20, "w")
    assert store.get(job.id).progress == 50


def test_a_full_queue_refuses(store):
    for _ in range(2):
        store.create(ASKED, "f", 2)
    with pytest.raises(QueueFull):
        store.create(ASKED, "f", 2)


def test_a_retried_create_makes_no_second_job(store):
    first = put(store)
    assert put(store, retried=True).id == first.id
    assert put(store).id != first.id


def test_a_retry_of_a_refused_create_is_a_new_job(store):
    """An equal request may be older and its answer never followed: the retry is of the refused one, not of that."""
    older = put(store)
    with pytest.raises(QueueFull):
        store.create(ASKED, "f", 1)
    with pytest.raises(QueueFull):
        store.create(ASKED, "f", 1, retried=True)
    claim(store)
    job, new = store.create(ASKED, "f", 1, retried=True)
    assert new
    assert job.id != older.id
    again, new = store.create(ASKED, "f", 1, retried=True)  # now it is the answer to that one which was lost
    assert (again.id, new) == (job.id, False)


def test_a_refusal_that_was_given_up_does_not_double_a_later_request(store, clock):
    put(store, fingerprint="other")
    with pytest.raises(QueueFull):
        store.create(ASKED, "f", 1)
    claim(store)
    clock.now += 1
    first, _ = store.create(ASKED, "f", 1)
    assert store.create(ASKED, "f", 1, retried=True) == (first, False)


def test_a_queue_of_another_version_is_one_sentence(tmp_path):
    with sqlite3.connect(tmp_path / "jobs.sqlite") as old:
        old.execute("CREATE TABLE jobs (id TEXT, status TEXT, number INTEGER, fingerprint TEXT, key TEXT, given TEXT)")
    with pytest.raises(KinoraError, match="another version of Kinora; move it away"):
        JobStore(tmp_path / "jobs.sqlite")


def test_a_retry_is_not_taken_for_a_job_that_its_client_knows(store):
    first = put(store)
    store.get(first.id, seen=True)
    assert put(store, retried=True).id != first.id


def test_an_idempotency_key_makes_one_job_and_fits_one_request(store):
    first = put(store, key="k")
    assert put(store, key="k").id == first.id
    with pytest.raises(KeyReused):
        put(store, fingerprint="other", key="k")


def test_a_job_for_another_version_is_left(store):
    store.create(replace(ASKED, requested_version="other"), "f", 10)
    assert claim(store) is None
    assert claim(store, "other") is not None


def test_pages_go_through_all_jobs_both_ways(store):
    names = [put(store).id for _ in range(5)]
    for ascending, expected in ((True, names), (False, names[::-1])):
        found, after, more = [], None, True
        while more:
            page, more = store.listed(after, 2, ascending)
            found += [job.id for job in page]
            after = found[-1]
        assert found == expected


def test_counts_are_there_at_zero(store):
    assert store.counts() == {"queued": 0, "in_progress": 0, "completed": 0, "failed": 0}
