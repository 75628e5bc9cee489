"""A real S3 server."""

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def s3_server(tmp_path_factory):
    """Serve a fresh folder as S3; yield its address and the folder."""
    folder = tmp_path_factory.mktemp("s3")
    (folder / "bucket").mkdir()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    rclone = shutil.which("rclone", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    command = [rclone, "serve", "s3", "--auth-key", "key,secret", "--addr", address, "--vfs-cache-mode", "off", folder]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    host, port = address.split(":")
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex((host, int(port))) == 0:
                break
        time.sleep(0.05)
    yield address, folder
    process.terminate()
    process.wait()


@pytest.fixture
def s3_root(s3_server, request, monkeypatch):
    """An s3:// artifact root of the test's own."""
    for name, value in (
        ("KINORA_S3_ENDPOINT", s3_server[0]),
        ("KINORA_S3_SECURE", "0"),
        ("AWS_ACCESS_KEY_ID", "key"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
    ):
        monkeypatch.setenv(name, value)
    return f"s3://bucket/{request.node.name}"
