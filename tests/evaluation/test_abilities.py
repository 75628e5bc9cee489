"""The abilities score the simulator's own clips high, and frozen, shuffled and meaningless ones low."""

from dataclasses import replace

import numpy as np
import pytest

from evaluation.abilities import ABILITIES, abilities
from evaluation.findings import ClipInput
from evaluation.objects.observation import observe
from kinora.worlds import WorldsConfig, draw_sample
from tests.evaluation.softening import softened

WORLDS = WorldsConfig(
    sizes=((48, 48),), frames=(17,), look="shaded", backgrounds=("black", "brown", "navy"), held_out=8
)
SHOWN = [
    ("orbit", "3-D consistency"),
    ("occlusion", "permanence"),
    ("painter", "permanence"),
    ("painter", "acting on the world"),
    ("shatter", "acting on the world"),
    ("game", "digital worlds"),
]


def scored(frames, prompt):
    return abilities(observe(ClipInput("clip", frames, 8.0, prompt)))


@pytest.mark.parametrize(("world", "ability"), SHOWN)
def test_the_simulator_s_clips_show_it_and_broken_ones_do_not(world, ability):
    rng = np.random.default_rng(3)
    sample = draw_sample(replace(WORLDS, worlds=(world,)), rng, held_out=False)
    right = scored(sample.frames, sample.caption)
    assert right[ability].score > 0.9, right[ability]
    assert scored(softened(sample.frames), sample.caption)[ability].score > 0.85
    frozen = np.repeat(sample.frames[:1], len(sample.frames), axis=0)
    noise = rng.integers(0, 256, frozen.shape).astype(np.uint8)
    shuffled = sample.frames[rng.permutation(len(frozen))]
    for broken in (frozen, noise, shuffled):
        assert scored(broken, sample.caption)[ability].score < 0.35
    for other, score in right.items():
        if (world, other) not in SHOWN:
            assert score.score is None
            assert score.reason


def test_a_clip_too_short_is_not_measured():
    found = scored(np.zeros((4, 48, 48, 3), np.uint8), "A red paddle plays with a blue ball on a grey background.")
    assert set(found) == set(ABILITIES)
    assert all(score.score is None for score in found.values())
