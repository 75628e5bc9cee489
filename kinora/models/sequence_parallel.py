"""Sequence parallelism: several ranks share one pack (DeepSpeed-Ulysses, https://arxiv.org/abs/2309.14509).

Every rank computes its contiguous share of the pack's rows. Around self-attention the ranks exchange heads for rows:
each then holds all rows of its share of the heads, attends as one process would, and gives the rows back.

Axes: N rows of the pack, n of them on this rank, H heads, h = H / size of them, K values of a head.
"""

from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed._functional_collectives import all_to_all_single_autograd

from kinora.errors import UsageError


@dataclass(frozen=True)
class SequenceShard:
    """The part of rank `rank` of the `size` ranks of `group`, which hold the same pack."""

    group: dist.ProcessGroup
    rank: int
    size: int

    def rows(self, count: int) -> slice:
        """Return this rank's rows of `count`; shares differ by one row at most."""
        return slice(self._first(self.rank, count), self._first(self.rank + 1, count))

    def check(self, heads: int) -> None:
        """Refuse a model whose heads cannot be shared.

        Raises:
            UsageError: if the heads do not divide by the number of ranks.
        """
        if heads % self.size:
            raise UsageError(
                f"{heads} heads cannot be shared by {self.size} ranks; give a sequence_parallel that divides {heads}."
            )

    def scatter_heads(self, x_nHK: Tensor, count: int) -> Tensor:
        """Exchange this rank's rows of all heads for all `count` rows of this rank's heads, `[N, h, ...]`."""
        own, shares = len(x_nHK), self._shares(count)
        by_rank = torch.unflatten(x_nHK, 1, (self.size, -1)).transpose(0, 1).flatten(0, 1)  # [size * n, h, ...]
        return self._exchange(by_rank, [own] * self.size, shares)

    def gather_heads(self, x_NhK: Tensor) -> Tensor:
        """Undo `scatter_heads`: exchange all rows of this rank's heads for this rank's rows of all heads."""
        shares = self._shares(len(x_NhK))
        own = shares[self.rank]
        by_rank = self._exchange(x_NhK, shares, [own] * self.size)  # [size * n, h, ...]
        return torch.unflatten(by_rank, 0, (self.size, own)).transpose(0, 1).flatten(1, 2)

    def _exchange(self, x: Tensor, sent: list[int], received: list[int]) -> Tensor:
        # The gradient of an exchange is the exchange back.
        out: Tensor = all_to_all_single_autograd(x.contiguous(), received, sent, self.group)
        return out

    def _shares(self, count: int) -> list[int]:
        return [self._first(rank + 1, count) - self._first(rank, count) for rank in range(self.size)]

    def _first(self, rank: int, count: int) -> int:
        return count * rank // self.size
