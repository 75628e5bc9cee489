"""The flat look is what it always was; the shaded one keeps colours and follows the camera."""

import hashlib

import numpy as np
import pytest

from kinora.errors import UsageError
from kinora.worlds import (
    BACKGROUNDS,
    PALETTE,
    WORLDS,
    WorldsConfig,
    attributes,
    camera_of,
    describe,
    draw_sample,
    evaluation_prompts,
    parse,
    render,
    simulate,
    simulate_prompt,
)
from kinora.worlds.language import CAMERAS
from kinora.worlds.sampling import check, lengths
from kinora.worlds.scene import TIME, X, Y

EIGHT = ("right", "left", "up", "down", "fall", "thrown right", "thrown left", "thrown up")
SMALL = {"sizes": ((24, 24), (32, 24), (20, 28)), "frames": (13, 17), "objects": (1, 2, 3), "spin": 1.0, "seed": 5}
SHADED = WorldsConfig(
    worlds=tuple(WORLDS), sizes=((24, 24), (32, 24)), frames=(17,), objects=(1, 2, 3), look="shaded",
    cameras=("still", *CAMERAS), rates=(10.0,), seed=2,
)  # fmt: skip


@pytest.mark.parametrize(
    ("config", "digest"),
    [
        (WorldsConfig(motions=EIGHT, **SMALL), "6571f0def82ce4d7291d59b10e6bb51d3c808a37cbeb9bcce2a94921a120e32c"),
        (
            WorldsConfig(worlds=("collision", "occlusion", "shatter"), **SMALL),
            "fd997b85ccbbdc7c83d982cfde5edd4b64bf44cb7dcf96163b93d8bc49070e32",
        ),
    ],
    ids=["one alone", "several"],
)
def test_flat_worlds_are_what_they_were_before_there_was_another_look(config, digest):
    found = hashlib.sha256()
    for i in range(24):
        sample = draw_sample(config, np.random.default_rng([1, i]), held_out=i % 3 == 0, image=i % 4 == 1)
        found.update(sample.frames.tobytes() + sample.caption.encode() + sample.short_caption.encode())
    for prompt in evaluation_prompts(config, 6, 2):
        found.update(prompt.prompt.encode() + simulate_prompt(prompt, config).tobytes())
    assert found.hexdigest() == digest


def test_samples_of_everything_agree_with_their_captions_and_come_out_the_same_again():
    seen, rates = set(), set()
    for index in range(60):
        image = index % 5 == 0
        one, same = (
            draw_sample(SHADED, np.random.default_rng([7, index]), held_out=False, image=image) for _ in range(2)
        )
        assert (one.frames == same.frames).all()
        assert parse(one.caption) == one.attributes == attributes(one.scene, image=image)
        assert one.camera.shape == (len(one.frames), len(WORLDS[one.scene.world].camera_columns))
        assert len({body.colour for body in one.scene.bodies if body.named}) == len(one.attributes.objects)
        seen.add((one.scene.world, one.scene.camera))
        rates.add(one.fps)
    assert {world for world, _ in seen} == set(WORLDS)
    assert {camera for _, camera in seen} == {"still", *CAMERAS}
    assert rates == {8.0, 10.0}
    for prompt in evaluation_prompts(SHADED, 12, seed=3):
        assert parse(prompt.prompt) == prompt.attributes
        assert simulate_prompt(prompt, SHADED).shape == (17, prompt.height, prompt.width, 3)


@pytest.mark.parametrize("background", BACKGROUNDS)
@pytest.mark.parametrize("shape", ["circle", "square", "triangle"])
def test_shaded_things_keep_their_colours(shape, background, scene_of, staged):
    for seed, (name, colour) in enumerate(PALETTE.items()):
        scene = staged(scene_of("up", seed=seed, things=((name, shape),), background=background))
        states = simulate(scene, 1, 8.0)
        x, y = states[0, 0, [X, Y]] * 32
        frame = render(scene, states, 32, 32)[0].astype(float)
        names = PALETTE | BACKGROUNDS

        def nearest(rgb, names=names):
            return min(names, key=lambda known: np.linalg.norm(np.subtract(names[known], rgb)))

        inside = frame[31 - round(y) - 2 : 31 - round(y) + 3, round(x) - 2 : round(x) + 3].reshape(-1, 3)
        assert nearest(np.median(inside, axis=0)) == name, colour
        assert nearest(np.median(frame[:, [0, -1]].reshape(-1, 3), axis=0)) == background


@pytest.mark.parametrize("camera", CAMERAS)
def test_what_the_camera_sees_moves_as_its_path_says(scene_of, staged, camera):
    scene = staged(scene_of("shatter", things=(("red", "circle"),)), camera)
    states = simulate(scene, 17, 8.0)[:4]  # before it breaks
    path = camera_of(scene, states)
    clip = render(scene, states, 64, 64).astype(float)
    for frame, (x, y, zoom), state in zip(clip, path, states[:, 0], strict=True):
        red = frame[..., 0] - frame[..., 1:].max(axis=-1) > 70
        rows, columns = np.nonzero(red)
        expected = ((state[X] - x) * zoom + 0.5) * 64, (0.5 - (state[Y] - y) * zoom) * 64
        assert np.abs(np.subtract((columns.mean() + 0.5, rows.mean() + 0.5), expected)).max() < 1.0
        assert abs(red.sum() - np.pi * (scene.bodies[0].size * zoom * 64) ** 2) < 0.12 * red.sum()
    assert describe(scene)[0].endswith(f", while the camera {camera}.")
    # The world's frame stays in the picture, and its floor at the lower edge.
    ends = camera_of(scene, simulate(scene, 17, 8.0))
    assert (ends[:, 0] - 0.5 / ends[:, 2] < 1e-9).all()
    assert (ends[:, 0] + 0.5 / ends[:, 2] > 1 - 1e-9).all()
    assert np.allclose(ends[:, 1] - 0.5 / ends[:, 2], 0)


def test_the_background_moves_with_the_camera(scene_of, staged):
    scene = staged(scene_of("collide", background="brown"), "pans right")
    states = simulate(scene, 17, 8.0)
    clip = render(scene, states, 64, 64).astype(float)[:, :12].mean(axis=-1)  # above the things
    path = camera_of(scene, states)
    way = (path[-1, 0] - path[0, 0]) * path[0, 2] * 64
    shifts = range(-20, 21)
    scores = [np.corrcoef(clip[0, :, 20 + d : 44 + d].ravel(), clip[-1, :, 20:44].ravel())[0, 1] for d in shifts]
    assert abs(shifts[int(np.argmax(scores))] - way) <= 1
    assert way > 8


def test_any_part_of_a_long_clip_is_drawn_as_in_the_whole(scene_of, staged):
    for motion in ("paint right", "orbit left", "play", "right"):
        scene = staged(scene_of(motion))
        states = simulate(scene, 9, 8.0)
        assert (render(scene, states, 24, 24)[5:] == render(scene, states[5:], 24, 24)).all()
        assert np.allclose(states[:, 0, TIME], np.arange(9) / 8.0)


def test_what_leaves_the_frame_is_shown_in_short_clips():
    config = WorldsConfig(frames=(17, 33, 49), rates=(16.0,))
    assert set(lengths(config, "right")) == {(n, r) for n in (17, 33, 49) for r in (8.0, 16.0)}
    assert set(lengths(config, "fall")) == {(17, 8.0), (33, 16.0)}
    assert set(lengths(config, "bounce")) == {(17, 8.0), (33, 8.0), (49, 8.0), (33, 16.0), (49, 16.0)}
    assert lengths(WorldsConfig(frames=(49,)), "fall") == [(49, 8.0)]


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"look": "glossy"}, "glossy"),
        ({"cameras": ("tilts",), "look": "shaded"}, "tilts"),
        ({"cameras": ("pans right",)}, "look"),
        ({"rates": (0.0,)}, "rates"),
        ({"motions": ("spiral",)}, "spiral"),
        ({"motions": ("collide",)}, "collide"),
    ],
)
def test_what_cannot_be_shown_is_refused_in_one_sentence(change, word):
    with pytest.raises(UsageError, match=word):
        check(WorldsConfig(**change))
