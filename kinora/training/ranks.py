"""The ranks of a training: its processes, one on each GPU, numbered over all nodes as in `torch.distributed`."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

T = TypeVar("T")


class Ranks:
    """All ranks, seen from this one; without an initialised process group there is only this one.

    rank: the number of this process, from 0.
    size: how many there are.

    Every method is collective: all ranks call it, in the same order and with the same names.
    """

    def __init__(self) -> None:
        together = dist.is_available() and dist.is_initialized()
        self.rank = dist.get_rank() if together else 0
        self.size = dist.get_world_size() if together else 1

    @property
    def first(self) -> bool:
        """Whether this is rank 0, which alone writes what is there once: the log, samples, records."""
        return self.rank == 0

    def mean(self, values: Mapping[str, Tensor | float]) -> dict[str, float]:
        """Return the mean of each scalar over all ranks."""
        return {name: total / self.size for name, total in self._reduce(values, dist.ReduceOp.SUM).items()}

    def largest(self, values: Mapping[str, Tensor | float]) -> dict[str, float]:
        """Return the largest of each scalar over all ranks."""
        return self._reduce(values, dist.ReduceOp.MAX)

    def from_first(self, value: T) -> T:
        """Return what rank 0 gave; what the others give is ignored."""
        if self.size == 1:
            return value
        holder = [value]
        dist.broadcast_object_list(holder, src=0, device=_device())
        return holder[0]

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Replace tensors by their sums over all ranks, in one message for each type of number."""
        if self.size > 1:
            for some in _by_dtype(tensors):
                together = torch.cat([tensor.flatten() for tensor in some])
                dist.all_reduce(together)
                _take_apart(together, some)

    def copy_first(self, tensors: Sequence[Tensor]) -> None:
        """Replace tensors by those of rank 0."""
        if self.size > 1:
            for some in _by_dtype(tensors):
                together = torch.cat([tensor.flatten() for tensor in some])
                dist.broadcast(together, src=0)
                _take_apart(together, some)

    def barrier(self) -> None:
        """Wait for all ranks."""
        if self.size > 1:
            dist.barrier()

    def _reduce(self, values: Mapping[str, Tensor | float], operation: dist.ReduceOp.RedOpType) -> dict[str, float]:
        numbers = [float(value) for value in values.values()]
        if self.size > 1 and numbers:
            together = torch.tensor(numbers, dtype=torch.float64, device=_device())
            dist.all_reduce(together, op=operation)
            numbers = together.tolist()
        return dict(zip(values, numbers, strict=True))


def _by_dtype(tensors: Sequence[Tensor]) -> list[list[Tensor]]:
    kinds = dict.fromkeys(tensor.dtype for tensor in tensors)
    return [[tensor for tensor in tensors if tensor.dtype is kind] for kind in kinds]


def _take_apart(together: Tensor, tensors: Sequence[Tensor]) -> None:
    for tensor, part in zip(tensors, torch.split(together, [tensor.numel() for tensor in tensors]), strict=True):
        tensor.detach().copy_(part.view_as(tensor))


def _device() -> torch.device:
    """Return where the process group's tensors have to be: NCCL reduces on GPUs alone."""
    return torch.device("cuda" if dist.get_backend() == "nccl" else "cpu")
