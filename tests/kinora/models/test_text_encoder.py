"""Sentences become numbers and vectors that depend on words and their order, and on nothing else."""

import torch

from kinora.models.text_encoder import SPECIAL, TextEncoder, TextEncoderConfig, split_words
from kinora.models.vocabulary import build_vocabulary

CAPTIONS = ["A red circle moves.", "A blue circle rests, slowly."]


def encoder(**options):
    torch.manual_seed(0)
    return TextEncoder(
        TextEncoderConfig(build_vocabulary(map(split_words, CAPTIONS), SPECIAL), width=16, heads=2, **options)
    ).eval()


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


def test_a_sentence_does_not_depend_on_its_neighbours():
    model = encoder()
    alone = model(model.tokenize(CAPTIONS[:1]))
    together = model(model.tokenize([*reversed(CAPTIONS), "", CAPTIONS[0]]))
    torch.testing.assert_close(together.words[-1, :4], alone.words[0])
    torch.testing.assert_close(together.pooled[-1], alone.pooled[0])


def test_word_order_matters():
    model = encoder()
    a, b = model(model.tokenize(["red circle a", "circle red a"])).pooled
    assert (a - b).abs().max() > 1e-3


def test_the_empty_sentence_is_a_learned_place_of_its_own():
    model = encoder()
    text = model(model.tokenize([""]))
    assert text.mask.sum() == 1
    assert text.pooled.isfinite().all()
    text.pooled.sum().backward()
    assert model.empty.grad is not None


def test_long_and_unknown_sentences_are_encoded():
    model = encoder(max_words=4)
    assert model.tokenize(["zebra red " * 9]).tolist() == [[1, model.token_ids["red"], 1, model.token_ids["red"]]]
    assert model.unknown_words("a zebra") == ["zebra"]
