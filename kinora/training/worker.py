"""What the processes of every training have in common: they are told a folder, and say why they fail."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import torch.distributed as dist

from kinora.errors import KinoraError
from kinora.processes import end_with_parent


def run_worker(train: Callable[[Path], None]) -> int:
    """Train in the folder that the command line names; print one sentence and return 1 when that cannot be done."""
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
