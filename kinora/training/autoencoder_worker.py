"""One process of several that train an autoencoder together, over gloo on CPUs or NCCL on GPUs.

Started by `kinora.training.launcher` through torchrun.
"""

import os
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.distributed as dist

from kinora.config import from_dict, read_json
from kinora.data.clips import ClipDataset
from kinora.progress import Progress
from kinora.training.autoencoder_trainer import AutoencoderTrainer, AutoencoderTraining
from kinora.training.checkpoints import Checkpoints
from kinora.training.compute import Compute
from kinora.training.loop import fit
from kinora.training.worker import run_worker

ARGUMENTS, MODEL = "arguments.json", "model"  # of the processes, and the folder of the model that they leave


@dataclass(frozen=True)
class WorkerArguments:
    """What the processes of a training are given: folders, and `features`, "" where there are none."""

    config: AutoencoderTraining
    compute: Compute
    dataset: str
    features: str


def train_together(run: Path) -> None:
    """Join the other processes that torchrun has started, and train with them."""
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))  # a rank counts over all nodes
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    train(run)


def train(run: Path, progress: Progress | None = None) -> None:
    """Train in this process, together with the others if there are any, in the folder of a run."""
    arguments = from_dict(WorkerArguments, read_json(run / ARGUMENTS))
    dataset = ClipDataset.open(arguments.dataset)
    trainer = AutoencoderTrainer(arguments.config, dataset, arguments.features or None)
    with closing(trainer):
        fit(trainer, arguments.config, Checkpoints(run.parent, run.name, arguments.compute.kept_states), progress)
        trainer.export(run / MODEL)


if __name__ == "__main__":
    sys.exit(run_worker(train_together))
