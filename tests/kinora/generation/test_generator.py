"""Clips have the size, length, seed and conditioning frames that were asked for."""

from dataclasses import replace

import numpy as np
import pytest

from kinora.errors import KinoraError, UsageError
from kinora.generation import ClipFormat, GenerationRequest
from kinora.generation import generator as module
from kinora.media import read_metadata, write_video

VIDEO = np.random.default_rng(0).integers(0, 255, (21, 24, 40, 3), dtype=np.uint8)
TEXT = GenerationRequest("A red circle moves", 16, 24, 9, seed=5)


def close(a: np.ndarray, b: np.ndarray) -> bool:
    """Tell whether clips are the same up to the rounding of matrix products."""
    return a.shape == b.shape and np.abs(a.astype(int) - b.astype(int)).max() <= 1


def test_clips_have_the_size_and_length_asked_for(generator):
    requests = [TEXT, replace(TEXT, width=40, frames=1), replace(TEXT, height=17, frames=7)]
    clips = generator.generate(requests)
    assert [clip.shape for clip in clips] == [(9, 24, 16, 3), (1, 24, 40, 3), (7, 17, 16, 3)]
    assert all(clip.dtype == np.uint8 for clip in clips)


def test_a_clip_depends_on_its_seed_and_not_on_its_neighbours(generator, monkeypatch):
    alone = generator.generate([TEXT])[0]
    others = [replace(TEXT, seed=6), replace(TEXT, width=32, prompt="a blue square"), TEXT]
    together = generator.generate(others)
    assert close(together[2], alone)
    assert not close(together[0], alone)
    monkeypatch.setattr(module, "TOKENS_AT_ONCE", 1)  # each in a pack of its own
    assert all(close(a, b) for a, b in zip(generator.generate(others), together, strict=True))


def test_the_prompt_matters(generator):
    assert not close(generator.generate([replace(TEXT, prompt="a blue square")])[0], generator.generate([TEXT])[0])


def test_steps_are_counted_over_all_packs(generator, monkeypatch):
    monkeypatch.setattr(module, "TOKENS_AT_ONCE", 1)
    seen = []
    generator.generate([TEXT, TEXT], lambda step: seen.append((step.done, step.steps)))
    assert seen == [(step, 8) for step in range(1, 9)]


def test_short_prompts_are_expanded_as_far_as_the_model_knows_the_words(generator):
    assert generator.caption("red ball on grey") == "A red circle on a grey background."
    assert generator.caption("a purple ball") == "a purple ball"  # it never met purple


def test_a_call_makes_a_clip_and_fills_in_what_is_left_open(generator, tmp_path):
    generator.usual = ClipFormat(16, 24, 9, 12.0)
    clip = generator("a red circle", seed=5)
    assert (clip.frames.shape, clip.fps, clip.prompt) == ((9, 24, 16, 3), 12.0, "a red circle")
    assert generator("a red circle", image=VIDEO[0, :21, :30]).frames.shape == (9, 21, 30, 3)
    asked = generator("a red circle", size=(24, 16), frames=5, fps=6.0, seed=5)
    assert close(asked.frames, generator.generate([GenerationRequest("a red circle", 24, 16, 5, 6.0, 5)])[0])
    write_video(tmp_path / "v.mp4", VIDEO, 15)
    longer = generator("a red circle", video=tmp_path / "v.mp4", direction="backward")
    assert (longer.fps, longer.frames.shape[1:3]) == (15.0, (24, 40))
    with pytest.raises(KinoraError, match=r"there is no file .*none\.mp4"):
        generator("a red circle", video=str(tmp_path / "none.mp4"))


def test_a_clip_says_how_it_was_made(generator, tmp_path):
    clip = generator("red ball on grey", size=(16, 16), seconds=1.125, fps=8.0, seed=7)
    assert clip.metadata == read_metadata(clip.save(tmp_path / "x.mp4"))
    assert (
        clip.metadata.items()
        >= {
            "prompt": "red ball on grey",
            "sampled": "A red circle on a grey background.",
            "negative_prompt": "",
            "seed": 7,
            "task": "text",
            "loop": False,
            "model_version": "",
            "width": 16,
            "frames": 9,
            "fps": 8.0,
        }.items()
    )
    assert clip.metadata["sampling"]["steps"] == generator.sampling.steps
    plain = generator("a red circle", size=(16, 16), frames=1, expand=False)
    assert plain.metadata["sampled"] == "a red circle"


def test_words_never_seen_are_refused_unless_allowed(generator):
    with pytest.raises(UsageError, match="'purple'"):
        generator("a purple circle")
    assert len(generator("a purple circle", allow_unknown_words=True, frames=1).frames) == 1


def test_a_prompt_that_would_be_cut_is_refused_with_the_numbers(generator):
    with pytest.raises(KinoraError, match="the prompt has 30 words, and this model reads 24"):
        generator("a red circle " * 10)
    request = GenerationRequest("a red circle " * 10, 16, 16, 1, 8.0, 0)  # as an evaluation by long captions asks
    assert close(*generator.generate([request, replace(request, prompt="a red circle " * 8)]))
