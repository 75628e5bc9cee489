"""Prompt expansion ends in the language of the training captions and loses nothing that was asked for."""

import pytest

from kinora.captioning.expand import expand
from kinora.worlds import WorldsConfig, evaluation_prompts, parse


@pytest.mark.parametrize(
    ("prompt", "expanded"),
    [
        ("red circle falling on grey", "A red circle falls on a grey background."),
        ("blue ball going up", "A blue circle moves slowly upward on a grey background."),
        ("Show me a white box falling on black, please", "A white square falls on a black background."),
        ("a triangle", "A red triangle on a grey background."),
        ("a white box is tossed to the right", "A white square is thrown to the right on a grey background."),
        ("a fluffy red circle falls in Paris", "A red circle falls on a grey background. fluffy Paris"),
        ("A cat plays the piano.", "A cat plays the piano."),
        ("", ""),
    ],
)  # fmt: skip
def test_expansion(prompt, expanded):
    assert expand(prompt) == expanded


def test_captions_expand_to_themselves():
    for prompt in evaluation_prompts(WorldsConfig(), 64, seed=1):
        assert expand(prompt.prompt) == prompt.prompt
        assert parse(expand(prompt.prompt)) == prompt.attributes
