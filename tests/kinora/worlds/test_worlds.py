"""Every world of the registry keeps the interface's promises; each one's physics is checked by a law."""

import numpy as np
import pytest

from kinora.worlds import BACKGROUNDS, GRAVITY, WORLDS, WorldsConfig, describe, draw_sample, parse, render, simulate
from kinora.worlds.figures import outline
from kinora.worlds.language import attributes
from kinora.worlds.scene import ANGLE, VISIBLE, VX, VY, X, Y

MOTIONS = [motion for world in WORLDS.values() for motion in world.motions]


def area(body):
    corners = outline(body)
    following = np.roll(corners, -1, axis=0)
    polygon = abs((corners[:, 0] * following[:, 1] - following[:, 0] * corners[:, 1]).sum()) / 2
    return np.pi * body.size**2 if body.shape == "circle" else polygon


@pytest.mark.parametrize("motion", MOTIONS)
@pytest.mark.parametrize(
    ("width", "height", "frames", "fps"), [(32, 32, 17, 8.0), (40, 24, 33, 16.0), (48, 80, 9, 4.0)]
)
def test_any_size_rate_and_length_shows_the_same_scene(scene_of, motion, width, height, frames, fps):
    unit = min(width, height)
    scene = scene_of(motion, width=width / unit, height=height / unit)
    states = simulate(scene, frames, fps)
    clip = render(scene, states, width, height)
    assert clip.shape == (frames, height, width, 3)
    assert clip.dtype == np.uint8
    twice = simulate(scene, 2 * frames - 1, 2 * fps)[::2]
    assert np.allclose(states[:, :, [X, Y]], twice[:, :, [X, Y]], atol=0.01), "states depend on the frame rate"
    some = states[:: frames // 4]
    large = render(scene, some, 4 * width, 4 * height).reshape(-1, height, 4, width, 4, 3).mean(axis=(2, 4))
    assert np.abs(large - clip[:: frames // 4]).mean() < (0.5 if scene.look == "flat" else 2.0), (
        "a small frame is not the average of a large one"
    )


@pytest.mark.parametrize("motion", MOTIONS)
def test_captions_are_read_back(scene_of, motion):
    for seed in range(5):
        scene = scene_of(motion, seed=seed)
        caption, short = describe(scene)
        assert parse(caption) == attributes(scene)
        assert parse(short).motion == motion
        assert len(short) < len(caption)
        still = describe(scene, image=True)[0]
        assert parse(still) == attributes(scene, image=True)


@pytest.mark.parametrize("motion", [m for name in ("uniform", "ballistics") for m in WORLDS[name].motions])
@pytest.mark.parametrize("shape", ["circle", "square", "triangle"])
@pytest.mark.parametrize("size", [(1.0, 1.0), (40 / 24, 1.0), (1.0, 40 / 24)])
def test_single_objects_stay_in_view(scene_of, motion, shape, size):
    for seed in range(5):
        things = (("red", shape),)
        speed = "fast" if motion in WORLDS["uniform"].motions else None
        scene = scene_of(motion, seed=seed, things=things, speed=speed, width=size[0], height=size[1])
        clip = render(scene, simulate(scene, 17, 8.0), round(size[0] * 24), round(size[1] * 24))
        drawn = (np.abs(clip - np.array(BACKGROUNDS["grey"], dtype=float)).max(axis=-1) > 60).sum(axis=(1, 2)) / 24**2
        assert drawn.min() > 0.6 * area(scene.bodies[0]), "more than 40 % of the object is out of view"


def test_ballistics_obeys_the_stated_gravity(scene_of):
    for motion in ("fall", "thrown right", "thrown left", "thrown up"):
        scene = scene_of(motion)
        states = simulate(scene, 17, 8.0)
        acceleration = np.diff(states[:, 0, Y], n=2) * 8.0**2
        assert scene.gravity == GRAVITY
        assert np.allclose(acceleration, -GRAVITY)
        assert np.allclose(np.diff(states[:, 0, X], n=2), 0)
        assert np.allclose(np.diff(states[:, 0, VY]) * 8.0, -GRAVITY)


def test_uniform_motion_has_the_named_direction_and_speed(scene_of):
    directions = {"right": (1, 0), "left": (-1, 0), "up": (0, 1), "down": (0, -1)}
    for motion, direction in directions.items():
        velocities = {}
        for speed in ("slow", "fast"):
            states = simulate(scene_of(motion, speed=speed), 9, 8.0)
            steps = np.diff(states[:, 0, [X, Y]], axis=0) * 8.0
            assert np.allclose(steps, steps[0])
            velocities[speed] = steps[0] @ direction
            assert np.isclose(np.linalg.norm(steps[0]), velocities[speed])
        assert velocities["fast"] > 1.8 * velocities["slow"] > 0


@pytest.mark.parametrize("shapes", [("circle", "circle"), ("square", "triangle"), ("triangle", "circle")])
def test_collision_keeps_momentum_and_does_not_gain_energy(scene_of, shapes):
    for seed in range(4):
        things = (("red", shapes[0]), ("blue", shapes[1]))
        scene = scene_of("collide", seed=seed, things=things)
        states = simulate(scene, 17, 8.0)
        masses = np.array([area(body) for body in scene.bodies])
        momentum = np.einsum("b,tbc->tc", masses, states[:, :, [VX, VY]])
        assert np.allclose(momentum, momentum[0], atol=1e-6)
        energy = np.einsum("b,tbc->t", masses / 2, states[:, :, [VX, VY]] ** 2)
        assert energy[-1] < energy[0] * (1 + 1e-6)
        before, after = states[0, :, VX], states[-1, :, VX]
        assert np.sign(before[0]) != np.sign(before[1])
        assert (after[0] - after[1]) * (before[0] - before[1]) < 0, "they do not bounce"
        close = np.linalg.norm(states[:, 0, [X, Y]] - states[:, 1, [X, Y]], axis=-1).min()
        assert close > 0.1, "they pass through each other"


def test_a_thing_behind_the_wall_is_hidden_and_comes_out(scene_of):
    for motion in WORLDS["occlusion"].motions:
        for shape in ("circle", "square", "triangle"):
            scene = scene_of(motion, things=(("red", shape), ("blue", "square")))
            states = simulate(scene, 17, 8.0)
            clip = render(scene, states, 32, 32).astype(int)
            red = ((clip[..., 0] > 180) & (clip[..., 1] < 90)).sum(axis=(1, 2))
            assert red[0] > 20
            assert red[-1] > 20
            assert red.min() == 0
            assert (states[:, 0, VISIBLE] == 1).all(), "hidden is not gone"


def test_shattering_is_sudden_lasting_and_conserves_area_and_momentum(scene_of):
    for shape in ("circle", "square", "triangle"):
        scene = scene_of("shatter", things=(("red", shape),))
        states = simulate(scene, 17, 8.0)
        whole, pieces = scene.bodies[0], scene.bodies[1:]
        areas = np.array([area(piece) for piece in pieces])
        assert np.isclose(areas.sum(), area(whole), rtol=0.03)
        shown = states[:, :, VISIBLE].astype(bool)
        assert (shown[:, 0] != shown[:, 1:].any(axis=1)).all()
        assert (np.diff(shown[:, 0].astype(int)) <= 0).all(), "it comes together again"
        assert np.allclose(areas @ states[-1, 1:, [VX, VY]].T, 0, atol=1e-9)
        first = np.flatnonzero(~shown[:, 0])[0]
        joined = simulate(scene, 200, 200 / scene.event_s)[-1]  # just before it breaks
        assert np.allclose(areas @ joined[1:, [X, Y]] / areas.sum(), (whole.x, whole.y), atol=0.01)
        assert np.allclose(joined[1:, ANGLE], 0, atol=0.05)
        assert 0 < first < 16


def test_a_share_of_the_training_clips_is_seen_from_near_and_no_other():
    config = WorldsConfig(sizes=((16, 16),), fine_sizes=((32, 32),), fine_share=0.5, frames=(9,), worlds=("uniform",))
    sizes = {
        held_out: [
            draw_sample(config, np.random.default_rng(seed), held_out=held_out).frames.shape[1] for seed in range(40)
        ]
        for held_out in (False, True)
    }
    assert 8 < sizes[False].count(32) < 32
    assert set(sizes[True]) == {16}
