"""Every way to share a training out over processes trains the same function as one process, and goes on as another."""

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kinora.config import to_dict
from kinora.data.latents import LatentDataset
from kinora.models.dit import DiTConfig
from kinora.models.text_encoder import TextEncoderConfig
from kinora.training.transformer import TransformerTraining, resolve

STEPS = 5
CONFIG = TransformerTraining(
    model=DiTConfig(width=16, depth=2, heads=2), text=TextEncoderConfig(width=16, heads=2), steps=60,
    tokens_per_step=192, tokens_per_pack=64, warmup_steps=2,
)  # fmt: skip
# Three packs a step: two processes have two in turn, and one of these counts for nothing; four processes, one idles.
WHOLE = {"first": 1, "last": STEPS}
CASES = {
    f"{stage=} {checkpointing=} {shared=}": {
        **WHOLE,
        "spoil": True,
        "compute": {"zero_stage": stage, "activation_checkpointing": checkpointing, "sequence_parallel": shared},
    }
    for stage, (checkpointing, shared) in itertools.product((1, 2, 3), ((False, 1), (True, 2)))
}
BFLOAT16 = {
    f"{stage=} bfloat16": {**WHOLE, "spoil": True, "bfloat16": True, "compute": {"zero_stage": stage}}
    for stage in (1, 2, 3)
}
# 1 process -> 4 -> 2, ZeRO 1 -> 3 -> 2.
LAUNCHES = {
    1: {"alone": {**WHOLE, "compute": {}}, "begun": {"first": 1, "last": 2, "compute": {}, "save": "a"}},
    4: {
        **{name: case for name, case in CASES.items() if "stage=1 checkpointing=False" not in name},
        "gone on": {"first": 3, "last": 3, "compute": {"zero_stage": 3}, "load": "a", "save": "b"},
    },
    2: {
        **CASES,
        **BFLOAT16,
        "gone on": {"first": 4, "last": STEPS, "compute": {"zero_stage": 2}, "load": "b"},
    },
}


@pytest.fixture(scope="module")
def results(latents, root, tmp_path_factory) -> dict[int, dict[str, dict]]:
    """What each number of processes found: one launch each, because starting takes longest."""
    folder = tmp_path_factory.mktemp("sharded")
    config = json.dumps(to_dict(resolve(CONFIG, LatentDataset.open(latents).of_split("train"))))
    environment = os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1", "DS_ACCELERATOR": "cpu"}
    found = {}
    for processes, cases in LAUNCHES.items():
        script = Path(__file__).with_name("sharded_steps.py")
        command = [
            sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}",
            str(script), str(latents), str(folder), config, json.dumps(cases),
        ]  # fmt: skip
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900)
        assert done.returncode == 0, done.stderr[-4000:]
        found[processes] = json.loads((folder / f"results-{processes}.json").read_text())
    return found


def same(found: dict, expected: dict, tolerance: float = 1e-4) -> None:
    assert found["curve"] == [pytest.approx(row, rel=tolerance) for row in expected["curve"]]
    assert found["held_out_loss"] == pytest.approx(expected["held_out_loss"], rel=tolerance)
    assert found["weights"] == pytest.approx(expected["weights"], rel=10 * tolerance, abs=1e-6)


SPOILED = [(processes, name) for processes in (2, 4) for name, case in LAUNCHES[processes].items() if "spoil" in case]


@pytest.mark.parametrize(("processes", "name"), SPOILED)
def test_it_trains_the_function_of_one_process(results, processes, name):
    same(results[processes][name], results[1]["alone"], 1e-2 if name in BFLOAT16 else 1e-4)


@pytest.mark.parametrize(("processes", "name"), SPOILED)
def test_a_step_that_one_process_spoils_changes_nothing_on_any(results, processes, name):
    assert results[processes][name]["spoiled"] is False


def test_it_goes_on_with_other_processes_and_another_sharding(results):
    begun, four, two = results[1]["begun"], results[4]["gone on"], results[2]["gone on"]
    same({**two, "curve": begun["curve"] + four["curve"] + two["curve"]}, results[1]["alone"])
