"""The model that comes with the package knows something: colours are those that the prompt names."""

import numpy as np
import pytest

from kinora.generation import GenerationRequest, VideoGenerator
from kinora.generation.reference import PLACE, read_version

PROMPTS = {
    "red": "a red ball falls and bounces",
    "green": "A green circle moves slowly to the right on a grey background.",
    "blue": "A blue square moves slowly upward on a grey background.",
}


@pytest.fixture(scope="module")
def clips() -> dict[str, np.ndarray]:
    (folder,) = (path.parent for path in PLACE.glob("*/lineage.json"))
    generator = VideoGenerator.from_version(read_version(folder).path)
    requests = [
        GenerationRequest(prompt, generator.usual.width, generator.usual.height, 17, generator.usual.fps, seed=1)
        for prompt in PROMPTS.values()
    ]
    return dict(zip(PROMPTS, generator.generate(requests), strict=True))


def test_what_is_made_has_the_colour_that_was_asked_for(clips):
    for channel, colour in enumerate(PROMPTS):
        values = clips[colour].astype(int)
        others = [other for other in range(3) if other != channel]
        stands_out = values[..., channel] - values[..., others].max(axis=-1) > 60
        wrong = values[..., others].max(axis=-1) - values[..., channel] > 60
        assert 0.01 < stands_out.mean() < 0.4, f"{colour}: {stands_out.mean():.1%} of the pixels are"
        assert wrong.mean() < 0.25 * stands_out.mean(), f"{colour}: {wrong.mean():.1%} of the pixels are another"


def test_what_is_made_moves(clips):
    for colour, clip in clips.items():
        assert np.abs(np.diff(clip.astype(int), axis=0)).mean() > 0.3, colour
