"""Shards of an evaluation: what a checkpoint is asked for is dealt to several tasks, and what they find is joined."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

Question = TypeVar("Question")
ITEM = re.compile(r"(?P<checkpoint>.*?)(\.(?P<number>\d+)of(?P<of>\d+))?")


@dataclass(frozen=True)
class Shard:
    """The shard `number`, counted from 1, of `of` equal ones."""

    number: int = 1
    of: int = 1

    def part(self, asked: Sequence[Question]) -> list[tuple[int, Question]]:
        """Return what this shard has of everything asked, each with its place among all of it."""
        return list(enumerate(asked))[self.number - 1 :: self.of]


WHOLE = Shard()


def work_items(checkpoints: Sequence[str], shards: int) -> list[str]:
    """Return a name for each shard of each checkpoint's evaluation, as `step-000100.1of2`; of one `step-000100`."""
    if shards == 1:
        return list(checkpoints)
    return [f"{name}.{number}of{shards}" for name in checkpoints for number in range(1, shards + 1)]


def shard_of(item: str) -> tuple[str, Shard]:
    """Return the checkpoint and the shard that a name of `work_items` stands for."""
    found = ITEM.fullmatch(item)
    assert found is not None, item
    return found["checkpoint"], Shard(int(found["number"]), int(found["of"])) if found["of"] else WHOLE
