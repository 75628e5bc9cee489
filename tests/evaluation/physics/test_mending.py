"""Things that are partly hidden are followed by their pictures, and given back as they were where they are not."""

import numpy as np
import pytest

from evaluation.physics.mending import followed
from tests.evaluation.evidence.conftest import Drawn, _film, along

FPS = 24.0


@pytest.fixture(scope="module")
def passing():
    """A red disc that passes behind a blue box, which hides most of it for a moment, and the path of its centre."""
    red, blue = along(40, (20, 40), (108, 44)), along(40, (108, 52), (20, 48))
    things = [Drawn(red, "disc"), Drawn(blue, "box", colour=(60.0, 60.0, 180.0))]
    return red, _film(things, fps=FPS).evidence


def reddest(things):
    return max((one for one in things if one.track.area > 150), key=lambda one: one.track.colours[0, 0])


def test_a_thing_is_found_by_its_picture_where_it_is_partly_hidden(passing):
    red, evidence = passing
    one = reddest(followed(evidence))
    assert one.found.sum() >= 4
    off = one.track.centres[one.found] - red[one.track.frames[one.found]]
    assert np.hypot(*off.T).max() < 2.0
    assert np.median(np.hypot(*off.T)) < 0.7
    told = np.isfinite(one.steps[:, 0])
    assert told.sum() >= 4
    assert one.steps[told] == pytest.approx(np.tile(red[1] - red[0], (told.sum(), 1)), abs=0.8)


def test_masks_lie_where_the_thing_is(passing):
    _, evidence = passing
    track = reddest(followed(evidence)).track
    assert len(track.masks) == len(track.frames) == len(track.areas) == len(track.look)
    for mask, box, area in zip(track.masks, track.boxes, track.areas, strict=True):
        assert mask.shape == (box[3] - box[1], box[2] - box[0])
        assert mask.sum() == pytest.approx(area, abs=1)


def test_what_touches_nothing_stays_as_it_was():
    lone = _film([Drawn(along(30, (25, 40), (100, 50)), "disc")], fps=FPS).evidence
    assert {id(one.track) for one in followed(lone)} <= {id(track) for track in lone.tracks}
    assert not any(one.found.any() or np.isfinite(one.steps).any() for one in followed(lone))


def test_one_thing_is_given_once(passing):
    red, evidence = passing
    near = [
        one.track
        for one in followed(evidence)
        for i in [25 - one.track.start]
        if 0 <= i < len(one.track.frames) and np.hypot(*(one.track.centres[i] - red[25])) < 4
    ]
    assert len(near) <= 1
