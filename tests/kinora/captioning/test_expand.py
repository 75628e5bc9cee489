"""Prompt expansion ends in the language of the training captions and loses nothing that was asked for."""

import json

import pytest

from kinora.captioning.expand import expand
from kinora.worlds import WORLDS, WorldsConfig, evaluation_prompts, parse
from kinora.worlds.language import CAMERAS


@pytest.mark.parametrize(
    ("prompt", "expanded"),
    [
        ("red circle falling on grey", "A red circle falls on a grey background."),
        ("blue ball going up", "A blue circle moves slowly upward on a grey background."),
        ("Show me a white box falling on black, please", "A white square falls on a black background."),
        ("a triangle", "A red triangle on a grey background."),
        ("a white box is tossed to the right", "A white square is thrown to the right on a grey background."),
        ("a red ball falls and bounces", "A red circle falls and bounces on a grey background."),
        ("red ball bouncing around", "A red circle bounces slowly around on a grey background."),
        ("a red ball moves left as the camera zooms in", "a red ball moves left as the camera zooms in"),
        (
            "a blue ball moves left while the camera pans right",
            "A blue circle moves slowly to the left on a grey background, while the camera pans right.",
        ),
        ("a green brush paints to the left", "A green brush paints a line to the left on a grey background."),
        (
            "the camera orbits left around a box",
            "The camera circles to the left around a red cube on a grey background.",
        ),
        ("a paddle plays with a ball", "A white paddle plays with a red ball on a grey background."),
        ("a red ball collides", "A red circle collides with a blue square on a grey background."),
        ("three boxes", "A red square, a blue square and a green square on a grey background."),
        ("a brush paints", "A red brush paints a line to the right on a grey background."),
        ("a box passes behind a wall", "A red square passes to the right behind a blue wall on a grey background."),
        ("a cat jumps over a box", "a cat jumps over a box"),
        ("a fluffy red circle falls in Paris", "a fluffy red circle falls in Paris"),
        ("a red ball falls on a white background", "a red ball falls on a white background"),
        ("a red train goes down a track", "a red train goes down a track"),
        ("A cat plays the piano.", "A cat plays the piano."),
        ("", ""),
    ],
)  # fmt: skip
def test_expansion(prompt, expanded):
    assert expand(prompt) == expanded


WHOLE = WorldsConfig(
    worlds=tuple(WORLDS), frames=(17,), objects=(1, 2, 3), look="shaded", cameras=("still", *CAMERAS), held_out=96
)


@pytest.mark.parametrize("config", [WorldsConfig(), WHOLE], ids=["default", "all worlds"])
def test_captions_expand_to_themselves(config):
    for prompt in evaluation_prompts(config, 96, seed=1):
        assert expand(prompt.prompt) == prompt.prompt
        assert parse(expand(prompt.prompt)) == prompt.attributes


@pytest.mark.parametrize(
    "prompt",
    [
        "a bobsled goes down a track",
        "two hands pour the batter up cake tins",
        "a ball of yarn",
        "a man in a red shirt walks left",
        "a large red ball falls",  # how large would be lost
    ],
)
def test_natural_english_passes_unchanged(prompt):
    assert expand(prompt) == prompt


def test_what_people_say_of_natural_clips_passes_unchanged(shared_media):
    rows = [json.loads(line) for line in (shared_media / "natural" / "captions.jsonl").read_text().splitlines()]
    assert len(rows) > 50
    assert [row["caption"] for row in rows if expand(row["caption"]) != row["caption"]] == []
