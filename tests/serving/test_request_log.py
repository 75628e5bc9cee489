"""Requests are kept where steps can read them, on a disk and on S3; no more of them, and no longer, than is said."""

import json
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from kinora.errors import KinoraError
from kinora.storage import open_store
from serving import request_log
from serving.jobs import JobRequest
from serving.request_log import RequestLog, read_requests

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


@pytest.fixture(params=["file", "s3"])
def root(request, tmp_path) -> str:
    """An artifact root of each kind."""
    return f"{tmp_path}/artifacts" if request.param == "file" else request.getfixturevalue("s3_root")


class Clock:
    """A time that a test moves."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def log(root, clock):
    """A log that writes when it is told to, and at its end."""
    log = RequestLog(root, clock)
    log.start()
    yield log
    log.stop()


def asked(prompt: str) -> JobRequest:
    return JobRequest("video", prompt, 40, 24, 17, 8.0, seed=5, options={"a": 1}, media=("image.png",))


def test_what_is_asked_for_is_kept_and_nothing_else_of_it(log, root, clock):
    log.add(asked("a red circle"))
    log.write()
    clock.now += timedelta(minutes=1)
    log.add(asked("a cat — «jumps»"))
    log.stop()  # what is left is written
    (key,) = open_store(root).list("requests")
    assert key.startswith("requests/2026-05-04/120000-")
    found = read_requests(root, 1, clock.now)
    first = {"kind": "video", "task": "text", "prompt": "a red circle", "width": 40, "height": 24, "frames": 17}
    assert found.to_dict("records")[0] == {"at": "2026-05-04T12:00:00+00:00", "fps": 8.0} | first
    assert list(found["prompt"]) == ["a red circle", "a cat — «jumps»"]


def test_only_the_last_days_are_read_and_old_ones_are_removed(log, root, clock):
    for prompt, later in (("old", 0), ("recent", 5), ("new", 1)):
        clock.now += timedelta(days=later)
        log.add(asked(prompt))
        log.write()
    assert list(read_requests(root, 2, clock.now)["prompt"]) == ["recent", "new"]
    assert len(read_requests(root, 60, clock.now)) == 3
    clock.now += timedelta(days=request_log.DAYS_KEPT - 3)
    log.add(asked("newest"))
    log.write()
    assert list(read_requests(root, 60, clock.now)["prompt"]) == ["recent", "new", "newest"]
    assert read_requests(root, 1, clock.now + timedelta(days=9)).empty


def test_a_day_has_a_bound_and_so_has_a_file(log, root, clock, monkeypatch, capsys):
    monkeypatch.setattr(request_log, "MOST_A_DAY", 7)
    monkeypatch.setattr(request_log, "MOST_IN_A_FILE", 3)
    for number in range(9):
        log.add(asked(f"prompt {number}"))
        log.write()
        clock.now += timedelta(seconds=1)
    assert list(read_requests(root, 1, clock.now)["prompt"]) == [f"prompt {number}" for number in range(7)]
    assert len(open_store(root).list("requests")) == 3
    assert capsys.readouterr().err.count("no more of today's are") == 1
    clock.now += timedelta(days=1)
    log.add(asked("tomorrow"))
    log.write()
    assert "tomorrow" in set(read_requests(root, 1, clock.now)["prompt"])


def test_it_can_be_switched_off(root, clock, monkeypatch):
    monkeypatch.setenv("KINORA_REQUEST_LOG", "0")
    log = RequestLog(root, clock)
    log.start()
    log.add(asked("a red circle"))
    log.stop()
    assert open_store(root).list() == []


def test_a_store_that_is_away_costs_no_request(tmp_path, clock, capsys):
    (tmp_path / "artifacts").write_text("a file")
    log = RequestLog(str(tmp_path / "artifacts"), clock)
    log.start()
    for prompt in ("one", "two"):
        log.add(asked(prompt))
        log.write()
    assert capsys.readouterr().err.count("could not be kept") == 1
    (tmp_path / "artifacts").unlink()
    log.stop()
    assert list(read_requests(str(tmp_path / "artifacts"), 1, NOON)["prompt"]) == ["one", "two"]


def test_a_damaged_file_is_one_sentence(tmp_path):
    folder = tmp_path / "requests" / "2026-05-04"
    folder.mkdir(parents=True)
    for text in ("{", json.dumps({"at": "2026-05-04"}), "[]"):
        Path(folder / "1.jsonl").write_text(text)
        with pytest.raises(KinoraError, match=r"1\.jsonl is damaged"):
            read_requests(str(tmp_path), 1, NOON)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_gateway_that_is_told_to_end_loses_no_request(start, free_port, wait_until, tmp_path, number):
    root, port = f"{tmp_path}/artifacts", free_port()
    places = ["--work", str(tmp_path / "work"), "--artifact-root", root, "--port", str(port)]
    gateway = start("serving.gateway", *places, KINORA_WORKER_TOKEN="secret")
    address = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        try:
            return httpx.get(f"{address}/v1/models").status_code == 200
        except httpx.TransportError:
            assert gateway.poll() is None, gateway.stdout.read()
            return False

    wait_until(answers)
    assert httpx.post(f"{address}/v1/videos", data={"prompt": "a red circle"}).status_code == 200
    gateway.send_signal(number)
    gateway.wait()
    assert [row["prompt"] for row in read_requests(root, 1).to_dict("records")] == ["a red circle"]
