"""Things are told apart by what the network says of pixels, and what it sees is the frame, the scene and the motion."""

import numpy as np
import pytest

from evaluation.evidence.clip import gather
from evaluation.evidence.instances import CHANNELS, MOTION, UNSURE, doubt, find_instances, parted, seen
from evaluation.evidence.segments import find_segments
from evaluation.findings import ClipInput
from tests.evaluation.evidence.conftest import Drawn, along

Y, X = np.mgrid[:60, :80]


def told(*discs):
    """What a network would say that knows all of discs (x, y, radius), later ones in front."""
    sure, deep = np.full((2, 60, 80), -5.0, np.float32)
    for x, y, radius in discs:
        inside = radius - np.hypot(X - x, Y - y)
        sure[inside > 0] = 5.0
        deep[inside > 0] = 10 * (inside[inside > 0] / radius - 0.5)
    return sure, deep


def test_things_that_touch_are_parted_where_both_are_shallow():
    found = parted(*told((25, 30, 14), (52, 30, 13)), least=10, most=16)
    assert found.max() == 2
    assert (found[:, :38] != 2).all()
    assert (found[:, 41:] != 1).all()
    assert (found == 1).sum() == pytest.approx(np.pi * 14**2, rel=0.1)


def test_what_is_small_or_beyond_the_most_is_left_out():
    discs = (15, 15, 10), (45, 15, 8), (70, 40, 6), (20, 50, 1.2)
    assert parted(*told(*discs), least=10, most=16).max() == 3
    assert set(np.unique(parted(*told(*discs), least=10, most=2))) == {0, 1, 2}
    assert parted(*told(*discs), least=10, most=2)[40, 70] == 0


def test_a_thing_without_a_core_is_one_segment():
    sure, deep = told((40, 30, 12))
    assert parted(sure, np.full_like(deep, -5), least=10, most=16).max() == 1


def test_the_network_sees_how_things_move_and_differ(film):
    moving = film([Drawn(along(20, (20, 40), (100, 40)))])
    evidence, regions = moving.evidence, np.zeros(moving.owners.shape, np.uint8)
    views = np.stack([seen(evidence, regions, t) for t in (10, 19)])
    assert views.shape == (2, CHANNELS, *moving.owners.shape[1:])
    for view, t in zip(views.astype(float), (10, 19), strict=True):
        thing = moving.owners[t] == 1
        assert np.median(view[6][thing]) / MOTION == pytest.approx(80 / 19, abs=0.7)
        assert abs(np.median(view[6][~thing])) / MOTION < 0.3
        assert np.abs(view[3:6])[:, thing].mean() > 5 * np.abs(view[3:6])[:, ~thing].mean()
    place = slice(30, 50), slice(20, 60)
    np.testing.assert_array_equal(seen(evidence, regions, 10, place), views[0][:, *place])


def test_crossing_things_that_look_alike_are_told_apart(film):
    crossing = film([Drawn(along(24, (20, 40), (100, 48))), Drawn(along(24, (100, 52), (20, 44)))])
    labels, _ = find_segments(crossing.evidence)
    apart = [t for t in range(24) if abs(2 * 80 / 23 * t - 80) > 24]
    for thing in (1, 2):
        overlaps = [
            max(crossing.overlap(thing, t, labels[t] == n) for n in range(1, 1 + max(1, labels[t].max())))
            for t in apart
        ]
        assert np.median(overlaps) > 0.7


def test_of_a_tiny_picture_it_knows_nothing():
    evidence = gather(ClipInput("x", np.zeros((3, 8, 8, 3), np.uint8), 12.0))
    regions = np.random.default_rng(0).integers(0, 3, (3, 8, 8)).astype(np.uint8)
    assert find_instances(evidence, regions, 6, 16) is None


def test_it_tells_things_but_nothing_of_noise(film):
    moving = film([Drawn(along(24, (20, 40), (100, 48)))]).evidence
    noise = gather(ClipInput("x", np.random.default_rng(0).integers(0, 256, (24, 96, 128, 3)).astype(np.uint8), 12.0))
    told = [find_instances(evidence, np.ones(evidence.luma.shape, np.uint8), 8, 16) for evidence in (moving, noise)]
    assert told[0] is not None
    assert told[0].any(axis=(1, 2)).all()
    assert told[1] is None


def test_doubt_is_the_share_of_what_may_be_of_things():
    sure = np.full((1, 2, 4, 10), -2 * UNSURE)
    assert doubt(sure) == 1
    sure[0, 0, 0] = 2 * UNSURE
    assert doubt(sure) == 0
    sure[0, 0, 1:4] = 0
    assert doubt(sure) == 0.75
