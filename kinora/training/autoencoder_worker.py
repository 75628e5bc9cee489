"""One process of several that train an autoencoder together, over gloo on CPUs or NCCL on GPUs.

Started by `kinora.training.launcher` through torchrun.
"""

import argparse
import os
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.distributed as dist

from kinora.config import from_dict, read_json
from kinora.data.clips import ClipDataset
from kinora.errors import KinoraError
from kinora.processes import end_with_parent
from kinora.progress import Progress
from kinora.training.autoencoder_trainer import AutoencoderTrainer, AutoencoderTraining
from kinora.training.checkpoints import Checkpoints
from kinora.training.compute import Compute
from kinora.training.loop import fit

ARGUMENTS, MODEL = "arguments.json", "model"  # of the processes, and the folder of the model that they leave


@dataclass(frozen=True)
class WorkerArguments:
    """What the processes of a training are given: folders, and `features`, "" where there are none."""

    config: AutoencoderTraining
    compute: Compute
    dataset: str
    features: str


def main() -> int:
    """Train until the last step; print one sentence and return 1 when that cannot be done."""
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=Path)
    arguments = parser.parse_args()
    end_with_parent(at_once=True)  # the last whole state is on disk
    try:
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
        train(arguments.run)
    except (KinoraError, OSError) as error:
        print(f"kinora: {error}", file=sys.stderr, flush=True)
        return 1
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()
    return 0


def train(run: Path, progress: Progress | None = None) -> None:
    """Train in this process, together with the others if there are any, in the folder of a run."""
    arguments = from_dict(WorkerArguments, read_json(run / ARGUMENTS))
    dataset = ClipDataset.open(arguments.dataset)
    trainer = AutoencoderTrainer(arguments.config, dataset, arguments.features or None)
    with closing(trainer):
        fit(trainer, arguments.config, Checkpoints(run.parent, run.name, arguments.compute.kept_states), progress)
        trainer.export(run / MODEL)


if __name__ == "__main__":
    sys.exit(main())
