"""Scenes of given sizes and speeds: what is drawn lies in the ranges, begins in view, and meets in time."""

from dataclasses import replace

import numpy as np
import pytest

from kinora import recipes
from kinora.errors import UsageError
from kinora.worlds import WorldsConfig, draw_sample
from kinora.worlds.ranged import MEETS, evenly
from kinora.worlds.sampling import evaluation_prompts, simulate_prompt, split_combinations
from kinora.worlds.scene import VX, VY, X, Y

WORLDS = recipes.get("phyworld").ingest.worlds


@pytest.fixture(scope="module")
def samples():
    return [draw_sample(WORLDS, np.random.default_rng([4, index]), held_out=False) for index in range(60)]


def test_sizes_and_speeds_fill_their_ranges_and_no_more(samples):
    bodies = [body for sample in samples for body in sample.scene.bodies]
    radii = np.array([body.size for body in bodies])
    speeds = np.array([np.hypot(body.vx, body.vy) for body in bodies])
    for values, (low, high) in ((radii, WORLDS.radii[0]), (speeds, WORLDS.speeds[0])):
        assert low <= values.min() < low + 0.15 * (high - low)
        assert high - 0.15 * (high - low) < values.max() <= high


def test_everything_begins_whole_in_the_frame_and_no_caption_says_a_speed(samples):
    for sample in samples:
        for body, state in zip(sample.scene.bodies, sample.states[0], strict=True):
            assert body.size <= state[X] <= 1 - body.size
            assert body.size <= state[Y] <= 1 - body.size
        assert "slowly" not in sample.caption
        assert "quickly" not in sample.caption


def test_throws_begin_level_and_fall_as_two_and_a_half_of_ten(samples):
    thrown = [sample for sample in samples if sample.scene.motion == "thrown right"]
    assert thrown
    for sample in thrown:
        states, t = sample.states[:, 0], np.arange(len(sample.states)) / sample.fps
        assert states[0, VY] == 0
        assert np.allclose(states[:, Y], states[0, Y] - 0.25 * t**2 / 2)


def test_two_touch_when_the_scene_says_and_keep_their_momentum(samples):
    collisions = [sample for sample in samples if sample.scene.motion == "collide"]
    assert collisions
    for sample in collisions:
        scene, seconds = sample.scene, (len(sample.states) - 1) / sample.fps
        assert MEETS[0] * seconds <= scene.event_s <= MEETS[1] * seconds
        a, b = scene.bodies
        apart = np.abs((a.x + a.vx * scene.event_s) - (b.x + b.vx * scene.event_s))
        assert apart == pytest.approx(a.size + b.size)
        masses = np.array([a.size**2, b.size**2])
        momentum = sample.states[:, :, VX] @ masses
        assert np.allclose(momentum, momentum[0], atol=1e-6)
        assert not np.allclose(sample.states[0, :, VX], sample.states[-1, :, VX])


def test_a_hole_in_a_range_stays_empty_and_its_sides_are_drawn_by_their_length():
    rng = np.random.default_rng(0)
    drawn = np.array([evenly(rng, ((0.0, 1.0), (4.0, 7.0))) for _ in range(2000)])
    assert not ((drawn > 1) & (drawn < 4)).any()
    assert (drawn >= 4).mean() == pytest.approx(0.75, abs=0.04)
    assert evenly(rng, ((2.0, 2.0),)) == 2


def test_the_simulator_shows_evaluation_prompts_in_the_ranges():
    prompt, *_ = evaluation_prompts(WORLDS, 1, 9)
    clip = simulate_prompt(prompt, WORLDS)
    assert clip.shape == (33, 32, 32, 3)
    assert clip.std() > 0


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (replace(WORLDS, speeds=()), "go together"),
        (replace(WORLDS, motions=("fall", "right")), "no other motions"),
        (replace(WORLDS, radii=((0.2, 0.1),)), "lowest, highest"),
        (replace(WORLDS, radii=((0.0, 0.1),)), "above 0 of radii"),
        (WorldsConfig(radii=((0.1, 0.2),), speeds=((0.1, 0.2),)), "no other motions"),
    ],
)
def test_ranges_that_cannot_be_are_refused(config, said):
    with pytest.raises(UsageError, match=said):
        split_combinations(config)


def test_two_that_cannot_meet_are_refused():
    fast = replace(WORLDS, worlds=("collision",), motions=("collide",), speeds=((3.0, 4.0),))
    with pytest.raises(UsageError, match="smaller or slower"):
        draw_sample(fast, np.random.default_rng(0), held_out=False)
