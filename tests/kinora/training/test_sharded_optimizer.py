"""Fragments cover every value once; the optimizer's step on a GPU mixes no devices and waits for none."""

import math

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.testing._internal.distributed.fake_pg import FakeStore

from kinora.training.config import TrainingConfig
from kinora.training.fragments import fragments, runs
from kinora.training.sharded_optimizer import Kinds, ShardedOptimizer, balance

SHAPES = {"a": (3, 5), "b": (7,), "c": (4, 4), "d": (1,)}
CONFIG = TrainingConfig(steps=6, learning_rate=0.1, muon_learning_rate=0.1, warmup_steps=2, weight_decay=0.1)


@pytest.mark.parametrize("stage", [1, 2, 3])
@pytest.mark.parametrize("world", [1, 2, 3, 8, 40])
def test_all_ranks_together_have_every_value_once(stage, world):
    found = {name: torch.zeros(math.prod(shape)) for name, shape in SHAPES.items()}
    for rank in range(world):
        parts = fragments(SHAPES, stage, rank, world)
        assert [part.offset for part in parts] == sorted(part.offset for part in parts)
        assert sum(run.stop - run.start for run in runs(parts)) == sum(part.length for part in parts)
        for part in parts:
            found[part.name][part.start : part.start + part.length] += 1
    assert all(bool((count == 1).all()) for count in found.values())


def test_matrices_are_shared_out_so_that_no_rank_has_much_more_to_multiply():
    shapes = {str(number): (64, 64 * (1 + number % 4)) for number in range(40)}
    owners = balance(shapes, 4)
    loads = [sum(math.prod(shapes[name]) for name, owner in owners.items() if owner == rank) for rank in range(4)]
    assert max(loads) < 1.05 * min(loads)


@pytest.fixture
def process_group():
    """Rank 1 of 4 that are not there: collectives return at once."""
    dist.init_process_group("fake", rank=1, world_size=4, store=FakeStore())
    yield
    dist.destroy_process_group()


@pytest.mark.parametrize("stage", [1, 3])
def test_a_step_on_a_gpu_mixes_no_devices_and_waits_for_no_value(process_group, stage):
    """Fake tensors refuse operations between devices, and whatever would need their values on the CPU."""
    model = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 8), nn.Linear(8, 1))
    kinds = Kinds.of(model, r"^1\.")
    with FakeTensorMode():
        device = torch.device("cuda", 0)
        optimizer = ShardedOptimizer(model, kinds, stage, CONFIG, device)
        parts = optimizer.fragments
        partition = torch.empty(max(part.offset + part.length for part in parts), device=device, requires_grad=True)
        partition.grad = torch.empty_like(partition)
        optimizer.param_groups[0]["params"] = [partition]
        optimizer.rate = 0.5
        optimizer.step()
        assert optimizer.norm.device == optimizer.kept.device == device
