"""Sentences are read back as what they say, however a person writes them."""

import itertools

import pytest

from kinora.worlds import BACKGROUNDS, PALETTE, SHAPES, WORLDS, Attributes, parse, sentences, understood
from kinora.worlds.language import CAMERAS


def test_every_single_object_sentence_is_read_back_and_no_two_are_alike():
    seen = set()
    alone = [world for world in WORLDS.values() if world.things in (None, 1)]
    motions = [
        (shape, motion, speed, camera)
        for world in alone
        for motion in world.motions
        for shape in world.shapes or SHAPES
        for speed in world.speeds
        for camera in (None, *(CAMERAS if motion not in world.fixed else ()))
    ]
    for colour, background, (shape, motion, speed, camera) in itertools.product(PALETTE, BACKGROUNDS, motions):
        said = Attributes(((colour, shape),), background, motion, speed, camera)
        for sentence in sentences(said):
            assert parse(sentence).objects == said.objects
            assert parse(sentence).motion == motion
            assert parse(sentence).speed == speed
            assert parse(sentence).camera == camera
        assert parse(sentences(said)[0]) == said
        seen.add(sentences(said)[0])
    assert len(seen) == len(PALETTE) * len(BACKGROUNDS) * len(motions)


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        ("red circle falling on grey", Attributes((("red", "circle"),), "grey", "fall")),
        ("On a black backdrop, a BLUE ball drops!", Attributes((("blue", "circle"),), "black", "fall")),
        ("a green box is tossed up and to the left", Attributes((("green", "square"),), None, "thrown left")),
        ("yellow triangle going quickly upwards", Attributes((("yellow", "triangle"),), None, "up", "fast")),
        ("two red circles and a blue square", Attributes((("red", "circle"),) * 2 + (("blue", "square"),))),
        ("a circle that is purple", Attributes((("purple", "circle"),))),
        ("a red circle on a white background", Attributes((("red", "circle"),))),
        ("a square rests", Attributes(((None, "square"),), None, "still")),
        ("something red", Attributes((("red", None),))),
        ("red ball passes left behind a wall", Attributes((("red", "circle"), (None, "wall")), None, "behind left")),
        ("a red disc and a blue box collide", Attributes((("red", "circle"), ("blue", "square")), None, "collide")),
        ("white boxes", Attributes((("white", "square"),))),
        ("a cube falls and bounces", Attributes(((None, "square"),), None, "bounce")),
        ("balls bouncing around", Attributes(((None, "circle"),), None, "around")),
        ("the camera orbits left around a pyramid", Attributes(((None, "triangle"),), None, "orbit left")),
        ("a paddle plays with a red ball", Attributes(((None, "paddle"), ("red", "circle")), None, "play")),
        ("the camera zooms in, a red ball falls", Attributes((("red", "circle"),), None, "fall", None, "zooms in")),
        # Natural English says nothing of motions.
        ("a train runs down a track past a white wall", Attributes((("white", "wall"),))),
        ("a hand mixes up cake batter in a red bowl", Attributes((("red", None),))),
    ],
)  # fmt: skip
def test_loose_prompts(prompt, said):
    assert parse(prompt) == said


@pytest.mark.parametrize("prompt", ["", "a cat plays the piano", "...", "日本語", "3.14"])
def test_prompts_about_nothing_known(prompt):
    assert parse(prompt) is None


def test_several_objects_share_a_verb():
    said = Attributes((("red", "circle"), ("blue", "square")), "grey", "right", "slow")
    assert sentences(said)[0] == "A red circle and a blue square move slowly to the right on a grey background."
    assert parse(sentences(said)[0]) == said


def test_names_of_colours_and_backgrounds_do_not_overlap_and_look_different():
    assert not set(PALETTE) & set(BACKGROUNDS)
    for a, b in itertools.combinations([*PALETTE.values(), *BACKGROUNDS.values()], 2):
        least = 80 if a in BACKGROUNDS.values() and b in BACKGROUNDS.values() else 110
        assert sum((x - y) ** 2 for x, y in zip(a, b, strict=True)) ** 0.5 > least, (a, b)


@pytest.mark.parametrize(
    ("prompt", "whole"),
    [
        ("a red ball rolls", False),
        ("a red ball falls", True),
        ("two red balls and a blue cube", True),
        ("a red ball on a white background", False),
        ("a cat jumps over a box", False),
        ("", True),
    ],
)
def test_what_is_understood(prompt, whole):
    assert understood(prompt) == whole
