"""The laws of bounces, strokes, projection and the game, each against an independent computation."""

import itertools

import numpy as np
import pytest

from kinora.worlds import GRAVITY, render, simulate
from kinora.worlds.game import PADDLE_HALF, PADDLE_Y, SIZE, WALL_WIDTH, court
from kinora.worlds.motion import RESTITUTION, reach
from kinora.worlds.orbit import AIM, DISTANCE, ELEVATION, FOCAL, Orbit
from kinora.worlds.painter import stroke_distance
from kinora.worlds.scene import VX, VY, X, Y


@pytest.mark.parametrize("shape", ["circle", "square", "triangle"])
def test_a_bounce_leaves_its_share_of_the_velocity(scene_of, shape):
    for seed in range(3):
        scene = scene_of("bounce", seed=seed, things=(("red", shape),))
        below = reach(scene.bodies[0], 1)[0]
        states = simulate(scene, 8 * 2000, 2000.0)[:, 0]
        # An independent integration: exact flight between frames, reflection where the floor is passed.
        height, speed, step, places = states[0, Y] - below, states[0, VY], 1 / 2000.0, []
        for _ in range(len(states)):
            places.append(height)
            height, speed = height + speed * step - GRAVITY * step**2 / 2, speed - GRAVITY * step
            if height < 0 and speed < 0:
                height, speed = -height * RESTITUTION, -speed * RESTITUTION
        assert np.abs(states[:, Y] - below - places).max() < 5e-3
        assert (states[:, Y] - below > -1e-9).all()
        energy = states[:, VY] ** 2 / 2 + GRAVITY * (states[:, Y] - below)
        levels = np.unique(energy.round(6))[::-1]
        assert np.allclose(levels[1:4] / levels[:3], RESTITUTION**2, atol=1e-3)
        late = simulate(scene, 2, 1 / 600.0)[1, 0]
        assert np.allclose(late[[Y, VY]], [below, 0]), "it rests on the floor in the end"


def test_one_thing_that_bounces_around_is_reflected_by_the_edges(scene_of):
    for seed, shape in itertools.product(range(3), ("circle", "triangle")):
        scene = scene_of("around", seed=seed, things=(("red", shape),), width=1.5)
        body = scene.bodies[0]
        states = simulate(scene, 60 * 8, 8.0)[:, 0]
        t = np.arange(len(states)) / 8.0
        for axis, extent, start, velocity in ((0, 1.5, body.x, body.vx), (1, 1.0, body.y, body.vy)):
            low, high = reach(body, axis)[0], extent - reach(body, axis)[1]
            # A triangle wave, unfolded: its distance from the nearest multiple of twice the room.
            phase = (start - low + velocity * t) / (high - low)
            expected = low + (high - low) * np.abs(phase - 2 * np.round(phase / 2))
            assert np.allclose(states[:, [X, Y][axis]], expected, atol=1e-9)
        assert np.allclose(np.hypot(states[:, VX], states[:, VY]), np.hypot(body.vx, body.vy))


def test_three_things_bounce_off_each_other_for_a_minute_and_keep_their_energy(scene_of):
    things = (("red", "circle"), ("blue", "square"), ("green", "triangle"))
    scene = scene_of("around", things=things)
    states = simulate(scene, 60 * 8, 8.0)
    assert (states[:, :, [X, Y]] > 0).all()
    assert (states[:, :, [X, Y]] < 1).all()
    energy = (states[:, :, [VX, VY]] ** 2).sum(axis=(1, 2))
    assert np.allclose(energy, energy[0])
    assert not np.allclose((states[0, :, [VX, VY]] ** 2).sum(axis=0), (states[-1, :, [VX, VY]] ** 2).sum(axis=0))
    for i, j in itertools.combinations(range(3), 2):
        apart = np.linalg.norm(states[:, i, [X, Y]] - states[:, j, [X, Y]], axis=-1)
        assert apart.min() > scene.bodies[i].size + scene.bodies[j].size - 1e-6


@pytest.mark.parametrize("look", ["flat", "shaded"])
@pytest.mark.parametrize("motion", ["paint right", "paint left", "paint up", "paint down"])
def test_a_stroke_follows_the_brush_and_stays(scene_of, staged, motion, look):
    scene = scene_of(motion)
    scene = staged(scene) if look == "shaded" else scene
    states = simulate(scene, 21, 8.0)  # longer than the line takes
    way = states[-1, 0, [X, Y]] - states[0, 0, [X, Y]]
    direction = {"right": (1, 0), "left": (-1, 0), "up": (0, 1), "down": (0, -1)}[motion.split()[1]]
    assert way @ direction > 0.3
    clip = render(scene, states, 32, 32).astype(int)
    red = clip[..., 0] - clip[..., 1:].max(axis=-1) > 25  # where the brush shines, too
    distance, unit = stroke_distance(scene, states, 32, 32)
    must = distance < -0.5 / unit
    assert (must[1:] >= must[:-1]).all(), "paint goes away"
    assert (red | ~must).all(), "what was painted is not seen"
    assert must[-1].sum() > 2 * must[4].sum() > 0
    # Where the brush has been at any time before, its middle has left paint.
    for t, s in itertools.combinations(range(0, 21, 4), 2):
        column, row = int(states[t, 0, X] * 32), int((1 - states[t, 0, Y]) * 32)
        assert red[s, row, column]


@pytest.mark.parametrize("shape", ["circle", "square", "triangle"])
def test_projection_is_that_of_a_pinhole_camera(scene_of, shape):
    scene = scene_of("orbit right", things=(("red", shape),))
    body, world = scene.bodies[0], Orbit()
    times = np.array([0.0, 0.7, 1.9])
    rng = np.random.default_rng(0)
    points = rng.uniform(-0.4, 0.4, (5, 3))
    for t, found in zip(times, world.project(scene, times, points), strict=True):
        # Turn the scene until the camera is on the x axis, then tilt it about y until it looks along z.
        a, e = body.angle + body.spin * t, ELEVATION
        turned = points @ np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
        x, y, z = turned[:, 0], turned[:, 1], turned[:, 2] - AIM
        depth = DISTANCE - (x * np.cos(e) + z * np.sin(e))
        expected = np.stack([y, z * np.cos(e) - x * np.sin(e)], axis=1) * FOCAL / depth[:, None] + 0.5
        assert np.allclose(found, expected)


@pytest.mark.parametrize("shape", ["circle", "square", "triangle"])
@pytest.mark.parametrize("motion", ["orbit right", "orbit left"])
def test_the_solid_is_drawn_where_it_is_projected(scene_of, shape, motion):
    scene = scene_of(motion, things=(("red", shape),), seconds=3.0)
    states = simulate(scene, 9, 4.0)
    clip = render(scene, states, 64, 64).astype(int)
    body, times = scene.bodies[0], np.arange(9) / 4.0
    if shape == "circle":  # its outline: points of the ball at many heights and turns
        s, a = np.meshgrid(np.linspace(-1, 1, 81), np.linspace(0, 2 * np.pi, 80))
        points = 0.25 * np.stack([np.sqrt(1 - s**2) * np.cos(a), np.sqrt(1 - s**2) * np.sin(a), 1 + s], -1).reshape(
            -1, 3
        )
    elif shape == "square":
        points = 0.21 * np.array(list(itertools.product((-1, 1), (-1, 1), (0, 2))))
    else:
        points = np.array([[x, y, 0] for x in (-0.3, 0.3) for y in (-0.3, 0.3)] + [[0, 0, 0.5]])
    seen = Orbit().project(scene, times, points + np.array([body.x, body.y, 0]))
    for frame, corners in zip(clip, seen, strict=True):
        rows, columns = np.nonzero(frame[..., 0] - frame[..., 1:].max(axis=-1) > 70)
        box = np.array([columns.min(), 64 - rows.max() - 1, columns.max() + 1, 64 - rows.min()])
        assert np.abs(box - 64 * np.concatenate([corners.min(axis=0), corners.max(axis=0)])).max() < 2
    azimuths = np.unwrap(Orbit().camera(scene, times)[:, 3])
    assert (np.sign(np.diff(azimuths)) == (1 if motion == "orbit right" else -1)).all()


def test_the_game_keeps_its_rules_for_a_minute(scene_of):
    for seed, width in itertools.product(range(3), (1.0, 1.6)):
        scene = scene_of("play", seed=seed, width=width)
        states = simulate(scene, 60 * 50, 50.0)
        paddle, ball = states[:, 0], states[:, 1]
        (left, right), (low, high) = court(width, 1.0)
        speed = np.hypot(ball[:, VX], ball[:, VY])
        assert np.allclose(speed, speed[0])
        assert (ball[:, X] - SIZE >= WALL_WIDTH - 1e-9).all()
        assert (ball[:, X] + SIZE <= width - WALL_WIDTH + 1e-9).all()
        assert (ball[:, Y] + SIZE <= 1 - WALL_WIDTH + 1e-9).all()
        assert (ball[:, Y] - SIZE >= PADDLE_Y + PADDLE_HALF[1] - 1e-9).all()
        # It turns only at the walls and the paddle, and the paddle is there.
        sides = np.flatnonzero(np.diff(np.sign(ball[:, VX])))
        ends = np.flatnonzero(np.diff(np.sign(ball[:, VY])))
        step = speed[0] / 50.0
        assert (np.minimum(ball[sides, X] - left, right - ball[sides, X]) <= step).all()
        assert (np.minimum(ball[ends, Y] - low, high - ball[ends, Y]) <= step).all()
        returns = ends[ball[ends, VY] < 0]
        assert len(returns) > 15
        assert (np.abs(ball[returns, X] - paddle[returns, X]) <= PADDLE_HALF[0]).all()
        assert (paddle[:, X] - PADDLE_HALF[0] >= WALL_WIDTH - 1e-9).all()
        assert 0.3 < scene.event_s < 1.4
        assert abs(ball[round(scene.event_s * 50), Y] - low) <= step
