"""What touches another thing all the time, and what moves while the camera is lost, has a path and can be judged."""

from dataclasses import replace

import numpy as np
import pytest

from evaluation.evidence.camera import Camera
from evaluation.physics.meetings import meetings
from evaluation.physics.momentum import momentum
from evaluation.physics.moves import moves, outlines_fit
from evaluation.physics.paths import paths
from tests.evaluation.evidence.conftest import Drawn, _film
from tests.evaluation.physics.test_motion import BLUE, FPS, collision, moving, strength, turned


@pytest.fixture(scope="module")
def collides():
    one, other = collision()
    return _film([Drawn(one, "disc"), Drawn(other, "disc", colour=BLUE)], fps=FPS).evidence


def doubted(evidence):
    """The clip with tracks that are taken to touch others all the time, as far as their quality goes."""
    clip = replace(evidence)
    clip.__dict__.update({name: value for name, value in evidence.__dict__.items() if not name.startswith("_")})
    clip.__dict__["tracks"] = tuple(replace(track, quality=0.05) for track in evidence.tracks)
    return clip


def lost(evidence, frames, drift):
    """The clip with a camera that is not known in some frames, though the picture goes on as before."""
    clip = replace(evidence)
    clip.__dict__.update({name: value for name, value in evidence.__dict__.items() if not name.startswith("_")})
    camera, reliable = evidence.camera, evidence.camera.reliable.copy()
    reliable[frames] = False
    clip.__dict__["camera"] = Camera(camera.to_next.copy(), reliable, camera.to_first.copy(), drift)
    return clip


def test_outlines_that_keep_their_shape_are_believed_whatever_they_touch():
    clip = doubted(_film([Drawn(moving(30, (25, 30), (40.0, 10.0)), "disc")], fps=FPS).evidence)
    assert not paths(clip)
    _, (found,) = moves(clip)
    assert found.track.quality > 0.6
    assert all(outlines_fit(found.track, i) > 0.6 for i in range(20))


def test_the_clip_that_others_see_stays_as_it_was(collides):
    tracks, camera = collides.tracks, collides.camera
    known = paths(collides)
    moves(collides)
    assert collides.tracks is tracks
    assert collides.camera is camera
    assert paths(collides) is known


def test_what_moves_while_the_camera_is_lost_has_its_velocity():
    path = turned(moving(40, (25, 30), (50.0, 10.0)), 20, (-30.0, 40.0))
    clip = lost(_film([Drawn(path, "disc")], fps=FPS).evidence, slice(8, 34), drift=True)
    steadied, (found, *_) = moves(clip)
    assert steadied.camera.reliable.all()
    assert not clip.camera.reliable.all()
    turn = max(found.turns, key=lambda one: float(np.hypot(*one.change)))
    assert np.allclose(turn.change, (-80.0, 30.0), atol=12)
    assert strength(momentum(clip)) > 0.5


def test_two_that_strike_one_another_take_and_give_alike(collides):
    seen, found = moves(collides)
    met = meetings(seen, found)
    assert met
    assert min(meeting.unbalanced for meeting in met) < 0.3
    assert max(meeting.clear[1] for meeting in met) > 0.9
