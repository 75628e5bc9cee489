"""A thing that rests and then moves as the camera does is found; parallax, rest, and what moves on its own are none."""

from types import SimpleNamespace

import numpy as np
import pytest

from evaluation.consistency.cells import Followed
from evaluation.consistency.shifting import find_shifts
from evaluation.consistency.view_inconsistency import view_inconsistency
from evaluation.evidence.camera import Camera, carry
from evaluation.evidence.clip import gather
from evaluation.findings import ClipInput

T, H, W, START = 60, 72, 128, 15
TIME = np.arange(T)
SWINGS = 26 * np.sin(2 * np.pi * TIME / 52)  # pixels to the right
ZOOMS = np.exp(0.005 * TIME)
GONE = np.abs(SWINGS - SWINGS[START]) * (TIME > START)
NONE, ONCE, UP = np.zeros(T), np.ones(T), np.array([0.0, -1.0])
NOTHING = Followed(TIME[:0], 3, *[NONE] * 5, [], 0.0)


def camera(swings, zooms=ONCE):
    """Return a camera that swings and comes closer, as far as where it looks over the first frame."""
    to_first = np.tile(np.eye(3), (T, 1, 1))
    to_first[:, 0, 0] = to_first[:, 1, 1] = 1 / zooms
    to_first[:, 0, 2] = swings + W / 2 * (1 - 1 / zooms)
    to_first[:, 1, 2] = H / 2 * (1 - 1 / zooms)
    return Camera(np.tile(np.eye(3), (T - 1, 1, 1)), np.ones(T - 1, bool), to_first, True)


def followed(seen_by, way, at=(60.0, 40.0), frames=TIME, quality=0.9, edge=False):
    """Return a track of a ball that goes a way over the scene, `[T, 2]` in pixels of the first frame, with errors."""
    way = np.broadcast_to(way, (T, 2))
    steady = at + way + np.random.default_rng(2).normal(0, 0.15, (T, 2))
    centres = carry(np.linalg.inv(seen_by.to_first), steady)
    boxes = np.round(np.concatenate([centres - 6, centres + 6], axis=1)).astype(int)
    return SimpleNamespace(
        frames=frames, start=int(frames[0]), end=int(frames[-1]), quality=quality, at_border=np.full(len(frames), edge),
        steady=steady[frames], centres=centres[frames], boxes=boxes[frames],
        masks=[np.ones((y1 - y0, x1 - x0), bool) for x0, y0, x1, y1 in boxes[frames]],
    )  # fmt: skip


def told(near):
    """Return what is seen of a swinging camera where a network says that everything is so near."""
    motion = np.zeros((T, 11))
    motion[:, [0, 8]] = -np.gradient(SWINGS)[:, None] * [1, 0.5] * 3 * 100 / W  # what is at nearness 1 by half more
    none = np.zeros((T, 1, 2))
    pictures = [np.full((H, W), near)] * T
    return Followed(TIME, 3, none, none, none[..., 0] > 0, none[:, 0], motion, pictures, 0.0)


def found(seen_by, *tracks, seen=NOTHING):
    return list(find_shifts(SimpleNamespace(luma=np.zeros((T, H, W)), camera=seen_by, tracks=tracks), seen))


def test_a_still_thing_that_shifts_across_the_cameras_way_is_found_where_it_begins():
    swinging = camera(SWINGS)
    ways = [0.5 * GONE[:, None] * UP, 0.5 * GONE[:, None] * UP - 0.4 * SWINGS[:, None] * [1, 0]]  # the last is nearer
    for way in ways:
        (shift,) = found(swinging, followed(swinging, way))
        assert shift.clearly > 2
        assert abs(shift.start - START) <= 1
        assert shift.far == pytest.approx(0.5 * GONE.max() * 100 / W, rel=0.1)


def test_it_is_found_as_well_where_the_camera_comes_closer():
    closer = camera(NONE, ZOOMS)
    gone = np.maximum(0, TIME - START)
    (shift,) = found(closer, followed(closer, 0.3 * gone[:, None] * UP))
    assert shift.clearly > 1
    assert abs(shift.start - START) <= 2


@pytest.mark.parametrize(
    "way",
    [
        NONE[:, None] * UP,
        -0.4 * SWINGS[:, None] * [1, 0],  # nearer than the scene
        TIME[:, None] * [0.5, -0.6],  # goes evenly
        (0.5 * TIME - 0.02 * TIME**2)[:, None] * UP,  # is thrown
        np.abs(TIME % 24 - 12)[:, None] * UP,  # bounces
    ],
    ids=["rests", "parallax", "even", "thrown", "bounces"],
)
def test_what_rests_or_moves_rightly_is_none(way):
    swinging = camera(SWINGS)
    (shift,) = found(swinging, followed(swinging, way))
    assert shift.clearly < 0.5


def test_what_shifts_along_the_cameras_way_is_found_where_it_is_told_how_near_it_is():
    swinging, along = camera(SWINGS), np.array([1.0, 0.0])
    parallax = -0.5 * SWINGS[:, None] * along  # of what is at nearness 1
    more = parallax - 0.4 * GONE[:, None] * along
    (blind,), (seeing,) = (found(swinging, followed(swinging, more), **how) for how in ({}, {"seen": told(1.0)}))
    assert blind.clearly < 0.5
    assert seeing.clearly > 1.5
    assert abs(seeing.start - START) <= 2
    (near,) = found(swinging, followed(swinging, parallax), seen=told(1.0))
    (wrongly,) = found(swinging, followed(swinging, parallax), seen=told(-1.0))
    assert near.clearly < 0.5
    assert wrongly.far > 3 * near.far


def test_what_touches_may_push_and_what_is_not_followed_well_says_nothing():
    swinging = camera(SWINGS)
    way = 0.5 * GONE[:, None] * UP
    alone, beside = found(swinging, followed(swinging, way)), followed(swinging, 0 * way, at=(71.0, 40.0))
    (pushed, _) = found(swinging, followed(swinging, way), beside)
    assert pushed.clearly < 0.5 * alone[0].clearly
    assert not found(swinging, followed(swinging, way, quality=0.5))
    assert not found(swinging, followed(swinging, way, edge=True))
    assert not found(swinging, followed(swinging, way, frames=TIME[:6]))
    assert not found(camera(NONE), followed(camera(NONE), way))


def test_it_is_told_of_the_clip():
    swinging = camera(SWINGS)
    evidence = gather(ClipInput("clip", np.full((T, H, W, 3), 90, np.uint8), 24.0))
    evidence.__dict__.update(camera=swinging, tracks=(followed(swinging, 0.5 * GONE[:, None] * UP),))
    (candidate,) = view_inconsistency(evidence).candidates
    assert abs(candidate.start_frame - START) <= 1
    assert candidate.strength > 1
    assert "a thing that rested moves by" in candidate.explanation
