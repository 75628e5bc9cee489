"""`kinora serve` and `kinora promote` as a person runs them: what bad input gets, and that nothing is left running."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import psutil
import pytest

from kinora.generation import Registry
from kinora.processes import end_descendants, lives
from serving.jobs import JobStore
from serving.model_store import import_version


@pytest.fixture
def work(version, tmp_path) -> Path:
    registry_of(tmp_path).promote(version.path, verdict="Better.")
    return tmp_path


def registry_of(work: Path) -> Registry:
    return Registry(str(work / "artifacts"))


def refused(process, code: int = 1) -> str:
    said, _ = process.communicate()
    assert process.returncode == code, said
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
    registry = registry_of(work)
    (registry.fetch(registry.deployed()).path / "recipe.json").write_text("{}")
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


STARTER = """
import os, subprocess, sys
from kinora.processes import with_parent
command = [sys.executable, "-m", "cli", "serve", *sys.argv[1:]]
serve = subprocess.Popen(
    command, env=os.environ | with_parent(), stdout=subprocess.PIPE, text=True, start_new_session=True
)
serve.stdout.readline()
print(serve.pid, flush=True)
serve.wait()
"""


def test_it_ends_with_a_program_that_started_it_and_was_killed(root, free_port, work, wait_until):
    command = [sys.executable, "-c", STARTER, "--work", str(work), "--port", str(free_port())]
    starter = subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True)
    serve = psutil.Process(int(starter.stdout.readline()))
    programs = serve.children()
    try:
        starter.kill()
        starter.wait()
        wait_until(lambda: not any(lives(process) for process in (serve, *programs)))
    finally:
        if lives(serve):
            end_descendants(serve.pid)
            serve.kill()


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


def test_promotion_is_listed_and_gone_back_from_on_the_command_line(start, version, other_version, tmp_path):
    def promote(*arguments: str) -> str:
        process = start("cli", "promote", *arguments, "--work", str(tmp_path))
        said, _ = process.communicate()
        assert process.returncode == 0, said
        return said

    assert version.name in promote(str(version.path))
    promote(str(other_version.path), "--verdict", "It makes rounder circles.")
    assert registry_of(tmp_path).deployed() == other_version.name
    promote(version.name, "--verdict", "It does not.")
    assert registry_of(tmp_path).deployed() == version.name
    lines = promote("--history").splitlines()
    assert [line.split()[1:3] for line in lines] == [
        ["promotion", version.name], ["promotion", other_version.name], ["rollback", version.name]
    ]  # fmt: skip
    assert lines[1].endswith("It makes rounder circles.")
    assert "give --history" in refused(start("cli", "promote"), code=2)
    assert "fedcba9876543210" in refused(start("cli", "promote", "fedcba9876543210", "--work", str(tmp_path)))


def test_a_running_endpoint_follows_promotions(start, free_port, version, other_version, work, wait_until):
    port = free_port()
    process = start("cli", "serve", "--work", str(work), "--port", str(port))
    assert version.name in process.stdout.readline()
    for promoted in (other_version, version):
        registry_of(work).promote(promoted.path, verdict="Better.")
        wait_until(lambda name=promoted.name: served_version(port) == name)
        name = httpx.post(f"http://127.0.0.1:{port}/v1/videos", data={"prompt": "a red circle", "frames": "5"}).json()
        address = f"http://127.0.0.1:{port}/v1/videos/{name['id']}"
        wait_until(lambda address=address: httpx.get(address).json()["status"] == "completed")
        assert httpx.get(address).json()["model_version"] == promoted.name


def test_a_deployed_version_that_is_damaged_leaves_the_one_before_in_service(
    start, free_port, version, other_version, work, wait_until
):
    port = free_port()
    start("cli", "serve", "--work", str(work), "--port", str(port)).stdout.readline()
    models = work / "artifacts" / "models"
    registry_of(work).promote(other_version.path, verdict="Better.")
    (models / other_version.name / "recipe.json").write_text("{}")  # before or after the worker looks: both may be
    log = work / "serving" / "worker.log"
    wait_until(lambda: "was changed" in log.read_text() or served_version(port) == other_version.name)
    assert httpx.get(f"http://127.0.0.1:{port}/v1/models/kinora").json()["workers"] == 1


def served_version(port: int) -> str:
    return httpx.get(f"http://127.0.0.1:{port}/v1/models/kinora").json()["version"]


@pytest.mark.parametrize("place", ["a folder", "S3"])
def test_a_worker_imports_a_version_into_bentoml_s_store(request, place, version, tmp_path):
    from bentoml._internal.models import ModelStore

    registry = Registry(str(tmp_path / "artifacts") if place == "a folder" else request.getfixturevalue("s3_root"))
    registry.promote(version.path, verdict="Better.")
    path = import_version(registry, version.name, tmp_path / "store")
    (model,) = ModelStore(tmp_path / "store" / "models").list("kinora")
    assert (model.tag.version, Path(model.path)) == (version.name, path)
    before = path.stat().st_ino
    assert import_version(registry, version.name, tmp_path / "store").stat().st_ino == before  # it is there
    shutil.rmtree(path / "vae")  # an import that was interrupted
    assert (import_version(registry, version.name, tmp_path / "store") / "vae").is_dir()
    assert sorted(child.name for child in (tmp_path / "store").iterdir()) == ["models"]


def test_a_worker_imports_the_version_that_comes_with_the_package(version, monkeypatch, tmp_path):
    monkeypatch.setenv("KINORA_REFERENCE", str(version.path))
    registry = Registry(str(tmp_path / "artifacts"))
    assert import_version(registry, registry.deployed(), tmp_path / "store").name == version.name


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
