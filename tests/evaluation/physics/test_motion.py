"""Accelerations and velocities are those that were drawn; what breaks the laws of motion is found where it does."""

import warnings

import cv2
import numpy as np
import pytest

from evaluation.evidence.clip import gather
from evaluation.findings import ClipInput
from evaluation.physics.gravity import gravity
from evaluation.physics.interpenetration import interpenetration
from evaluation.physics.meetings import meetings
from evaluation.physics.momentum import momentum
from evaluation.physics.paths import paths
from tests.evaluation.evidence.conftest import Drawn, _film

FPS = 24.0
BLUE = (60.0, 70.0, 210.0)
DETECTORS = (gravity, momentum, interpenetration)


def moving(frames, start, velocity, pull=(0.0, 0.0)):
    """A path `[T, 2]` in pixels and seconds."""
    time = np.arange(frames)[:, None] / FPS
    return np.asarray(start) + time * velocity + 0.5 * time**2 * pull


def turned(path, t, velocity, pull=(0.0, 0.0)):
    """The path until frame `t`, and then with another velocity and acceleration."""
    return np.concatenate([path[:t], moving(len(path) - t + 1, path[t - 1], velocity, pull)[1:]])


def thrown(frames=36, pull=100.0):
    return moving(frames, (25.0, 70.0), (40.0, -95.0), (0.0, pull))


def collision(distance=20.0):
    """Two things of one size: the one strikes the other, which rests, when their centres are so far apart."""
    t = 18
    one = moving(40, (20.0, 50.0), (50.0, 0.0))
    other = np.tile([one[t - 1, 0] + distance, 50.0], (40, 1))
    return turned(one, t, (6.0, 0.0)), turned(other, t, (44.0, 0.0))


@pytest.fixture(scope="module")
def evidence():
    made = {}

    def of(name, *things):
        if name not in made:
            made[name] = _film(list(things), fps=FPS).evidence
        return made[name]

    return of


def strength(finding):
    return finding.strength or 0.0


def test_a_flight_is_one_piece_with_its_acceleration(evidence):
    (path, *_) = paths(evidence("thrown", Drawn(thrown(), "disc")))
    piece = max(path.pieces, key=lambda piece: piece.steps)
    assert piece.steps > 15
    assert piece.acceleration == pytest.approx([0.0, 100.0], abs=12.0)
    assert piece.velocity(0.5) == pytest.approx([40.0, -45.0], abs=6.0)


def test_a_change_of_velocity_is_measured_in_its_frame(evidence):
    (path, *_) = paths(evidence("pushed", Drawn(turned(moving(40, (25, 30), (50.0, 10.0)), 20, (-30.0, 40.0)), "disc")))
    (turn,) = path.turns
    assert abs(turn.frame - 20) <= 1
    assert turn.change == pytest.approx([-80.0, 30.0], abs=8.0)


def test_what_is_pushed_by_nothing_breaks_the_momentum(evidence):
    pushed = momentum(evidence("pushed", Drawn(turned(moving(40, (25, 30), (50.0, 10.0)), 20, (-30.0, 40.0)), "disc")))
    even = momentum(evidence("even", Drawn(moving(40, (25, 30), (45.0, 15.0)), "disc")))
    assert strength(pushed) > 1.0 > 3 * strength(even)
    found = max(pushed.candidates, key=lambda c: c.strength)
    assert abs(found.start_frame - 20) <= 2
    x0, y0, x1, y1 = found.box
    assert x0 < 64 < x1
    assert y0 < 38 < y1


def test_what_stops_falling_in_the_air_breaks_gravity(evidence):
    fallen = gravity(evidence("thrown", Drawn(thrown(), "disc")))
    up = turned(thrown(), 20, (40.0, -12.0), (0.0, -90.0))
    rising = gravity(evidence("rising", Drawn(up, "disc")))
    assert fallen.score is not None
    assert strength(fallen) < 0.45
    assert strength(rising) > 0.8
    found = max(rising.candidates, key=lambda c: c.strength)
    assert abs(found.start_frame - 20) <= 3


def test_what_moves_evenly_tells_nothing_of_gravity(evidence):
    finding = gravity(evidence("even", Drawn(moving(40, (25, 30), (45.0, 15.0)), "disc")))
    assert finding.score is None
    assert not finding.due
    assert "falls" in finding.reason


def test_a_collision_keeps_the_momentum(evidence):
    one, other = collision()
    clip = evidence("collision", Drawn(one, "disc"), Drawn(other, "disc", colour=BLUE))
    assert strength(momentum(clip)) < 0.6
    assert strength(interpenetration(clip)) < 0.3


def test_two_that_both_stop_where_they_meet_lose_the_momentum(evidence):
    one, other = collision()
    one, other = turned(one, 18, (0.0, 0.0)), np.tile(other[0], (40, 1))
    finding = momentum(evidence("stopped", Drawn(one, "disc"), Drawn(other, "disc", colour=BLUE)))
    found = max(finding.candidates, key=lambda c: c.strength)
    assert found.strength > 0.8
    assert abs(found.start_frame - 18) <= 2


def test_a_bounce_off_another_thing_is_not_a_push_by_nothing(evidence):
    path = turned(moving(40, (30, 50), (50.0, 0.0)), 18, (-30.0, 0.0))
    wall = np.tile([path[17, 0] + 20.0, 50.0], (40, 1))
    alone = momentum(evidence("returns", Drawn(path, "disc")))
    off_it = momentum(evidence("bounces", Drawn(path, "disc"), Drawn(wall, "disc", colour=BLUE)))
    assert strength(alone) > 2 * strength(off_it)


def test_things_that_pass_one_another_do_not_meet(evidence):
    paths_ = moving(40, (20.0, 45.0), (50.0, 0.0)), moving(40, (105.0, 52.0), (-45.0, 0.0))
    clip = evidence("passing", Drawn(paths_[0], "disc"), Drawn(paths_[1], "disc", colour=BLUE))
    assert strength(interpenetration(clip)) < 0.1


def test_things_that_turn_within_one_another_are_found(evidence):
    one, other = collision(distance=9.0)
    clip = evidence("within", Drawn(one, "disc"), Drawn(other, "disc", colour=BLUE))
    met = meetings(clip, paths(clip))
    assert met
    assert max(meeting.depth for meeting in met) > 0.3
    assert strength(interpenetration(clip)) > 0.3


def test_what_is_seen_through_another_goes_through_it():
    things = [
        Drawn(moving(40, (20.0, 48.0), (50.0, 0.0)), "disc"),
        Drawn(moving(40, (105.0, 48.0), (-45.0, 0.0)), "disc", colour=BLUE),
    ]
    orders = [_film(some, fps=FPS).evidence for some in (things, things[::-1])]
    mixed = np.mean([one.clip.frames.astype(float) for one in orders], axis=0).round().astype(np.uint8)
    through = interpenetration(gather(ClipInput("through", mixed, FPS)))
    assert strength(through) > 1.0
    assert max(strength(interpenetration(one)) for one in orders) < 0.3
    found = max(through.candidates, key=lambda c: c.strength)
    assert 10 < found.start_frame < 22
    assert 20 < found.end_frame < 36


def fallen(lowest, *rests):
    """A disc that falls to a level ground at row 80, and others that lie on rows; there is a line at row 60."""
    rng = np.random.default_rng(3)
    scene = rng.normal(0, 2, (96, 128, 1)) + np.array([150, 160, 170])
    scene[80:] -= np.array([60, 90, 110])
    scene[60:80] -= 25
    frames = np.stack([scene.round().astype(np.uint8)] * len(lowest))
    for k, row in enumerate(rests):
        for frame in frames:
            cv2.circle(frame, (22 + 84 * k, row - 10), 10, (40, 60, 200), -1)
    for frame, y in zip(frames, lowest, strict=True):
        cv2.circle(frame, (64, round(y) - 11), 11, (210, 60, 40), -1)
        cv2.circle(frame, (61, round(y) - 14), 4, (240, 190, 60), -1)
    return gather(ClipInput("fallen", frames, FPS))


def falling(speed=0.0, frames=40):
    return 22 + speed * np.arange(frames) / FPS + 0.5 * 160 * (np.arange(frames) / FPS) ** 2


def test_what_falls_through_the_ground_is_in_it():
    through, lies = interpenetration(fallen(falling())), interpenetration(fallen(np.minimum(falling(), 80)))
    assert strength(through) > 0.5 > 10 * strength(lies)
    found = max(through.candidates, key=lambda c: c.strength)
    assert abs(found.start_frame - np.sqrt(2 * 58 / 160) * FPS) <= 2


def test_what_is_gone_through_the_ground_within_two_frames_was_in_it():
    """No frame shows it cut by the lower edge of the frame."""
    row = falling(speed=150.0, frames=16)
    through = interpenetration(fallen(np.where(row < 94, row, 140), 80))
    assert 82 < row[row < 94].max() < 92
    assert strength(through) > 0.3


def test_a_bounce_that_gains_speed_is_found_and_one_that_loses_it_is_not():
    lands = int(np.argmax(falling() >= 80))
    speed, time = 160 * lands / FPS, np.arange(30) / FPS

    def bouncing(gain):
        up = 80 - gain * speed * time + 0.5 * 160 * time**2
        return momentum(fallen(np.concatenate([falling()[:lands], np.minimum(up, 80)])[:34], 80))

    assert strength(bouncing(1.25)) > 1.0 > 2 * strength(bouncing(0.7))


def test_what_falls_past_a_line_to_where_others_lie_is_in_no_ground():
    lands = np.argmax(falling() >= 80)
    bounces = np.minimum(falling(), 80 - 0.5 * (falling()[lands : lands + 1] - 22) * np.sin(np.arange(40) / 6) ** 2)
    bounces[:lands] = falling()[:lands]
    assert strength(interpenetration(fallen(bounces, 80))) < 0.2


def test_a_flight_that_does_not_fall_as_others_do_breaks_gravity(evidence):
    other = moving(36, (100.0, 20.0), (-8.0, 8.0), (0.0, 100.0))
    alike = evidence("alike", Drawn(thrown(), "disc"), Drawn(other, "disc", colour=BLUE))
    light = evidence(
        "light", Drawn(thrown(), "disc"), Drawn(moving(36, (100, 78), (-8, 8), (0, -70)), "disc", colour=BLUE)
    )
    assert strength(gravity(alike)) < 0.3
    assert strength(gravity(light)) > 0.4


@pytest.mark.parametrize("shape", [(1, 32, 32), (2, 8, 8), (9, 8, 8), (30, 24, 40)])
@pytest.mark.parametrize("kind", ["black", "noise"])
def test_whatever_comes_gets_an_answer_or_a_reason(shape, kind):
    rng = np.random.default_rng(0)
    frames = np.zeros((*shape, 3), np.uint8) if kind == "black" else rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
    clip = gather(ClipInput(kind, frames, 12.0))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for detector in DETECTORS:
            finding = detector(clip)
            assert finding.score is not None or finding.reason
            assert strength(finding) < 0.8
