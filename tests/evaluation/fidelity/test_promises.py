"""What a prompt promises is asked for: that things fall as in its world, and that they are seen."""

import numpy as np
import pytest

from evaluation.fidelity.promises import falling, held_against
from evaluation.findings import ClipInput, Finding
from evaluation.objects.observation import observe
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
    return falling(observe(ClipInput("clip", draw([{"at": path, "radius": 5}], frames=13), 8.0, prompt)))


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


def test_a_prompted_fall_that_nobody_sees_is_due(noise):
    finding = falling(observe(ClipInput("clip", noise, 8.0, FALL)))
    assert finding.score is None
    assert finding.due


def test_a_still_has_no_gravity(draw):
    finding = falling(observe(ClipInput("still", draw([{"at": lambda t: (16, 16)}], frames=1), 8.0, FALL)))
    assert finding.score is None
    assert not finding.due


def test_small_frames_are_fitted_too(draw):
    def at(t):
        return 12.0, 24 * (0.3 + GRAVITY * (t / 8) ** 2 / 2)

    clip = draw([{"at": at, "radius": 5}], frames=11, size=(24, 24))
    finding = falling(observe(ClipInput("clip", np.ascontiguousarray(clip), 8.0, FALL)))
    assert finding.score < 0.15


def test_what_a_prompt_names_and_nobody_sees_is_due(draw, noise):
    seen = observe(ClipInput("clip", noise, 8.0, FALL))
    fine = {kind: Finding(kind, 0.0, strength=0.0) for kind in ("appearance", "teleport", "gravity", "flicker")}
    kept = held_against(seen, fine)
    assert {kind for kind, finding in kept.items() if finding.score is None and finding.due} == set(fine) - {"flicker"}


def test_what_a_prompt_changes_is_not_held_against_it(draw):
    clip = draw([{"at": lambda t: (16, 16), "radius": 5}], frames=9)
    seen = observe(ClipInput("clip", clip, 8.0, "A red circle shatters on a grey background."))
    kept = held_against(seen, {"appearance": Finding("appearance", 0.9, strength=3.0)})
    assert kept["appearance"].score is None
    assert not kept["appearance"].due


def test_of_gravity_the_worse_finding_is_kept(draw):
    seen = observe(ClipInput("clip", draw([{"at": flight(0.0, vy=-0.4), "radius": 5}], frames=13), 8.0, FALL))
    assert held_against(seen, {"gravity": Finding("gravity", 0.1, strength=0.2)})["gravity"].score >= 0.5
    worse = Finding("gravity", 1.0, strength=9.0)
    assert held_against(seen, {"gravity": worse})["gravity"].strength == 9.0
