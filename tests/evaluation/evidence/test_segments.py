"""Segments are the things of a film, whether they move, rest, touch, or rested until they left."""

import numpy as np
import pytest

from evaluation.evidence.clip import gather
from evaluation.evidence.segments import find_segments
from evaluation.findings import ClipInput
from tests.evaluation.evidence.conftest import Drawn, along

BLUE = (60.0, 70.0, 210.0)


def overlaps(film, thing):
    """The overlap of a thing with the segment that fits it best, in every frame that shows it."""
    labels, _ = find_segments(film.evidence)
    return np.array(
        [
            max([film.overlap(thing, t, labels[t] == n) for n in range(1, int(labels[t].max()) + 1)], default=0.0)
            for t in range(len(labels))
            if (film.owners[t] == thing).any()
        ]
    )


def test_what_moves_is_one_segment(film):
    moving = film([Drawn(along(20, (25, 30), (95, 60)), "star")])
    assert np.median(overlaps(moving, 1)) > 0.7
    assert overlaps(moving, 1).min() > 0.6


def test_what_stands_out_and_rests_is_one_segment(film):
    resting = film([Drawn(along(20, (60, 50), (60, 50)), "box"), Drawn(along(20, (15, 20), (110, 20)), colour=BLUE)])
    assert overlaps(resting, 1).min() > 0.7


def test_what_rested_and_left_leaves_no_segment_behind(film):
    left = film([Drawn(along(40, (40, 50), (40, 50), (40, 50), (110, 50)))])
    assert overlaps(left, 1).min() > 0.6
    labels, outlined = find_segments(left.evidence)
    assert outlined
    assert not (labels[-1, 42:58, 32:48] > 0).any()


@pytest.mark.parametrize("apart", [19, 15])
def test_things_that_touch_and_look_different_are_two_segments(film, apart):
    touching = film(
        [Drawn(along(20, (20, 40), (80, 40))), Drawn(along(20, (20 + apart, 40), (80 + apart, 40)), colour=BLUE)]
    )
    assert np.median(overlaps(touching, 1)) > 0.7
    assert np.median(overlaps(touching, 2)) > 0.7


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("shape", [(1, 32, 32, 3), (6, 8, 8, 3), (9, 64, 20, 3)])
@pytest.mark.parametrize("content", ["black", "noise"])
def test_nothing_to_see_gives_no_error(shape, content):
    noise = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    evidence = gather(ClipInput("x", noise if content == "noise" else np.zeros(shape, np.uint8), 24.0))
    labels, _ = find_segments(evidence)
    assert labels.shape == shape[:3]
    if content == "black":
        assert not labels.any()
