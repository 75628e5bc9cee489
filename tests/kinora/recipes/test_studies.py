"""The trainings of a study differ in what is studied and in nothing else."""

from dataclasses import replace

import pytest

from kinora import recipes
from kinora.errors import UsageError
from kinora.recipes.studies import GROUPS, SCALING, arms, setting_of, varied

TINY = recipes.get("tiny")


def test_compute_is_multiplied_and_the_most_is_the_recipes_own():
    steps = {name: arm.transformer.steps for name, arm in arms(TINY, SCALING).items()}
    assert steps == {
        "32x-seed-0": 2200, "32x-seed-1": 2200, "4x-seed-0": 275, "4x-seed-1": 275, "1x-seed-0": 69, "1x-seed-1": 69
    }  # fmt: skip


@pytest.mark.parametrize("group", GROUPS)
def test_every_arm_is_found_by_its_name_and_keeps_the_rest(group):
    for name, arm in arms(TINY, group).items():
        assert varied(TINY, name) == arm
        same = replace(
            arm.transformer,
            **{k: getattr(TINY.transformer, k) for k in ("steps", "warmup_steps", "seed", "checkpoints", "samples")},
        )
        assert replace(arm, transformer=same, compute=TINY.compute) == TINY
        share = arm.transformer.warmup_steps / arm.transformer.steps
        assert share == pytest.approx(TINY.transformer.warmup_steps / TINY.transformer.steps, abs=0.01)
    assert {setting_of(name) for name in arms(TINY, "native")} == {"native"}


def test_no_arm_is_the_recipe_itself():
    assert varied(TINY, "") is TINY


@pytest.mark.parametrize(
    ("settings", "arm", "sentence"),
    [
        ("", "5x-seed-0", "has the training '5x-seed-0'; it has 32x-seed-0"),
        ("study.seeds=1", "", r"study.seeds is 1; give 2 or more"),
        ("study.compute=[4]", "", "give two or more different"),
        ("study.framing=0", "", "give a share of the steps"),
        ("transformer.steps=10", "1x-seed-0", "leaves 1x without one"),
    ],
)
def test_what_cannot_be_compared_is_refused(settings, arm, sentence):
    with pytest.raises(UsageError, match=sentence):
        varied(recipes.get("tiny", settings), arm)
