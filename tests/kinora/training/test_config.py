"""What every trainer's configuration computes: the learning rates, and when samples and models are kept."""

import math
from dataclasses import replace

import pytest

from kinora.errors import UsageError
from kinora.training.config import TrainingConfig, milestones

CONFIG = TrainingConfig(steps=60, learning_rate=1.0, muon_learning_rate=1.0, warmup_steps=5, decay="linear")


def test_the_rate_rises_linearly_then_falls_linearly_or_as_half_a_cosine():
    assert [CONFIG.rate(step) for step in (1, 5, 6, 60)] == pytest.approx([1 / 5, 1, 1, 1 / 55])
    cosine = replace(CONFIG, decay="cosine")
    assert [cosine.rate(step) for step in (1, 5, 6)] == pytest.approx([1 / 5, 1, 1])
    assert [cosine.rate(step) for step in (20, 60)] == pytest.approx(
        [0.5 * (1 + math.cos(math.pi * past / 55)) for past in (14, 54)]
    )


def test_there_may_be_no_warmup_or_nothing_else():
    assert replace(CONFIG, warmup_steps=0).rate(1) == 1
    assert replace(CONFIG, steps=3).rate(3) == pytest.approx(3 / 5)


def test_milestones_begin_at_nothing_and_end_at_the_end():
    assert milestones(60, 3) == [0, 30, 60]
    assert milestones(2, 5) == [0, 1, 2]
    assert milestones(60, 0) == []
    assert replace(CONFIG, samples=2).sample_steps() == [0, 60]


@pytest.mark.parametrize(
    ("name", "value"), [("steps", -1), ("save_every", 0), ("validate_every", 0), ("samples", -1), ("decay", "square")]
)
def test_impossible_values_are_refused_by_name(name, value):
    with pytest.raises(UsageError, match=f"^{name} is '?{value}"):
        replace(CONFIG, **{name: value})
