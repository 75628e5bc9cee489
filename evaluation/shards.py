"""Shards of an evaluation: what a model is asked for is dealt to several tasks, and what they find is joined."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

Question = TypeVar("Question")
ITEM = re.compile(r"(?P<model>.*?)(\.decision-(?P<candidate>[0-9a-f]{12}))?(\.(?P<number>\d+)of(?P<of>\d+))?")


@dataclass(frozen=True)
class Shard:
    """The shard `number`, counted from 1, of `of` equal ones."""

    number: int = 1
    of: int = 1

    def part(self, asked: Sequence[Question]) -> list[tuple[int, Question]]:
        """Return what this shard has of everything asked, each with its place among all of it."""
        return list(enumerate(asked))[self.number - 1 :: self.of]


WHOLE = Shard()


@dataclass(frozen=True)
class Work:
    """What one task of an evaluation has to do.

    model: the checkpoint that is asked, by its name, or the deployed version, by its.
    candidate: the first digits of the digest of the candidate whose decision asks; "" of what checkpoints are chosen
        by.
    shard: which part of what is asked.
    """

    model: str
    candidate: str = ""
    shard: Shard = WHOLE


def asked_for_decision(model: str, candidate: str) -> str:
    """Return the name, for `work_items`, of a model that is asked for what the decision about `candidate` asks."""
    return f"{model}.decision-{candidate[:12]}"


def work_items(models: Sequence[str], shards: int) -> list[str]:
    """Return a name for each shard of each model's evaluation, as `step-000100.1of2`; of one `step-000100`."""
    if shards == 1:
        return list(models)
    return [f"{name}.{number}of{shards}" for name in models for number in range(1, shards + 1)]


def work_of(item: str) -> Work:
    """Return what a name of `work_items` stands for."""
    found = ITEM.fullmatch(item)
    assert found is not None, item
    shard = Shard(int(found["number"]), int(found["of"])) if found["of"] else WHOLE
    return Work(found["model"], found["candidate"] or "", shard)
