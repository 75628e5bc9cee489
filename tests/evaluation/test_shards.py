"""Shards of an evaluation: each question is in one of them, and what they find is what the whole would."""

import json

import numpy as np
import pytest

from evaluation.checkpoint import evaluate_checkpoint, joined
from evaluation.shards import Shard, Work, asked_for_decision, work_items, work_of
from kinora.errors import UsageError
from kinora.recipes.recipe import EvaluationPlan
from kinora.worlds import WorldsConfig, evaluation_prompts, simulate_prompt

WORLDS = WorldsConfig(frames=(13,), sizes=((32, 32),))
PROMPTS = evaluation_prompts(WORLDS, 5, seed=3)


class Worlds:
    """Makes the simulator's own clips, every second of them empty."""

    def generate(self, requests):
        clips = [simulate_prompt(next(p for p in PROMPTS if p.seed == r.seed), WORLDS) for r in requests]
        return [np.full_like(c, 90) if r.seed % 2 else c for c, r in zip(clips, requests, strict=True)]


@pytest.mark.parametrize("shards", [1, 2, 3])
def test_every_question_is_in_one_shard(shards):
    asked = list("abcdefg")
    items = work_items(["step-000000", "step-000100"], shards)
    parts = [work_of(item) for item in items]
    assert len(set(items)) == 2 * shards
    for name in ("step-000000", "step-000100"):
        dealt = [pair for work in parts if work.model == name for pair in work.shard.part(asked)]
        assert sorted(dealt) == list(enumerate(asked))


def test_names_of_items_are_names_of_files():
    assert work_items(["step-000100"], 2) == ["step-000100.1of2", "step-000100.2of2"]
    assert (work_of("step-000100"), work_of("")) == (Work("step-000100"), Work(""))
    assert work_of("step-000100.2of12") == Work("step-000100", shard=Shard(2, 12))
    decided = work_items([asked_for_decision("4d90634f00493afd", "0123456789abcdef")], 2)
    assert decided[0] == "4d90634f00493afd.decision-0123456789ab.1of2"
    assert work_of(decided[1]) == Work("4d90634f00493afd", "0123456789ab", Shard(2, 2))


def test_shards_that_would_have_nothing_are_refused():
    with pytest.raises(UsageError, match=r"evaluation.shards is 5, more than the 4 prompts"):
        EvaluationPlan(prompts=4, shards=5)


def test_what_shards_find_is_what_the_whole_finds(tmp_path):
    whole = evaluate_checkpoint(Worlds(), PROMPTS, tmp_path / "whole", name="step-000100", worlds=WORLDS)
    parts = [
        evaluate_checkpoint(
            Worlds(), PROMPTS, tmp_path / str(n), name="step-000100", worlds=WORLDS, shard=Shard(n, 2)
        )
        for n in (2, 1)
    ]  # fmt: skip
    assert [len(part["clips"]) for part in parts] == [2, 3]
    assert joined(parts) == [whole]
    assert json.loads((tmp_path / "whole" / "evaluation.json").read_text()) == json.loads(json.dumps(whole))
    assert sorted(path.name for n in "12" for path in (tmp_path / n / "clips").iterdir()) == [
        f"{place:03d}.mp4" for place in range(5)
    ]
    assert [part["name"] for part in joined([*parts, whole | {"name": "step-000000"}])] == [
        "step-000000", "step-000100",
    ]  # fmt: skip
