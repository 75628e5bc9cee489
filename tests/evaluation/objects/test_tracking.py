"""Tracks follow their objects, also past each other and behind each other."""

import numpy as np
import pytest

from evaluation.objects.segmentation import measuring_size, segment
from evaluation.objects.tracking import begins_hidden, ends_hidden, follow


def tracked(frames):
    scene = segment(measuring_size(frames))
    return follow(scene), scene


def test_a_track_follows_the_object(draw):
    (track,), _ = tracked(draw([{"at": lambda t: (7 + 1.1 * t, 25 - 1.05 * t)}]))
    assert (track.start, track.end) == (0, 16)
    expected = np.array([(7 + 1.1 * t, 25 - 1.05 * t) for t in range(17)])
    assert track.centres == pytest.approx(expected, abs=0.1)
    assert track.step(forward=True) == pytest.approx((1.1, -1.05), abs=0.05)


def test_two_objects_of_one_colour_keep_their_tracks(draw):
    tracks, _ = tracked(draw([{"at": lambda t: (8, 8 + t)}, {"at": lambda t: (24, 24 - t)}]))
    assert [(t.start, t.end) for t in tracks] == [(0, 16), (0, 16)]
    assert sorted(round(t.step(forward=True)[1]) for t in tracks) == [-1, 1]


def test_leaving_and_entering_by_the_edge_is_excused(draw):
    tracks, scene = tracked(draw([{"at": lambda t: (8 + 3 * t, 16)}]))
    assert ends_hidden(tracks[0], tracks, scene)
    tracks, scene = tracked(draw([{"at": lambda t: (-20 + 3 * t, 16)}]))
    assert tracks[0].start > 0
    assert begins_hidden(tracks[0], tracks, scene)


def test_vanishing_in_the_middle_is_not_excused(draw):
    tracks, scene = tracked(draw([{"at": lambda t: (10 + 0.5 * t, 16) if t < 9 else None}]))
    assert not ends_hidden(tracks[0], tracks, scene)


def test_an_object_may_go_behind_another(draw):
    small = {"at": lambda t: (3 + 1.5 * t, 16), "radius": 4}
    screen = {"at": lambda t: (16, 16), "radius": 8, "colour": (40, 80, 215)}
    tracks, scene = tracked(draw([small, screen]))
    passing = [t for t in tracks if t.area < 100]
    assert len(passing) == 2
    assert ends_hidden(passing[0], tracks, scene)
    assert begins_hidden(passing[1], tracks, scene)
