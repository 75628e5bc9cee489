"""Captions by vision-language models of transformers: with a chat template, and those that describe one picture."""

import shutil

import numpy as np
import pytest

from kinora.captioning.expand import expand, open_rewriter
from kinora.captioning.hf import HFWriter
from kinora.captioning.writers import PROMPT, CaptionConfig, open_writer
from kinora.errors import KinoraError

CLIPS = ("red", "blue", "green", "blue", "red")


@pytest.fixture
def clips(picture) -> list[np.ndarray]:
    """Clips that begin in green and end in the colour of `CLIPS`."""
    chance = np.random.default_rng(7)
    return [
        np.stack([picture("green" if n < count // 2 else colour, chance, 40) for n in range(count)])
        for colour, count in zip(CLIPS, (9, 1, 4, 9, 1), strict=True)
    ]


@pytest.mark.parametrize("kind", ["llava", "blip", "vision-encoder-decoder"])
def test_what_a_model_sees_is_what_it_says(hf_language, clips, kind):
    writer = open_writer(CaptionConfig(writer=f"hf:{hf_language(kind)}", frames=3, prompt="look"))
    if kind != "llava":  # one that takes no instructions is given none
        writer = open_writer(CaptionConfig(writer=f"hf:{hf_language(kind)}", frames=3))
        assert writer.prompt == ""
    assert isinstance(writer, HFWriter)
    assert (writer.source, writer.model) == ("hf", f"hf:{hf_language(kind)}")
    together = writer.write(clips, [8.0, 0.0, 8.0, 8.0, 0.0])
    assert [one.caption for one in together] == [f"a {colour} picture" for colour in CLIPS]
    assert all(0.5 < one.confidence <= 1 for one in together)
    for clip, one in zip(clips, together, strict=True):  # as alone
        (alone,) = writer.write([clip], [8.0])
        assert alone.caption == one.caption
        assert alone.confidence == pytest.approx(one.confidence, abs=0.05)


def test_one_that_takes_instructions_has_its_own_unless_the_recipe_says_another(hf_language):
    assert HFWriter(CaptionConfig(writer=f"hf:{hf_language('llava')}")).prompt == PROMPT


def test_what_cannot_caption_is_refused_in_one_sentence(hf_language, tmp_path):
    with pytest.raises(KinoraError, match="is a model of text alone"):
        HFWriter(CaptionConfig(writer=f"hf:{hf_language('llama')}"))
    with pytest.raises(KinoraError, match="there is no folder"):
        HFWriter(CaptionConfig(writer=f"hf:{tmp_path / 'none'}"))
    shutil.copytree(hf_language("blip"), tmp_path / "broken")
    (tmp_path / "broken" / "model.safetensors").write_bytes(b"")
    with pytest.raises(KinoraError, match=r"the language model hf:\S+broken cannot be read"):
        HFWriter(CaptionConfig(writer=f"hf:{tmp_path / 'broken'}"))


def test_a_text_model_may_put_prompts_into_the_style_of_captions(hf_language):
    """This one is untrained: what it says keeps no word of the prompt, so that the prompt is used as it is."""
    rewrite = open_rewriter(CaptionConfig(expander=f"hf:{hf_language('llama')}", most_tokens=8))
    assert rewrite is not None
    assert isinstance(rewrite("a picture"), str)
    assert expand("a cat jumps over a box", rewrite) == "a cat jumps over a box"
