"""Real files and a real S3 server for the tests of the library."""

import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kinora.data.ingest import IngestConfig, ingest


@pytest.fixture(scope="session")
def footage(tmp_path_factory, real_videos, real_images) -> Path:
    """A folder with real videos, one of them captioned, and stills."""
    folder = tmp_path_factory.mktemp("footage")
    (folder / "stills").mkdir()
    for path in real_videos:
        (folder / path.name).symlink_to(path)
    for path in real_images:
        (folder / "stills" / path.name).symlink_to(path)
    (folder / "carphone_pristine.txt").write_text("A man talks\n in a car. He is animated.\n")
    return folder


@pytest.fixture(scope="session")
def real_dataset(tmp_path_factory, footage):
    """The dataset of that folder."""
    return ingest(str(footage), tmp_path_factory.mktemp("dataset") / "clips", IngestConfig())


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
