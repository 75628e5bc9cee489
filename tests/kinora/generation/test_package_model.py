"""The model that comes with the package knows something: its clips show what the prompts say."""

import numpy as np
import pytest

from evaluation.evaluator import judge
from evaluation.findings import ClipInput
from kinora.generation import GenerationRequest, VideoGenerator
from kinora.generation.reference import PLACE, read_version

PROMPTS = {
    "red": "a red ball falls and bounces",
    "green": "A green circle moves slowly to the right on a grey background.",
    "blue": "A blue square moves slowly upward on a grey background.",
}
SEEDS = (1, 2, 3)


@pytest.fixture(scope="module")
def clips() -> dict[str, list[np.ndarray]]:
    (folder,) = (path.parent for path in PLACE.glob("*/lineage.json"))
    generator = VideoGenerator.from_version(read_version(folder).path)
    usual = generator.usual
    requests = [
        GenerationRequest(prompt, usual.width, usual.height, usual.frames, usual.fps, seed=seed)
        for prompt in PROMPTS.values()
        for seed in SEEDS
    ]
    made = iter(generator.generate(requests))
    return {colour: [next(made) for _ in SEEDS] for colour in PROMPTS}


def test_what_is_made_has_the_colour_that_was_asked_for(clips):
    for channel, colour in enumerate(PROMPTS):
        values = np.stack(clips[colour]).astype(int)
        others = [other for other in range(3) if other != channel]
        stands_out = values[..., channel] - values[..., others].max(axis=-1) > 60
        wrong = values[..., others].max(axis=-1) - values[..., channel] > 60
        assert 0.01 < stands_out.mean() < 0.4, f"{colour}: {stands_out.mean():.1%} of the pixels are"
        assert wrong.mean() < 0.25 * stands_out.mean(), f"{colour}: {wrong.mean():.1%} of the pixels are another"


def test_most_clips_show_exactly_what_was_asked_for(clips):
    right = []
    for colour, prompt in PROMPTS.items():
        for clip in clips[colour]:
            parts = judge(ClipInput("", clip, 8.0, prompt))["prompt_mismatch"].parts
            right.append(parts.get("objects") == parts.get("colour") == 1.0)
    assert sum(right) > len(right) / 2, f"{sum(right)} of {len(right)} clips"


def test_what_is_made_moves(clips):
    for colour, some in clips.items():
        for clip in some:
            assert np.abs(np.diff(clip.astype(int), axis=0)).mean() > 0.3, colour
