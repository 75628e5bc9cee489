"""The measured acceleration is that of the simulator; wrong gravity is found."""

import numpy as np
import pytest

from evaluation.findings import ClipInput
from evaluation.objects.motion import fit_motion
from evaluation.objects.observation import observe
from evaluation.physics.gravity import gravity
from kinora.worlds import GRAVITY

FALL, RIGHT = (
    "A red circle falls on a grey background.",
    "A red circle moves quickly to the right on a grey background.",
)


def flight(pull, vx=0.0, vy=0.0, x=0.3, y=0.8):
    """Return a path in pixels of a 32 by 32 clip at 8 frames a second, from world units with y upward."""

    def at(t):
        s = t / 8
        return 32 * (x + vx * s), 32 * (1 - (y + vy * s - pull * s**2 / 2))

    return at


def judged(draw, path, prompt=None):
    return gravity(observe(ClipInput("clip", draw([{"at": path, "radius": 5}], frames=13), 8.0, prompt)))


@pytest.mark.parametrize("pull", [0.2, 0.4, 0.8])
def test_the_acceleration_is_measured(draw, pull):
    seen = observe(ClipInput("clip", draw([{"at": flight(pull, 0.2, 0.1, y=0.7), "radius": 5}], frames=11), 8.0))
    motion = fit_motion(seen.tracks[0], seen.steady(seen.tracks[0]), seen.unit, 8.0)
    assert motion.y.acceleration == pytest.approx(-pull, rel=0.06)
    assert motion.y.velocity == pytest.approx(0.1, abs=0.02)
    assert motion.x.mean_velocity == pytest.approx(0.2, abs=0.02)
    assert motion.x.acceleration == pytest.approx(0.0, abs=0.03)


def test_right_gravity_passes(draw):
    finding = judged(draw, flight(GRAVITY), FALL)
    assert finding.score < 0.1
    assert finding.parts["acceleration"] == pytest.approx(-1, abs=0.1)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (flight(-GRAVITY, y=0.2), "upward"),
        (flight(0.0, vy=-0.4), "hardly accelerates"),
        (flight(0.1, vy=-0.25), "hardly accelerates"),
    ],
    ids=["upward", "none", "a quarter"],
)
def test_wrong_gravity_is_found(draw, path, words):
    finding = judged(draw, path, FALL)
    assert finding.score >= 0.5
    (failure,) = finding.failures
    assert words in failure.explanation
    assert failure.end_frame - failure.start_frame >= 10


def test_even_motion_passes_and_accelerated_motion_fails(draw):
    assert judged(draw, flight(0.0, vx=0.3, y=0.5), RIGHT).score < 0.1
    assert judged(draw, flight(GRAVITY, vx=0.3, y=0.8), RIGHT).score >= 0.5


def test_without_a_prompt_only_evident_flight_is_judged(draw):
    assert judged(draw, flight(0.0, vx=0.3, y=0.5)).score is None
    assert judged(draw, flight(GRAVITY)).score < 0.1
    assert judged(draw, flight(-GRAVITY, y=0.2)).score >= 0.5


def test_a_prompted_fall_that_nobody_sees_is_due(noise):
    finding = gravity(observe(ClipInput("clip", noise, 8.0, FALL)))
    assert finding.score is None
    assert finding.due


def test_a_still_has_no_gravity(draw):
    finding = gravity(observe(ClipInput("still", draw([{"at": lambda t: (16, 16)}], frames=1), 8.0, FALL)))
    assert finding.score is None
    assert not finding.due


def test_small_frames_are_fitted_too(draw):
    def at(t):
        return 12.0, 24 * (0.3 + GRAVITY * (t / 8) ** 2 / 2)

    clip = draw([{"at": at, "radius": 5}], frames=11, size=(24, 24))
    finding = gravity(observe(ClipInput("clip", np.ascontiguousarray(clip), 8.0, FALL)))
    assert finding.score < 0.15
