"""What a person can get wrong is refused in one sentence, before any work, without a traceback."""

import os
import socket
import subprocess
import sys

import pytest


def run(root, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(command, cwd=root, env=os.environ | environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("options", "code", "sentence"),
    [
        (["--recipe", "huge"], 2, "there is no recipe 'huge'"),
        (["--source", "/nowhere/at/all"], 1, "there is no folder or file /nowhere/at/all"),
        (["--source", "EMPTY"], 1, "is empty"),
        (["--source", "ftp://host/clips"], 2, "ftp://host/clips"),
        (["--artifact-root", "s3://bucket/run"], 1, "does not answer"),
        (["--work", "/proc/nothing"], 1, "cannot be used"),
    ],
)
def test_refused(root, tmp_path, options, code, sentence):
    (tmp_path / "EMPTY").mkdir()
    options = [str(tmp_path / "EMPTY") if option == "EMPTY" else option for option in options]
    if "--work" not in options:
        options += ["--work", str(tmp_path / "work")]
    with socket.socket() as unused:  # an address where nothing answers
        unused.bind(("127.0.0.1", 0))
        endpoint = f"127.0.0.1:{unused.getsockname()[1]}"
    done = run(root, "cli", "pipeline", "run", *options, KINORA_S3_ENDPOINT=endpoint, KINORA_S3_SECURE="0")
    assert done.returncode == code, done.stderr
    assert sentence in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "work" / "pipeline").exists()


def test_a_folder_of_broken_files_fails_in_the_first_step(root, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a.mp4").write_bytes(b"nothing")
    work = tmp_path / "work"
    source = str(tmp_path / "mine")
    done = run(root, "cli", "pipeline", "run", "--source", source, "--recipe", "smoke", "--work", str(work))
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("kinora pipeline: step ingest: ")
    assert "Traceback" not in done.stderr
    assert (work / "runs" / "latest" / "index.html").exists()


def test_a_port_in_use_is_said_before_any_work(root, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = run(root, "pipelines.demo", "--recipe", "smoke", "--work", str(tmp_path / "work"), "--port", port)
    assert done.returncode == 1
    assert f"port {port} cannot be used" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "work").exists()
