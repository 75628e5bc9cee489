"""One process of transformer training, started by `kinora.training.launcher` through torchrun."""

import sys
from contextlib import closing
from pathlib import Path

from kinora.config import from_dict, read_json
from kinora.training.checkpoints import Checkpoints
from kinora.training.loop import fit
from kinora.training.transformer import ARGUMENTS, EXPORTS, WorkerArguments
from kinora.training.transformer_trainer import TransformerTrainer
from kinora.training.worker import run_worker


def train(run: Path) -> None:
    """Train in this process together with the others, in the folder of a run."""
    arguments = from_dict(WorkerArguments, read_json(run / ARGUMENTS))
    trainer = TransformerTrainer(arguments, run / EXPORTS)
    with closing(trainer):
        fit(trainer, arguments.config, Checkpoints(run.parent, run.name, arguments.compute.kept_states))


if __name__ == "__main__":
    sys.exit(run_worker(train))
