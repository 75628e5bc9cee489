"""Autoencoder training beats the best linear one, is the same for any number of processes, and survives a kill."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from kinora.data.clips import ClipDataset
from kinora.data.ingest.config import IngestConfig, SimulatedClips
from kinora.data.ingest.dataset import ingest
from kinora.errors import KinoraError, UsageError
from kinora.models.captioner import Captioner, CaptionerConfig
from kinora.models.precision import compute_dtype
from kinora.models.vae import VAE, VAEConfig
from kinora.training.autoencoder import train_autoencoder
from kinora.training.autoencoder_trainer import AutoencoderTraining
from kinora.training.compute import Compute
from kinora.training.log import MEASURED, read_rows
from kinora.training.reconstruction import to_video
from kinora.training.video_batches import ExcerptReader, Excerpts, Shape
from kinora.worlds import WorldsConfig

WORLDS = WorldsConfig(
    worlds=("uniform",),
    motions=("right", "left", "up", "down"),
    sizes=((32, 32), (40, 24)),
    frames=(9, 17),
    held_out=60,
    seed=3,
)
TRAINING = AutoencoderTraining(
    model=VAEConfig(latent_channels=8, width=16, encoder_blocks=1, decoder_blocks=1),
    steps=60,
    pixels_per_step=2 * 9 * 32 * 32,
    warmup_steps=5,
    save_every=20,
    validate_every=30,
    samples=3,
)

# Other numbers of processes sum in another order. Where products are in bfloat16, weights drift apart by that within a
# few steps, and only the course of the losses can be compared.
EXACT = compute_dtype() is torch.float32


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> ClipDataset:
    return ingest(
        "worlds",
        tmp_path_factory.mktemp("worlds") / "clips",
        IngestConfig(WORLDS, SimulatedClips(videos=48, images=16)),
    )


@pytest.fixture(scope="module")
def trained(dataset, tmp_path_factory):
    out = tmp_path_factory.mktemp("trained") / "vae"
    return train_autoencoder(dataset, out, TRAINING)


def videos(dataset: ClipDataset, split: str) -> dict[Shape, torch.Tensor]:
    """Return all clips of a split, by shape."""
    reader = ExcerptReader(dataset)
    excerpts = Excerpts(dataset, split, TRAINING.limits()).some(10**6)
    return {shape: to_video(reader.stack(some), torch.device("cpu")) for shape, some in excerpts.items()}


def course(out: Path) -> list[dict[str, float]]:
    """Return the log without what differs between two runs."""
    return [
        {name: value for name, value in row.items() if name not in MEASURED}
        for row in read_rows(out / "training.jsonl")
    ]


def assert_same_weights(one: Path, other: Path, tolerance: float) -> None:
    found, expected = (load_file(folder / "model.safetensors") for folder in (one, other))
    for name, tensor in expected.items():
        torch.testing.assert_close(
            found[name], tensor, atol=tolerance, rtol=tolerance, msg=lambda message, name=name: f"{name}: {message}"
        )


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
    for quality in ("psnr", "ssim"):
        measured = {name for name in trained.metrics if re.match(rf"{quality}_\d", name)}
        assert measured == {f"{quality}_{w}x{h}x{t}" for t, h, w in videos(dataset, "validation")}
    assert 0.3 < trained.metrics["ssim_video"] < 1


def test_latents_of_the_training_split_have_zero_mean_and_unit_variance(dataset, trained):
    model = VAE.load(trained.path)
    values = []
    for video in videos(dataset, "train").values():
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
from kinora.training.autoencoder import train_autoencoder
from kinora.training.autoencoder_trainer import AutoencoderTraining
from kinora.training.compute import Compute
dataset, config, out, checkpoints, processes = sys.argv[1:]
config, compute = from_dict(AutoencoderTraining, read_json(config)), Compute(processes=int(processes))
train_autoencoder(ClipDataset.open(dataset), out, config, checkpoints, compute=compute)
"""


@pytest.mark.parametrize("processes", [1, 2])
def test_killed_training_goes_on_and_ends_as_if_never_stopped(dataset, trained, tmp_path, monkeypatch, processes):
    """Also where two processes were killed, and one goes on."""
    out, checkpoints, config = tmp_path / "vae", tmp_path / "checkpoints", trained.path / "config.json"
    command = [sys.executable, "-c", CHILD, str(dataset.path), str(config), str(out), str(checkpoints), str(processes)]
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
    if processes == 1 or EXACT:
        assert_same_weights(out, trained.path, 1e-6 if processes == 1 else 1e-4)
    if processes == 1:
        assert course(out) == course(trained.path)
    last, whole = (course(folder)[-1]["held_out_loss"] for folder in (out, trained.path))
    assert last == pytest.approx(whole, rel=1e-3 if EXACT else 0.1)
    assert not list(checkpoints.iterdir())  # the result stands; nothing is left to resume


def test_four_processes_train_what_one_does_with_every_term_of_the_loss(dataset, tmp_path):
    captioner = tmp_path / "captioner"
    torch.manual_seed(0)
    Captioner(CaptionerConfig(channels=4, keypoints=8, width=16, depth=1)).save(captioner)
    weights = {"absolute_weight": 0.5, "perceptual_weight": 0.1, "adversarial_weight": 0.1}
    # Batches of 3 clips and fewer: some ranks have none.
    config = replace(TRAINING, steps=12, adversarial_start=4, pixels_per_step=3 * 9 * 32 * 32, **weights)
    outs = {}
    for processes in (1, 4):
        outs[processes] = tmp_path / str(processes)
        train_autoencoder(dataset, outs[processes], config, compute=Compute(processes=processes), features=captioner)
    if EXACT:
        assert_same_weights(outs[4], outs[1], 1e-4)
    one, four = (course(outs[processes]) for processes in (1, 4))
    terms = {"loss", "squared", "absolute", "kl", "perceptual", "adversarial", "discriminator", "held_out_loss"}
    for row, other in zip(one, four, strict=True):
        assert row == pytest.approx(other, rel=1e-3 if EXACT else 0.1, abs=1e-3)
    assert terms <= set(one[-1])
    html = (outs[4] / "report.html").read_text()
    assert "Kullback-Leibler divergence" in html
    assert "hinge losses" in html


def test_a_dataset_without_training_clips_is_refused(dataset, tmp_path):
    empty = dataset.derive(tmp_path / "d", dataset.clips[dataset.clips["split"] == "none"], dataset.quarantine, {})
    with pytest.raises(KinoraError, match="no clips in its training split"):
        train_autoencoder(empty, tmp_path / "vae", TRAINING)


def test_perceptual_features_that_are_missing_are_named_before_anything_starts(dataset, tmp_path):
    config = replace(TRAINING, perceptual_weight=0.1)
    with pytest.raises(UsageError, match="no perceptual features are given"):
        train_autoencoder(dataset, tmp_path / "vae", config, tmp_path / "state")
    with pytest.raises(KinoraError, match="absent holds no perceptual features"):
        train_autoencoder(dataset, tmp_path / "vae", config, tmp_path / "state", features=tmp_path / "absent")
    assert not (tmp_path / "state").exists()
