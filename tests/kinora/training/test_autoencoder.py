"""Autoencoder training beats the best linear one, keeps sizes, and goes on after being killed."""

import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from kinora.data.clips import ClipDataset
from kinora.data.simulated import SimulatedClips, write_worlds
from kinora.errors import KinoraError
from kinora.models.vae import VAE, VAEConfig
from kinora.training.autoencoder import AutoencoderTraining, load_clips, psnr, train_autoencoder
from kinora.training.log import MEASURED, read_rows
from kinora.worlds import WorldsConfig

WORLDS = WorldsConfig(worlds=("uniform",), sizes=((32, 32), (40, 24)), frames=(9, 17), held_out=60, seed=3)
TRAINING = AutoencoderTraining(
    model=VAEConfig(latent_channels=8, width=16, encoder_blocks=1, decoder_blocks=1),
    steps=60,
    pixels_per_step=2 * 9 * 32 * 32,
    warmup_steps=5,
    save_every=20,
    validate_every=30,
    samples=3,
)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> ClipDataset:
    return write_worlds(WORLDS, SimulatedClips(videos=48, images=16), tmp_path_factory.mktemp("worlds") / "clips")


@pytest.fixture(scope="module")
def trained(dataset, tmp_path_factory):
    out = tmp_path_factory.mktemp("trained") / "vae"
    return train_autoencoder(dataset, out, TRAINING)


def course(out: Path) -> list[dict[str, float]]:
    """Return the log without what differs between two runs."""
    return [
        {name: value for name, value in row.items() if name not in MEASURED}
        for row in read_rows(out / "training.jsonl")
    ]


def test_psnr_is_the_textbook_formula():
    reference = torch.zeros(2, 3, 1, 4, 4)
    video = reference + torch.tensor([0.2, 0.02])[:, None, None, None, None]
    expected = [20 * math.log10(2 / 0.2), 20 * math.log10(2 / 0.02)]
    torch.testing.assert_close(psnr(video, reference), torch.tensor(expected))


def test_training_beats_the_best_linear_autoencoder_on_unseen_clips(dataset, tmp_path):
    model = replace(TRAINING.model, width=32)
    longer = replace(TRAINING, model=model, steps=200, warmup_steps=20, pixels_per_step=4 * 9 * 32 * 32)
    metrics = train_autoencoder(dataset, tmp_path / "trained", longer).metrics
    untrained = replace(longer, steps=0)  # principal components alone
    linear = train_autoencoder(dataset, tmp_path / "linear", untrained).metrics
    assert metrics["psnr_video"] > linear["psnr_video"] + 0.3
    assert metrics["psnr_image"] > linear["psnr_image"]
    assert linear["psnr_video"] > 20
    assert metrics["psnr_video_disturbed"] < metrics["psnr_video"]


def test_every_size_and_length_is_measured(dataset, trained):
    shapes = load_clips(dataset, "validation")
    assert shapes
    measured = {name for name in trained.metrics if re.match(r"psnr_\d", name)}
    assert measured == {f"psnr_{w}x{h}x{t}" for t, h, w in shapes}


def test_latents_of_the_training_split_have_zero_mean_and_unit_variance(dataset, trained):
    model = VAE.load(trained.path)
    values = []
    for frames in load_clips(dataset, "train").values():
        video = frames.permute(0, 4, 1, 2, 3) / 127.5 - 1
        values.append(model.normalise(model.encode(video)[0]).detach().movedim(1, -1).flatten(0, 3))
    together = torch.cat(values)
    torch.testing.assert_close(together.mean(0), torch.zeros(8), atol=1e-3, rtol=0)
    torch.testing.assert_close(together.std(0), torch.ones(8), atol=1e-3, rtol=0)


def test_the_held_out_loss_is_measured_on_the_way(trained):
    rows = course(trained.path)
    assert [row["step"] for row in rows] == [10, 20, 30, 40, 50, 60]
    assert [row["step"] for row in rows if "held_out_loss" in row] == [30, 60]
    assert rows[-1]["held_out_psnr"] > rows[2]["held_out_psnr"] - 1


# A child of its own, so that it can be killed as a crash or a pre-emption would kill it.
CHILD = """
import sys
from kinora.config import from_dict, read_json
from kinora.data.clips import ClipDataset
from kinora.training.autoencoder import AutoencoderTraining, train_autoencoder
dataset, config, out, checkpoints = sys.argv[1:]
train_autoencoder(ClipDataset.open(dataset), out, from_dict(AutoencoderTraining, read_json(config)), checkpoints)
"""


def test_killed_training_goes_on_and_ends_as_if_never_stopped(dataset, trained, tmp_path, monkeypatch):
    out, checkpoints, config = tmp_path / "vae", tmp_path / "checkpoints", trained.path / "config.json"
    command = [sys.executable, "-c", CHILD, str(dataset.path), str(config), str(out), str(checkpoints)]
    environment = os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    child = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)
    try:
        while not list(checkpoints.glob("*/step-*")):
            assert child.poll() is None, child.stderr.read().decode()
            time.sleep(0.01)
        child.send_signal(signal.SIGKILL)
    finally:
        child.kill()
        child.wait()
    assert not out.exists()

    monkeypatch.setenv("KINORA_PROGRESS_DIR", str(tmp_path))
    train_autoencoder(dataset, out, TRAINING, checkpoints)
    progress = json.loads((tmp_path / "train-autoencoder.json").read_text())
    assert progress["first"] in (20, 40, 60)  # it went on from there
    assert progress["done"] == 60
    expected, found = load_file(trained.path / "model.safetensors"), load_file(out / "model.safetensors")
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, msg=name)
    assert course(out) == course(trained.path)
    assert not list(checkpoints.iterdir())  # the result stands; nothing is left to resume


def test_a_dataset_without_training_clips_is_refused(dataset, tmp_path):
    empty = dataset.derive(tmp_path / "d", dataset.clips[dataset.clips["split"] == "none"], dataset.quarantine, {})
    with pytest.raises(KinoraError, match="no clips in its training split"):
        train_autoencoder(empty, tmp_path / "vae", TRAINING)


def test_clips_keep_their_own_size(dataset):
    clips = load_clips(dataset, "train")
    assert {shape[1:] for shape in clips} == {(32, 32), (24, 40)}
    assert {shape[0] for shape in clips} == {1, 9, 17}
    assert all(frames.dtype == torch.uint8 for frames in clips.values())
    total = sum(map(len, clips.values()))
    assert total == int(np.sum(dataset.clips["split"] == "train"))
