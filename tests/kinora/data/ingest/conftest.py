"""For the tests of ingest: small real videos, tar shards made of members, and a server whose connections break."""

import io
import socket
import tarfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from kinora.media import video_bytes


@pytest.fixture(scope="session")
def movie() -> Callable[[int], bytes]:
    """Return the bytes of a small video, another one for each number."""
    made: dict[int, bytes] = {}

    def make(number: int) -> bytes:
        if number not in made:
            frames = np.random.default_rng(number).integers(0, 255, (1, 16, 16, 3), dtype=np.uint8)
            made[number] = video_bytes(np.repeat(frames, 5, axis=0), 8.0)
        return made[number]

    return make


@pytest.fixture(scope="session")
def tar_shard() -> Callable[..., Path]:
    """Write a tar file of members: each a name with its content, or a `TarInfo` with its content."""

    def write(path: Path, *members: tuple[str | tarfile.TarInfo, bytes], form: int = tarfile.PAX_FORMAT) -> Path:
        with tarfile.open(path, "w", format=form) as archive:
            for name, content in members:
                info = tarfile.TarInfo(name) if isinstance(name, str) else name
                if isinstance(name, str):
                    info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
        return path

    return write


class BreakingServer:
    """Stands between a client and a server; of answers about what is `broken`, it lets a few bytes through, then none.

    After `failures` of them it lets all through.
    """

    def __init__(self, upstream: str):
        self.broken, self.failures, self.broke = b"", 0, 0
        self.upstream = upstream.rpartition(":")
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection((self.upstream[0], int(self.upstream[2])))
            asked = bytearray()
            threading.Thread(target=self._ask, args=(client, server, asked), daemon=True).start()
            threading.Thread(target=self._answer, args=(client, server, asked), daemon=True).start()

    def _ask(self, client: socket.socket, server: socket.socket, asked: bytearray) -> None:
        try:
            while some := client.recv(65536):
                asked[:] = some
                server.sendall(some)
        except OSError:
            pass

    def _answer(self, client: socket.socket, server: socket.socket, asked: bytearray) -> None:
        try:
            while some := server.recv(65536):
                line = bytes(asked).partition(b"\r\n")[0]
                if self.broken and line.startswith(b"GET") and self.broken in line and self.broke < self.failures:
                    self.broke += 1
                    client.sendall(some[: len(some.partition(b"\r\n\r\n")[0]) + 8])
                    break
                client.sendall(some)
        except OSError:
            pass
        for end in (client, server):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue


@pytest.fixture
def breaking(s3_address, monkeypatch) -> Iterator[BreakingServer]:
    """The S3 server, behind one whose connections break when they are told to."""
    server = BreakingServer(s3_address)
    monkeypatch.setenv("KINORA_S3_ENDPOINT", f"http://{server.address}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    yield server
    if server.listener.fileno() >= 0:
        server.close()
