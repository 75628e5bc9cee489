"""A fall that goes over into another acceleration is told from what is struck, by places alone."""

from types import SimpleNamespace

import numpy as np
import pytest

from evaluation.physics.kinks import kink_of

FPS, PULL, MOMENT = 24.0, 240.0, 14  # frames a second, pixels / s², the first frame whose step is another


def fallen(pulls, *, speed=-140.0, floor=np.inf):
    """Places `[n, 2]` of what is thrown up and pulled down in each frame, and comes back from a floor half as fast."""
    at, velocity, places = np.array([20.0, 120.0]), np.array([40.0, speed]), []
    for pull in pulls:
        places.append(at)
        velocity = velocity + np.asarray(pull) / FPS
        if at[1] + velocity[1] / FPS > floor and velocity[1] > 0:
            velocity = velocity * [1, -0.5]
        at = at + velocity / FPS
    return np.array(places) + np.random.default_rng(0).normal(0, 0.15, (len(places), 2))


def kink(places, *, whole=True):
    """The kink of a disc with a radius of 8 pixels, as its outline shows it and its flow."""
    n = len(places)
    track = SimpleNamespace(
        steady=places, frames=np.arange(n), areas=np.full(n, 200.0), area=200.0, at_border=np.zeros(n, bool)
    )
    steps = np.diff(places, axis=0) if whole else np.full((n - 1, 2), np.nan)
    return kink_of(track, steps, FPS, None)


@pytest.mark.parametrize("after", [(0.0, 0.0), (0.0, -200.0), (-250.0, 100.0), (0.0, 700.0)])
def test_a_fall_that_goes_over_into_another_acceleration_is_found_when_it_does(after):
    found = kink(fallen([(0.0, PULL)] * MOMENT + [after] * 12))
    assert found.strength > 0.4
    assert abs(found.sight - MOMENT) <= 2
    assert np.hypot(*(found.before - [0, PULL])) < 0.2 * PULL
    assert np.hypot(*(found.after - after)) < 0.2 * PULL + 0.1 * np.hypot(*after)


def test_what_stops_where_it_is_highest_is_found():
    places = fallen([(0.0, PULL)] * 30)
    top = int(places[:, 1].argmin())
    places[top:] = places[top]
    assert abs(kink(places).sight - top) <= 1


@pytest.mark.parametrize("floor", [100.0, 130.0, np.inf])
def test_what_bounces_rightly_or_falls_on_is_not(floor):
    found = kink(fallen([(0.0, PULL)] * 36, floor=floor))
    assert found is None or found.strength < 0.15


def test_outline_and_flow_that_agree_count_more_than_one_alone():
    places = fallen([(0.0, PULL)] * MOMENT + [(0.0, -200.0)] * 12)
    assert kink(places).strength > 1.8 * kink(places, whole=False).strength
