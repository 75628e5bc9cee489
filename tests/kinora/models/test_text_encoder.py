"""Sentences become numbers and vectors that depend on words and their order, and on nothing else."""

import pytest
import torch

from kinora.errors import UsageError
from kinora.models.text_encoder import SPECIAL, TEXT_ENCODERS, TextEncoderConfig, split_words
from kinora.models.vocabulary import build_vocabulary

CAPTIONS = ["A red circle moves.", "A blue circle rests, slowly."]


def encoder(kind="words", **options):
    torch.manual_seed(0)
    vocabulary = build_vocabulary(map(split_words, CAPTIONS), SPECIAL)
    return TEXT_ENCODERS[kind](TextEncoderConfig(vocabulary, width=16, heads=2, kind=kind, **options)).eval()


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
def test_a_sentence_does_not_depend_on_its_neighbours(kind):
    model = encoder(kind)
    alone = model(model.tokenize(CAPTIONS[:1]))
    together = model(model.tokenize([*reversed(CAPTIONS), "", CAPTIONS[0]]))
    torch.testing.assert_close(together.words[-1, : alone.words.shape[1]], alone.words[0])
    torch.testing.assert_close(together.pooled[-1], alone.pooled[0])


@pytest.mark.parametrize("kind", TEXT_ENCODERS)
def test_word_order_matters(kind):
    model = encoder(kind)
    a, b = model(model.tokenize(["red circle a", "circle red a"])).pooled
    assert (a - b).abs().max() > 1e-3


@pytest.mark.parametrize("kind", TEXT_ENCODERS)
def test_the_empty_sentence_is_one_learned_vector(kind):
    model = encoder(kind)
    text = model(model.tokenize([""]))
    assert text.mask.sum() == 1
    assert text.pooled.isfinite().all()
    assert text.words.shape == (1, 1, model.config.width)
    text.pooled.sum().backward()
    assert any(weight.grad is not None and weight.grad.any() for weight in model.parameters())


@pytest.mark.parametrize("kind", TEXT_ENCODERS)
def test_every_sentence_is_encoded(kind):
    model = encoder(kind)
    text = model(model.tokenize(["zebra " * 99, "日本語", "...", ""]))
    assert text.words.shape[::2] == (4, model.config.width)
    assert text.mask.any(dim=1).all()
    assert text.pooled.isfinite().all()


def test_an_unknown_kind_is_one_sentence():
    with pytest.raises(UsageError, match="no text encoder 'runes'; choose from words"):
        TextEncoderConfig(kind="runes")


def test_long_and_unknown_sentences_are_encoded():
    model = encoder(max_words=4)
    assert model.tokenize(["zebra red " * 9]).tolist() == [[1, model.token_ids["red"], 1, model.token_ids["red"]]]
    assert model.unknown_words("a zebra") == ["zebra"]
