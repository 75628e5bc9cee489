"""Sentences become numbers and vectors that depend on words and their order, and on nothing else."""

import pytest
import torch

from kinora.errors import UsageError
from kinora.models.hf_text_encoder import FrozenTextEncoder
from kinora.models.text_encoder import SPECIAL, TEXT_ENCODERS, TextEncoderConfig, build_text_encoder, split_words
from kinora.models.vocabulary import build_vocabulary

CAPTIONS = ["A red circle moves.", "A blue circle rests, slowly."]


@pytest.fixture
def encoder(hf_text_encoder):
    """Return a text encoder of a kind, that of `hf` being a tiny T5."""

    def build(kind="words", **options):
        torch.manual_seed(0)
        if kind == "hf":
            options |= {"pretrained": f"hf:{hf_text_encoder('t5')}"}
            options["digest"] = FrozenTextEncoder(options["pretrained"], 24).digest
        vocabulary = build_vocabulary(map(split_words, CAPTIONS), SPECIAL)
        return build_text_encoder(TextEncoderConfig(vocabulary, width=16, heads=2, kind=kind, **options)).eval()

    return build


def test_words_are_lower_case_without_punctuation():
    assert split_words("A Red-hot ball, isn't it? 3 of them.") == [
        "a",
        "red",
        "hot",
        "ball",
        "isn't",
        "it",
        "3",
        "of",
        "them",
    ]


def test_vocabulary_is_by_frequency_then_alphabet():
    assert build_vocabulary(map(split_words, CAPTIONS), SPECIAL)[:6] == (*SPECIAL, "a", "circle", "blue", "moves")
    assert len(build_vocabulary(map(split_words, CAPTIONS), SPECIAL, size=3)) == 5


@pytest.mark.parametrize("kind", TEXT_ENCODERS)
def test_a_sentence_does_not_depend_on_its_neighbours(encoder, kind):
    model = encoder(kind)
    alone = model(model.prepare(CAPTIONS[:1]))
    together = model(model.prepare([*reversed(CAPTIONS), "", CAPTIONS[0]]))
    torch.testing.assert_close(together.words[-1, : alone.words.shape[1]], alone.words[0])
    torch.testing.assert_close(together.pooled[-1], alone.pooled[0])


@pytest.mark.parametrize("kind", TEXT_ENCODERS)
def test_word_order_matters(encoder, kind):
    model = encoder(kind)
    a, b = model(model.prepare(["red circle a", "circle red a"])).pooled
    assert (a - b).abs().max() > 1e-3


@pytest.mark.parametrize("kind", TEXT_ENCODERS)
def test_the_empty_sentence_is_one_learned_vector(encoder, kind):
    model = encoder(kind)
    text = model(model.prepare([""]))
    assert text.mask.sum() == 1
    assert text.pooled.isfinite().all()
    assert text.words.shape == (1, 1, model.config.width)
    text.pooled.sum().backward()
    assert any(weight.grad is not None and weight.grad.any() for weight in model.parameters())


@pytest.mark.parametrize("kind", TEXT_ENCODERS)
def test_spaces_are_the_empty_sentence(encoder, kind):
    model = encoder(kind)
    assert not model.prepare(["", " \n"]).any()


def test_without_words_to_learn_every_sentence_is_the_empty_one():
    model = build_text_encoder(TextEncoderConfig(SPECIAL, width=16, heads=2)).eval()
    text = model(model.prepare(["", "A red circle moves.", "zebra"]))
    assert text.mask.shape == (3, 1)
    assert (text.pooled == text.pooled[0]).all()
    assert model.unknown_words("A zebra") == ["a", "zebra"]


@pytest.mark.parametrize("kind", TEXT_ENCODERS)
def test_every_sentence_is_encoded(encoder, kind):
    model = encoder(kind)
    text = model(model.prepare(["zebra " * 99, "日本語", "...", ""]))
    assert text.words.shape[::2] == (4, model.config.width)
    assert text.mask.any(dim=1).all()
    assert text.pooled.isfinite().all()


def test_an_unknown_kind_is_one_sentence():
    with pytest.raises(UsageError, match="no text encoder 'runes'; choose from words"):
        TextEncoderConfig(kind="runes")
    with pytest.raises(UsageError, match="give both"):
        TextEncoderConfig(kind="hf")


@pytest.mark.parametrize("kind", TEXT_ENCODERS)
def test_what_is_prepared_is_zero_where_there_is_nothing(encoder, kind):
    """Sampling makes the empty condition, and training drops captions, by zeros."""
    model = encoder(kind)
    prepared = model.prepare([CAPTIONS[0], "", CAPTIONS[1]])
    assert not prepared[1].any()
    empty = model(torch.zeros_like(prepared))
    torch.testing.assert_close(empty.pooled[0], model(model.prepare([""])).pooled[0])
    torch.testing.assert_close(empty.words[:, 0], model(prepared).words[1:2, 0].expand(3, -1))


@pytest.mark.parametrize("kind", TEXT_ENCODERS)
def test_a_prompt_over_the_limit_is_refused_with_the_numbers(encoder, kind):
    model = encoder(kind, max_words=5)
    model.check_length("A red circle.")
    with pytest.raises(UsageError, match=r"has \d+ \w+, and this model reads 5; say it in fewer"):
        model.check_length("a red circle moves slowly on grey")
    cut = model(model.prepare(["a red circle moves slowly on grey"]))
    assert cut.words.shape[1] == 5


@pytest.mark.parametrize("kind", TEXT_ENCODERS)
def test_words_that_no_caption_held_are_named(encoder, kind):
    assert encoder(kind).unknown_words("a zebra") == ["zebra"]


def test_an_unknown_word_becomes_the_unknown_token(encoder):
    model = encoder(max_words=4)
    red = model.token_ids["red"]
    assert model.prepare(["zebra red " * 9]).tolist() == [[1, red, 1, red]]
