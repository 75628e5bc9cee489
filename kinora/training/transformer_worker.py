"""One process of transformer training, started by `kinora.training.launcher` through torchrun."""

import argparse
import sys
from pathlib import Path

import torch.distributed as dist

from kinora.config import from_dict, read_json
from kinora.errors import KinoraError
from kinora.processes import end_with_parent
from kinora.training.checkpoints import Checkpoints
from kinora.training.loop import fit
from kinora.training.transformer import ARGUMENTS, EXPORTS, WorkerArguments
from kinora.training.transformer_trainer import TransformerTrainer


def main() -> int:
    """Train until the last step; print one sentence and return 1 when that cannot be done."""
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=Path)
    arguments = parser.parse_args()
    end_with_parent(at_once=True)  # the last whole state is on disk
    try:
        train(arguments.run)
    except (KinoraError, OSError) as error:
        print(f"kinora: {error}", file=sys.stderr, flush=True)
        return 1
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()
    return 0


def train(run: Path) -> None:
    """Train in this process together with the others, in the folder of a run."""
    arguments = from_dict(WorkerArguments, read_json(run / ARGUMENTS))
    trainer = TransformerTrainer(arguments, run / EXPORTS)
    try:
        fit(trainer, arguments.config, Checkpoints(run.parent, run.name, arguments.compute.kept_states))
    finally:
        trainer.close()


if __name__ == "__main__":
    sys.exit(main())
