"""What breaks gravity is found from the moment on from which it does, and what bounces rightly is not."""

import numpy as np

from evaluation.physics.gravity import gravity
from tests.evaluation.evidence.conftest import Drawn, _film

FPS = 24.0
FLOOR = 80.0


def bouncing(start, velocity, pulls):
    """A path in pixels, pulled down in each frame, that comes back from a floor with three quarters of its speed."""
    at, speed = np.array(start), np.array(velocity)
    path = [at]
    for pull in pulls:
        at, speed = at + speed / FPS, speed + np.array([0.0, pull / FPS])
        if at[1] > FLOOR:
            at, speed = np.array([at[0], FLOOR]), np.array([speed[0], -0.75 * speed[1]])
        path.append(at)
    return np.array(path)


def rightly():
    return Drawn(bouncing((22.0, 40.0), (12.0, -30.0), [60.0] * 47), "disc")


def test_what_bounces_lower_and_lower_keeps_the_law():
    assert (gravity(_film([rightly()], fps=FPS).evidence).strength or 0.0) < 0.15


def test_what_falls_harder_breaks_the_law_from_the_first_moment_on():
    """Though it bounces later, and flies on as wrongly for longer."""
    wrongly = bouncing((60.0, 40.0), (12.0, -30.0), [60.0] * 12 + [240.0] * 35)
    found = gravity(_film([rightly(), Drawn(wrongly, "disc", colour=(60.0, 70.0, 210.0))], fps=FPS).evidence)
    assert (found.strength or 0.0) > 0.3
    assert abs(found.candidates[0].start_frame - 13) <= 2
