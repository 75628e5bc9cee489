"""`kinora serve` and `kinora promote` as a person runs them: what bad input gets, and that nothing is left running."""

import os
import shutil
import signal
import socket
from pathlib import Path

import httpx
import pytest

from serving import model_store
from serving.jobs import JobStore


@pytest.fixture
def work(version, tmp_path) -> Path:
    model_store.promote(version.path, model_store.store_home(tmp_path))
    return tmp_path


def refused(process) -> str:
    said, _ = process.communicate()
    assert process.returncode == 1, said
    assert len(said.strip().splitlines()) == 1, said
    return said


def test_nothing_promoted_and_a_port_in_use_are_one_sentence(start, free_port, tmp_path):
    assert "kinora promote" in refused(start("cli", "serve", "--work", str(tmp_path), "--port", str(free_port())))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert port in refused(start("cli", "serve", "--work", str(tmp_path), "--port", port))


def test_a_changed_version_is_one_sentence(start, free_port, work):
    place = model_store.current(model_store.store_home(work))
    (place / "recipe.json").write_text("{}")
    assert "changed" in refused(start("cli", "serve", "--work", str(work), "--port", str(free_port())))


def test_a_killed_worker_is_replaced_and_its_end_ends_everything(start, free_port, work, wait_until):
    port = free_port()
    process = start("cli", "serve", "--work", str(work), "--port", str(port))
    assert "http://" in process.stdout.readline()
    programs = children(process.pid)
    assert len(programs) == 2
    worker = next(pid for pid in programs if "serving.worker" in Path(f"/proc/{pid}/cmdline").read_text())
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: worker not in children(process.pid) and len(children(process.pid)) == 2)
    programs = children(process.pid)
    process.kill()  # not even told: the programs notice by themselves
    process.wait()
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in programs))


def test_interrupted_it_gives_the_job_back_and_leaves_nothing(start, free_port, work):
    port = free_port()
    process = start("cli", "serve", "--work", str(work), "--port", str(port))
    assert "http://" in process.stdout.readline()
    programs = children(process.pid)
    asked = {"prompt": "a red circle", "size": "256x256", "frames": "17"}
    name = httpx.post(f"http://127.0.0.1:{port}/v1/videos", data=asked, timeout=None).json()["id"]
    process.send_signal(signal.SIGINT)
    assert process.wait() == 0
    assert not any(Path(f"/proc/{pid}").exists() for pid in programs)
    assert JobStore(work / "serving" / "jobs.sqlite").get(name).status in ("queued", "in_progress", "completed")


def test_promotion_verifies_stores_and_goes_back(version, tmp_path):
    home = model_store.store_home(tmp_path)
    assert model_store.current(home) is None
    place = model_store.promote(version.path, home)
    assert place.name == version.name
    assert model_store.in_service(home) == place
    shutil.rmtree(place / "vae")  # an interrupted promotion
    assert model_store.promote(version.path, home) == place
    assert model_store.in_service(home) == place


def test_the_store_is_bentoml_s(version, tmp_path):
    from bentoml._internal.models import ModelStore

    home = model_store.store_home(tmp_path)
    model_store.promote(version.path, home)
    (model,) = ModelStore(home / "models").list("kinora")
    assert model.tag.version == version.name
    assert Path(model.path) == model_store.current(home)


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
