"""A real model version with random weights, and a real endpoint that serves it."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from kinora.generation import ModelVersion, write_version
from kinora.models.captioner import Captioner, CaptionerConfig
from kinora.models.dit import DiTConfig
from kinora.models.text_encoder import SPECIAL, TextEncoderConfig, split_words
from kinora.models.vae import VAE, VAEConfig
from kinora.models.vocabulary import build_vocabulary
from kinora.models.world_model import WorldModel, save_world_model

PROMPT = "A large red circle moves slowly to the right on a grey background."
ROOT = Path(__file__).parents[2]


def random_version(root: Path, steps: int = 6, seed: int = 0) -> ModelVersion:
    """Write a model version whose weights are random; it makes noise, by the same path as a trained one."""
    torch.manual_seed(seed)
    words = build_vocabulary([split_words(PROMPT)], SPECIAL)
    dit = DiTConfig(latent_channels=4, width=32, depth=1, heads=2, text_width=32)
    text = TextEncoderConfig(vocabulary=words, width=32, heads=2)
    VAE(VAEConfig(latent_channels=4, width=8, encoder_blocks=1, decoder_blocks=1)).save(root / "vae")
    Captioner(CaptionerConfig(vocabulary=words)).save(root / "captioner")
    world = WorldModel(dit, text)
    for parameter in world.parameters():  # a fresh transformer answers zero, whatever the seed
        torch.nn.init.normal_(parameter, std=0.2)
    save_world_model(root / "dit", world.state_dict(), dit, text)
    recipe = {
        "name": "random",
        "sampling": {"steps": steps, "guidance": 2.0, "shift": 1.0},
        "ingest": {"worlds": {"sizes": [[32, 32], [40, 24]]}, "max_frames": 17, "fps": 8.0},
    }
    evaluation = {"clips": [{"asked": {"prompt": PROMPT}}], "rates": {"overall": 0.0}}
    return write_version(
        root / "versions", root / "vae", root / "dit", root / "captioner", recipe, evaluation, {"code": "x"}
    )


@pytest.fixture(scope="session")
def version(tmp_path_factory) -> ModelVersion:
    """A whole model version."""
    return random_version(tmp_path_factory.mktemp("version"))


def environment(**more: str) -> dict[str, str]:
    """Return an environment for our programs."""
    return os.environ | {"OMP_NUM_THREADS": "1", "BENTOML_DO_NOT_TRACK": "True"} | more


def _start(*arguments: str, **more: str) -> subprocess.Popen:
    """Start one of our programs."""
    return subprocess.Popen(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        env=environment(**more),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen]]:
    """Start one of our programs; what is left of it is ended."""
    started: list[subprocess.Popen] = []

    def run(*arguments: str, **more: str) -> subprocess.Popen:
        started.append(_start(*arguments, **more))
        return started[-1]

    yield run
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait()


@pytest.fixture(scope="session")
def other_version(tmp_path_factory) -> ModelVersion:
    """Another one."""
    return random_version(tmp_path_factory.mktemp("other"), seed=1)


@dataclass(frozen=True)
class Served:
    """A running `kinora serve`."""

    address: str
    work: Path
    process: subprocess.Popen


@pytest.fixture(scope="session")
def served(version, free_port, tmp_path_factory) -> Iterator[Served]:
    """Serve the random version as a person would: promote, then serve."""
    work, port = tmp_path_factory.mktemp("served"), free_port()
    promoted = _start("cli", "promote", str(version.path), "--work", str(work))
    said, _ = promoted.communicate()
    assert promoted.returncode == 0, said
    process = _start("cli", "serve", "--work", str(work), "--port", str(port))
    try:
        line = process.stdout.readline()
        assert f"http://127.0.0.1:{port}/" in line, line + process.stdout.read()
        yield Served(f"http://127.0.0.1:{port}", work, process)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()


@pytest.fixture(scope="session")
def client(served) -> Callable:
    """The unmodified client."""
    from openai import OpenAI

    return OpenAI(base_url=f"{served.address}/v1", api_key="none")
