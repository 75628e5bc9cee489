"""Transformer training: what it keeps, its log, and going on after being killed."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from kinora.config import to_dict
from kinora.data.latents import LatentDataset
from kinora.data.shards import COLUMNS
from kinora.errors import KinoraError
from kinora.models.dit import DiTConfig
from kinora.models.precision import compute_dtype
from kinora.models.text_encoder import TextEncoderConfig
from kinora.models.world_model import load_world_model
from kinora.training.checkpoints import checkpoint_name
from kinora.training.compute import Compute
from kinora.training.log import read_rows
from kinora.training.transformer import (
    TransformerTraining,
    train_transformer,
)

SMALL = TransformerTraining(
    model=DiTConfig(width=16, depth=1, heads=2), text=TextEncoderConfig(width=16, heads=2),
    steps=60, tokens_per_step=128, tokens_per_pack=64, save_every=15, warmup_steps=5, checkpoints=3,
)  # fmt: skip
TWO = Compute(processes=2)


def test_the_untrained_and_the_last_model_are_always_kept():
    assert SMALL.checkpoint_steps() == [0, 30, 60]
    assert replace(SMALL, checkpoints=1).checkpoint_steps() == [0, 60]


def test_nothing_to_train_on_is_one_sentence(latents, tmp_path):
    nothing = LatentDataset.open(latents).of_split("validation")
    columns = {name: list(nothing.values(name)) for name in COLUMNS}
    clips = [({name: columns[name][n] for name in COLUMNS}, torch.zeros(4, 1, 4, 4)) for n in range(len(nothing))]
    empty = LatentDataset.write(tmp_path / "none", clips, nothing.config)
    with pytest.raises(KinoraError, match="split 'train'"):
        train_transformer(empty, tmp_path / "out", SMALL, tmp_path / "state")


@pytest.fixture(scope="module")
def unbroken(latents, tmp_path_factory):
    """A training of two processes that nobody interrupted."""
    folder = tmp_path_factory.mktemp("unbroken")
    return train_transformer(LatentDataset.open(latents), folder / "out", SMALL, folder / "state", compute=TWO)


def test_checkpoints_are_kept_oldest_first_and_load(unbroken):
    assert unbroken.checkpoints == tuple(checkpoint_name(step) for step in (0, 30, 60))
    models = [load_world_model(unbroken.path / name) for name in unbroken.checkpoints]
    assert models[0].dit.head.weight.abs().max() == 0  # untrained
    assert models[2].dit.head.weight.abs().max() > 0
    words = {"a", "red", "blue", "circle", "square", "moves", "falls"}
    assert set(models[2].text_encoder.config.vocabulary[2:]) == words


TRAIN = """
import json, sys
from kinora.config import from_dict
from kinora.data.latents import LatentDataset
from kinora.training.compute import Compute
from kinora.training.transformer import TransformerTraining, train_transformer
latents, out, state, config = sys.argv[1:]
config = from_dict(TransformerTraining, json.loads(config))
train_transformer(LatentDataset.open(latents), out, config, state, compute=Compute(processes=2))
"""


def test_killed_without_mercy_it_goes_on_to_the_same_weights(latents, unbroken, tmp_path, root, wait_until):
    arguments = [str(latents), str(tmp_path / "out"), str(tmp_path / "state"), json.dumps(to_dict(SMALL))]
    environment = os.environ | {"PYTHONPATH": str(root)}
    command = [sys.executable, "-c", TRAIN, *arguments]
    parent = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, start_new_session=True)
    wait_until(lambda: parent.poll() is not None or list(tmp_path.glob("state/*/step-*")))
    workers = worker_pids(tmp_path)
    for pid in [*workers, parent.pid]:
        os.kill(pid, signal.SIGKILL)
    parent.wait()
    assert len(workers) == 2
    assert not (tmp_path / "out").exists()
    (log,) = tmp_path.glob("state/*/training.jsonl")
    with open(log, "a") as file:  # rows since the checkpoint, which whoever watches reads before the worker cuts them
        file.write(json.dumps({"step": 40, "loss": 1.0, "tokens_per_s": 9, "note": "x" * 150}) + "\n")

    subprocess.run(command, env=environment, check=True, stderr=subprocess.DEVNULL)
    for part in ("dit", "text_encoder"):
        expected = load_file(unbroken.path / "step-000060" / f"{part}.safetensors")
        resumed = load_file(tmp_path / "out" / "step-000060" / f"{part}.safetensors")
        for name, weight in expected.items():
            torch.testing.assert_close(resumed[name], weight, rtol=0, atol=0)
    timeless = [
        [{k: v for k, v in row.items() if k in ("step", "loss", "error", "held_out_loss", "tokens")} for row in rows]
        for rows in (read_rows(folder / "training.jsonl") for folder in (tmp_path / "out", unbroken.path))
    ]
    assert timeless[0] == timeless[1]
    assert [row["step"] for row in timeless[0]] == [10, 20, 30, 40, 50, 60]
    assert "held_out_loss" in timeless[0][-1]
    last = read_rows(unbroken.path / "training.jsonl")[-1]
    parts = {name: value for name, value in last.items() if name.startswith("held_out_loss_")}
    assert set(parts) == {"held_out_loss_16x16x9", "held_out_loss_16x16x1"}  # two clips of 12 tokens, and two of 4
    whole = (24 * parts["held_out_loss_16x16x9"] + 8 * parts["held_out_loss_16x16x1"]) / 32
    assert last["held_out_loss"] == pytest.approx(whole)


def worker_pids(folder: Path) -> list[int]:
    """Return the training processes that work in `folder`."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().decode().split("\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        is_worker = any(part.endswith("kinora.training.transformer_worker") for part in command)
        if is_worker and any(str(folder) in part for part in command) and "torchrun" not in " ".join(command):
            found.append(int(process.name))
    return found


def test_training_begins_from_given_weights_with_their_vocabulary(latents, unbroken, tmp_path):
    dataset, initial = LatentDataset.open(latents), unbroken.path / unbroken.checkpoints[-1]
    config = replace(SMALL, steps=1, checkpoints=2, initial=str(initial))
    made = train_transformer(dataset, tmp_path / "out", config, tmp_path / "state")
    first, given = (load_world_model(folder) for folder in (made.path / made.checkpoints[0], initial))
    assert first.text_encoder.config == given.text_encoder.config
    for name, weight in given.state_dict().items():
        # Training begins from them as this machine computes: rounded, where that is in bfloat16.
        assert torch.equal(first.state_dict()[name], weight.to(compute_dtype()).to(weight.dtype))
    with pytest.raises(KinoraError, match="cannot begin as"):
        train_transformer(dataset, tmp_path / "other", replace(config, model=DiTConfig(width=32, depth=1, heads=1)))
