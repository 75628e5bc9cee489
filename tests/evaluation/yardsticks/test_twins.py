"""Impossible twins break the law that they are named after, and nothing else."""

import numpy as np
import pytest

from evaluation.yardsticks.twins import VIOLATIONS, draw_twins
from kinora.worlds import BACKGROUNDS, WorldsConfig

WORLDS = WorldsConfig(worlds=("uniform", "ballistics", "collision"), sizes=((32, 32),), frames=(17,))
FREE = WorldsConfig(worlds=("ballistics",), sizes=((32, 32),), frames=(17,), held_out=32)


@pytest.fixture(scope="module")
def twins():
    return draw_twins(WORLDS, 3, seed=1)


def things(frames):
    """Return which pixels are no background, `bool [T, H, W]`."""
    distances = [np.abs(frames.astype(int) - colour).sum(axis=-1) for colour in BACKGROUNDS.values()]
    background = min(distances, key=lambda distance: np.median(distance))
    return background > 30


def heights(frames):
    """Return how high what is shown is in every frame, in pixels from above."""
    rows = np.arange(frames.shape[1])[None, :, None]
    shown = things(frames)
    return (rows * shown).sum(axis=(1, 2)) / shown.sum(axis=(1, 2))


def of(twins, kind):
    return [(scene.possible, scene.impossible[kind]) for scene in twins if kind in scene.impossible]


def test_every_kind_is_drawn_as_often_as_is_asked(twins):
    assert {kind: len(of(twins, kind)) for kind in VIOLATIONS} == dict.fromkeys(VIOLATIONS, 3)
    assert [scene.prompt for scene in draw_twins(WORLDS, 3, seed=1)] == [scene.prompt for scene in twins]


def test_a_kind_that_no_world_shows_is_missing():
    drawn = draw_twins(FREE, 1, seed=0)
    assert {kind for scene in drawn for kind in scene.impossible} == set(VIOLATIONS) - {"passing through"}


def test_gravity_acts_downward_and_in_the_twins_upward_or_not():
    for scene in draw_twins(FREE, 4, seed=2):
        if "no gravity" not in scene.impossible or "floor" in scene.prompt or "bounce" in scene.prompt:
            continue
        clips = (scene.possible, scene.impossible["gravity reversed"], scene.impossible["no gravity"])
        fall, reversed_, even = (np.polyfit(np.arange(17), heights(frames), 2)[0] for frames in clips)
        assert fall > 0.03
        assert reversed_ == pytest.approx(-fall, abs=0.01)
        assert abs(even) < 0.01


@pytest.mark.parametrize("kind", ["teleport", "vanishing", "colour switch"])
def test_what_happens_suddenly_happens_in_the_middle(twins, kind):
    for possible, impossible in of(twins, kind):
        assert (possible[:8] == impossible[:8]).all()
        assert all((a != b).any() for a, b in zip(possible[8:], impossible[8:], strict=True))


def test_a_vanished_object_is_gone_and_the_others_stay_whole(twins):
    for possible, impossible in of(twins, "vanishing"):
        assert not things(impossible)[8:].any()
        assert things(possible)[8:].any(axis=(1, 2)).all()
    for kind in ("colour switch", "teleport"):
        for possible, impossible in of(twins, kind):
            assert things(impossible).sum() >= 0.9 * things(possible).sum()


def test_what_passes_through_is_in_the_same_place(twins):
    for possible, impossible in of(twins, "passing through"):
        assert things(impossible).sum(axis=(1, 2)).min() < 0.9 * things(possible).sum(axis=(1, 2)).min()
