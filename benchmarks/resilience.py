"""What a training loses when it is killed without mercy, again and again, and goes on with other numbers of processes.

    python -m benchmarks.resilience [--kills 20] [--steps 240]

Half of the kills come while a state is being saved, the others at any time after one was.
"""

import itertools
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psutil
import tyro

from benchmarks.transformer import write_latents
from kinora import recipes
from kinora.config import to_dict
from kinora.training.log import read_rows
from kinora.training.transformer import TransformerTraining

PROCESSES = (1, 2, 4, 2)
ERRORS = "stderr.txt"
TRAIN = """
import json, sys
from kinora.config import from_dict
from kinora.data.latents import LatentDataset
from kinora.training.compute import Compute
from kinora.training.transformer import TransformerTraining, train_transformer
latents, out, state, config, processes = sys.argv[1:]
config = from_dict(TransformerTraining, json.loads(config))
train_transformer(LatentDataset.open(latents), out, config, state, compute=Compute(processes=int(processes)))
"""


def start(folder: Path, latents: Path, config: TransformerTraining, processes: int) -> subprocess.Popen[bytes]:
    """Start the training in `folder`, or go on with it."""
    arguments = [latents, folder / "out", folder / "state", json.dumps(to_dict(config)), processes]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, "-c", TRAIN, *map(str, arguments)]
    folder.mkdir(exist_ok=True)
    with open(folder / ERRORS, "ab") as errors:
        return subprocess.Popen(command, env=environment, stderr=errors)


def said(folder: Path) -> str:
    """Return the last that the training in a folder wrote on stderr."""
    return (folder / ERRORS).read_text(errors="replace")[-2000:]


def kill(process: subprocess.Popen[bytes], chance: random.Random) -> None:
    """Kill all processes of a training, in any order."""
    found = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    chance.shuffle(found)
    for one in found:
        with suppress(psutil.NoSuchProcess):
            one.send_signal(signal.SIGKILL)
    process.wait()
    psutil.wait_procs(found, timeout=30)


def last_step(folder: Path) -> int:
    """Return the step of the newest state, 0 if there is none."""
    return max((int(path.name[5:]) for path in folder.glob("state/*/step-*")), default=0)


def killed_often(folder: Path, latents: Path, config: TransformerTraining, kills: int) -> list[int]:
    """Train to the end in spite of `kills`; return the step of the newest state after each."""
    chance, steps = random.Random(0), list[int]()
    for number, processes in zip(range(kills), itertools.cycle(PROCESSES)):
        training, before = start(folder, latents, config, processes), last_step(folder)
        saving = number % 2 == 1
        while training.poll() is None and last_step(folder) == before:
            time.sleep(0.05)
        if saving:
            while training.poll() is None and not list(folder.glob("state/*/.step-*")):
                time.sleep(0.001)
        else:
            time.sleep(chance.uniform(0, 2))
        if training.poll() is not None:
            raise SystemExit(f"the training ended by itself before kill {number + 1}: {said(folder)}")
        kill(training, chance)
        steps.append(last_step(folder))
    if start(folder, latents, config, PROCESSES[kills % len(PROCESSES)]).wait() != 0:
        raise SystemExit(f"the training could not go on: {said(folder)}")
    return steps


def measure(kills: int = 20, steps: int = 240) -> str:
    """Return the benchmark as a section of Markdown."""
    chosen = recipes.get("smoke")
    config = replace(chosen.transformer, steps=steps, save_every=5, validate_every=40, samples=0, checkpoints=2)
    with tempfile.TemporaryDirectory() as temporary:
        latents = Path(temporary) / "latents"
        write_latents(chosen, latents)
        if start(Path(temporary) / "whole", latents, config, 1).wait() != 0:
            raise SystemExit(f"the training without a stop failed: {said(Path(temporary) / 'whole')}")
        reached = killed_often(Path(temporary) / "killed", latents, config, kills)
        whole, killed = (read_rows(Path(temporary) / name / "out" / "training.jsonl") for name in ("whole", "killed"))
    differences = [abs(a["loss"] - b["loss"]) / a["loss"] for a, b in zip(whole, killed, strict=True)]
    again = sum(later < earlier for earlier, later in itertools.pairwise(reached))
    return "\n".join(
        [
            "## A training that is killed",
            "",
            f"{steps} steps of a small transformer, killed {kills} times with SIGKILL, every other time while a state "
            f"was being saved; it went on with {', '.join(map(str, PROCESSES))} processes in turn.",
            "",
            "| What | |",
            "| --- | ---: |",
            f"| largest difference of the loss, against one process that nobody stopped | {max(differences):.1e} |",
            f"| times it began from nothing | {sum(step == 0 for step in reached)} |",
            f"| times it fell behind the state before | {again} |",
            "",
        ]
    )


if __name__ == "__main__":
    print(tyro.cli(measure))
