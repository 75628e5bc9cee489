"""Scalars over real processes, and the loop in them: the log is of all ranks, the same as of one."""

from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor

from kinora.report import Clip
from kinora.training.checkpoints import Checkpoints
from kinora.training.config import TrainingConfig
from kinora.training.log import read_rows
from kinora.training.loop import Trainer, fit
from kinora.training.ranks import Ranks

CONFIG = TrainingConfig(steps=25, learning_rate=1.0, muon_learning_rate=1.0, warmup_steps=0, save_every=7, samples=2)


class Rank(Trainer[None]):
    """Its loss is the step plus its rank; rank 1 holds the model longest."""

    def __init__(self) -> None:
        self.rank, self.loaded = Ranks().rank, 0

    def batch(self, step: int) -> None:
        return None

    def step(self, step: int, batch: None, rate: float) -> dict[str, Tensor | float]:
        return {"loss": torch.tensor(step + 1000.0 * self.rank)}

    def validate(self) -> dict[str, float]:
        return {}

    def sample(self) -> list[Clip]:
        return []

    def save(self, folder: Path) -> dict[str, object]:
        (folder / f"rank-{self.rank}").touch()
        return {}

    def load(self, folder: Path, values: dict[str, object]) -> None:
        assert (folder / f"rank-{self.rank}").exists()
        self.loaded = int(folder.name.removeprefix("step-"))


def work(rank: int, folder: Path, rendezvous: str) -> None:
    dist.init_process_group("gloo", init_method=rendezvous, rank=rank, world_size=2)
    ranks = Ranks()
    assert (ranks.rank, ranks.size, ranks.first) == (rank, 2, rank == 0)
    values = {"own": torch.tensor(10.0 * rank), "other": 1.0 + rank}
    assert ranks.mean(values) == {"own": 5.0, "other": 1.5}
    assert ranks.largest(values) == {"own": 10.0, "other": 2.0}
    assert ranks.from_first({"path": Path("x")} if rank == 0 else None) == {"path": Path("x")}
    fit(Rank(), CONFIG, Checkpoints(folder, "together"))
    # Half of it, then the rest: both halves write one log.
    with pytest.raises(ZeroDivisionError):
        fit(_Stopping(), CONFIG, Checkpoints(folder, "resumed"))
    trainer = Rank()
    fit(trainer, CONFIG, Checkpoints(folder, "resumed"))
    assert trainer.loaded == 14
    dist.destroy_process_group()


class _Stopping(Rank):
    def batch(self, step: int) -> None:
        assert step < 18 or 1 / 0


def test_scalars_and_the_log_are_of_all_ranks_also_after_a_resume(tmp_path):
    mp.spawn(work, (tmp_path, f"file://{tmp_path / 'rendezvous'}"), nprocs=2)
    for name in ("together", "resumed"):
        rows = read_rows(Checkpoints(tmp_path, name).log)
        assert [(row["step"], row["loss"]) for row in rows] == [(10, 505.5), (20, 515.5), (25, 523.0)]


def test_alone_there_is_one_rank():
    ranks = Ranks()
    assert (ranks.rank, ranks.size, ranks.first) == (0, 1, True)
    assert ranks.mean({"a": torch.tensor(2.0), "b": 3}) == {"a": 2.0, "b": 3.0}
    assert ranks.from_first("it") == "it"
    ranks.barrier()
