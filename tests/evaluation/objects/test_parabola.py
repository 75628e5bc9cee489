"""The measured acceleration is that of the simulator."""

import pytest

from evaluation.findings import ClipInput
from evaluation.objects.motion import fit_motion
from evaluation.objects.observation import observe


def flight(pull, vx=0.0, vy=0.0, x=0.3, y=0.8):
    """Return a path in pixels of a 32 by 32 clip at 8 frames a second, from world units with y upward."""

    def at(t):
        s = t / 8
        return 32 * (x + vx * s), 32 * (1 - (y + vy * s - pull * s**2 / 2))

    return at


@pytest.mark.parametrize("pull", [0.2, 0.4, 0.8])
def test_the_acceleration_is_measured(draw, pull):
    seen = observe(ClipInput("clip", draw([{"at": flight(pull, 0.2, 0.1, y=0.7), "radius": 5}], frames=11), 8.0))
    motion = fit_motion(seen.tracks[0], seen.steady(seen.tracks[0]), seen.unit, 8.0)
    assert motion.y.acceleration == pytest.approx(-pull, rel=0.06)
    assert motion.y.velocity == pytest.approx(0.1, abs=0.02)
    assert motion.x.mean_velocity == pytest.approx(0.2, abs=0.02)
    assert motion.x.acceleration == pytest.approx(0.0, abs=0.03)
