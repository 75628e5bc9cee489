"""Sentences are read back as what they say, however a person writes them."""

import itertools
import json
import re

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
        ("A large red ball moves slowly right.", Attributes((("red", "circle"),), None, "right", "slow")),
        ("a red ball moves", Attributes((("red", "circle"),), None, "right")),
        ("a blue ball rises slowly", Attributes((("blue", "circle"),), None, "up", "slow")),
        ("a red ball and a blue ball fall", Attributes((("red", "circle"), ("blue", "circle")), None, "fall")),
        ("a video of a brush painting a line down", Attributes(((None, "brush"),), None, "paint down")),
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
    ],
)  # fmt: skip
def test_loose_prompts(prompt, said):
    assert parse(prompt) == said


@pytest.mark.parametrize(
    "prompt",
    [
        *("", "a cat plays the piano", "...", "日本語", "3.14", "on a grey background", "the camera pans right"),
        "a bobsled goes down a track",
        "two hands pour the batter up cake tins",
        "a ball of yarn",
        "a man in a red shirt walks left",
        "a train runs down a track past a white wall",
        "a hand mixes up cake batter in a red bowl",
        "a cat jumps over a box",
        "a red ball on a white background",
        # In words that all are known.
        "the front of a white box",
        "a red ball in a blue box",
        "a video of the back of a wall",
        "a red ball falls, a blue ball moves left",
        "a red ball left",
        "is a red ball falling?",
        "play the video again",
        "drawing a line",
    ],
)
def test_nothing_is_read_in_what_is_not_wholly_the_worlds_language(prompt):
    assert parse(prompt) is None


def test_nothing_is_read_in_what_people_say_of_natural_clips(shared_media):
    rows = [json.loads(line) for line in (shared_media / "natural" / "captions.jsonl").read_text().splitlines()]
    sentences = [part for row in rows for part in (row["caption"], *re.split(r"[.;:,] ?", row["caption"]))]
    assert len(rows) > 50
    assert [sentence for sentence in sentences if parse(sentence) is not None] == []


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
        ("a large red ball falls", False),
        ("", False),
    ],
)
def test_what_is_understood(prompt, whole):
    assert understood(prompt) == whole
