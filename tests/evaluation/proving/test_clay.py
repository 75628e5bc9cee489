"""The family `clay`: things have the outlines of the stage, turn in space, and look the same in the same moment."""

from itertools import islice

import numpy as np
import pytest

from evaluation.proving import clay, clay_skins
from evaluation.proving.stage.dynamics import simulate
from evaluation.proving.stage.outlines import OUTLINES


def scenes(kind):
    """Scenes of a kind, with who paints them and what happens in them."""
    for seed in range(200):
        scene, painter = clay.stage(np.random.default_rng(seed), None, (64, 64))
        if scene.kind == kind:
            yield scene, painter, simulate(scene)


@pytest.mark.parametrize("name", sorted(OUTLINES))
def test_the_table_of_radii_encloses_the_outline(name):
    outline = OUTLINES[name](np.random.default_rng(4))
    radii = clay_skins.radii(outline, is_round=False)
    x, y = outline.T
    area = 0.5 * abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))  # Gauss's formula
    assert (radii**2).sum() * np.pi / len(radii) == pytest.approx(area, rel=0.01)
    turn = np.arctan2(y, x)
    steps = np.round((turn + np.pi) / (2 * np.pi) * len(radii)).astype(int) % len(radii)
    np.testing.assert_allclose(radii[steps], np.hypot(x, y), atol=0.04)


def test_every_point_of_the_sphere_has_its_own_place_on_a_skin():
    x, y = clay_skins.folded(clay_skins.SPHERE)
    columns, rows = np.meshgrid(np.arange(clay_skins.SIDE), np.arange(clay_skins.SIDE))
    inner = np.s_[1:-1, 1:-1]  # the rim is folded to meet itself
    np.testing.assert_allclose(x[inner], columns[inner], atol=1e-2)
    np.testing.assert_allclose(y[inner], rows[inner], atol=1e-2)


def test_lamps_light_what_faces_them():
    lamps = clay_skins.lamps(np.random.default_rng(2))
    towards = lamps.towards[0]
    assert (lamps.fall(towards[None]) > lamps.fall(-towards[None]) + 0.2).all()


def test_a_ball_on_a_table_rolls_without_slipping_and_keeps_its_look_where_a_take_repeats():
    scene, painter, take = next(islice(scenes("billiard"), 1, None))
    index = int(np.argmax(np.linalg.norm(take.velocity[0], axis=1)))
    turned = painter.bodies[index].turns(take)
    step, radius = take.position[1, index] - take.position[0, index], scene.things[index].radius
    foot = turned[1] @ turned[0].T @ np.array([0, 0, -radius])  # the point that touched the table goes back by a step
    np.testing.assert_allclose(foot[:2], -step, atol=0.02 * np.linalg.norm(step) + 1e-4)
    held = take.at(np.array([0, 1, 2, 2, 2, 1, 2]))
    again = painter.paint(held).frames
    np.testing.assert_array_equal(again[2], again[4])
    np.testing.assert_array_equal(again[1], again[5])


def test_a_lonely_turning_ball_shows_other_pictures_of_itself():
    for _, painter, take in scenes("drift"):
        body = painter.bodies[0]
        if not body.thing.round or body.axis[2] > 0.7:
            continue
        grid = np.meshgrid(np.linspace(-1, 1, 40), np.linspace(1, -1, 40))
        moments = (take.with_(angle=take.angle * 0 + angle) for angle in (0.0, np.pi))
        looks = [body.seen(*grid, 20, 0.0, body.turns(moment)[0], (0.0, 0.0, 0.0))[0] for moment in moments]
        assert np.abs(looks[0] - looks[1]).mean() > 3
        return
    raise AssertionError("no drifting ball turns about a slanted axis")


def test_farther_things_move_less_as_the_camera_moves():
    _, painter, _ = next(scenes("drift"))
    here, there = np.array([0, 0, 1, 0.0]), np.array([0.1, 0, 1, 0.0])
    shifts = [painter.view(there, depth)[0, 2] - painter.view(here, depth)[0, 2] for depth in (1.0, 2.0)]
    assert shifts[0] == pytest.approx(2 * shifts[1])
    assert abs(painter.view(np.array([0, 0, 1.2, 0]), 1.0)[0, 0]) == pytest.approx(1.2 * painter.unit)
