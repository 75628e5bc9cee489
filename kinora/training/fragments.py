"""Which values of which parameter a rank owns when DeepSpeed ZeRO (arXiv:1910.02054) shards them.

Each rank keeps the float32 masters of its values in one flat tensor, its partition. Optimizer states and the moving
average are sharded alike, so that a fragment of a parameter is the same slice of each of these tensors. Everything that
is done with single parameters (Muon, saving, exporting) goes by this list, whatever the stage and the number of ranks.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

ALIGNMENT = 2  # values, of each rank's partition in ZeRO 1 and 2

Shapes = Mapping[str, Sequence[int]]  # of all parameters by name, in the optimizer's order


@dataclass(frozen=True)
class Fragment:
    """`length` values of a flattened parameter from `start`, in a rank's partition from `offset`."""

    name: str
    start: int
    offset: int
    length: int

    def of(self, partition: Tensor) -> Tensor:
        """Return the fragment's view of a flat tensor of the partition's size."""
        return partition.narrow(0, self.offset, self.length)


def fragments(shapes: Shapes, zero_stage: int, rank: int, world: int) -> list[Fragment]:
    """Return the fragments of one of `world` ranks, in the order of its partition.

    ZeRO 1 and 2 lay all parameters out in one sequence and cut that into equal partitions; ZeRO 3 cuts every parameter.
    """
    if zero_stage == 3:
        return _of_every_parameter(shapes, rank, world)
    total = sum(map(math.prod, shapes.values()))
    size = -(-total // (ALIGNMENT * world)) * ALIGNMENT
    found, first = [], 0
    for name, shape in shapes.items():
        begin, end = max(first, rank * size), min(first + math.prod(shape), (rank + 1) * size)
        if begin < end:
            found.append(Fragment(name, begin - first, begin - rank * size, end - begin))
        first += math.prod(shape)
    return found


def _of_every_parameter(shapes: Shapes, rank: int, world: int) -> list[Fragment]:
    found, offset = [], 0
    for name, shape in shapes.items():
        count = math.prod(shape)
        share = -(-count // world)
        start = min(rank * share, count)
        if start < count:
            found.append(Fragment(name, start, offset, min(share, count - start)))
        offset += share  # the last ranks' shares are padded
    return found


def runs(parts: Sequence[Fragment]) -> list[slice]:
    """Return the slices of the partition that fragments cover, neighbours joined: few large operations, not many."""
    joined: list[slice] = []
    for part in parts:
        if joined and joined[-1].stop == part.offset:
            joined[-1] = slice(joined[-1].start, part.offset + part.length)
        else:
            joined.append(slice(part.offset, part.offset + part.length))
    return joined


def view(partition: Tensor, run: slice) -> Tensor:
    """Return the values of a run."""
    return partition.narrow(0, run.start, run.stop - run.start)


def partition_of(engine: Any) -> Tensor:
    """Return this rank's float32 masters in a DeepSpeed engine whose optimizer has one group."""
    optimizer = engine.optimizer
    for name in ("fp32_partitioned_groups_flat", "single_partition_of_fp32_groups", "fp32_groups_flat_partition"):
        if hasattr(optimizer, name):  # ZeRO 3, ZeRO 1 and 2, ZeRO 1 of bfloat16
            (partition,) = getattr(optimizer, name)
            return partition.detach()  # type: ignore[no-any-return]
    raise AssertionError(f"{type(optimizer).__name__} keeps no masters that are known here")


@torch.no_grad()
def publish(engine: Any) -> None:
    """Give the module the present values of all ranks' masters, rounded to its type. All ranks call this."""
    optimizer = engine.optimizer
    if hasattr(optimizer, "update_lp_params"):
        optimizer.update_lp_params()
        return
    optimizer._partition_all_parameters()  # small ones, which stay whole, are gathered again by whoever needs them
    optimizer._reassign_or_swap_out_partitioned_parameters(0)


def gather(name: str, shape: Sequence[int], parts: Sequence[Fragment], partition: Tensor) -> Tensor | None:
    """Return one whole parameter on the CPU of rank 0, None elsewhere. All ranks call this."""
    whole = torch.zeros(math.prod(shape), dtype=partition.dtype, device=partition.device)
    for part in parts:
        if part.name == name:
            whole.narrow(0, part.start, part.length).copy_(part.of(partition))
    dist.reduce(whole, 0)
    return whole.view(*shape).cpu() if dist.get_rank() == 0 else None
