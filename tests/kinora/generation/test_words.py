"""Words that a model never saw are named, with the nearest that it knows."""

import pytest

from kinora.errors import UsageError
from kinora.generation.words import refuse_unknown, unknown_words
from kinora.models.text_encoder import SPECIAL

KNOWN = (
    *("<pad>", "<unknown>", "a", "red", "blue", "circle", "square", "on", "grey", "background"),
    *("moves", "slowly", "to", "the", "left"),
)


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ("a red circle", []),
        ("a red ball", []),  # expanding says it as "circle"
        ("please make me a video of a red ball", []),
        ("a dragon", ["dragon"]),
        ("a red dragon, a DRAGON roars", ["dragon", "roars"]),
        ("a red ball and a dragon", ["ball", "and", "dragon"]),  # not wholly of the worlds: it stays as it is
        ("a green ball", ["green"]),  # "ball" would be known
        ("<unknown> <pad>", ["unknown", "pad"]),
    ],
)
def test_words_that_expansion_does_not_make_known_are_unknown(prompt, words):
    assert unknown_words(prompt, KNOWN) == words


def test_without_expansion_only_the_vocabulary_counts():
    assert unknown_words("a red ball", KNOWN, expanded=False) == ["ball"]
    with pytest.raises(UsageError, match="'ball'"):
        refuse_unknown("a red ball", KNOWN, expanded=False)


def test_a_model_without_a_vocabulary_has_nothing_to_say():
    assert unknown_words("a dragon", ()) == []
    refuse_unknown("a dragon", ())


def test_a_model_that_learned_no_words_knows_none():
    assert unknown_words("a red ball and a dragon", SPECIAL) == ["a", "red", "ball", "and", "dragon"]
    assert unknown_words("a ball", SPECIAL) == ["a", "ball"]  # expanding says nothing that it knows either
    refuse_unknown("", SPECIAL)
    with pytest.raises(UsageError) as refused:
        refuse_unknown("a ball", SPECIAL)
    assert str(refused.value) == (
        "the model never saw the words 'a' and 'ball'; it learned no words at all: leave them out, or allow unknown "
        "words."
    )


def test_the_sentence_names_them_and_the_nearest():
    refuse_unknown("a red circle", KNOWN)
    with pytest.raises(UsageError) as refused:
        refuse_unknown("a blue cirle and a dragon", KNOWN, expanded=False)
    assert str(refused.value) == (
        "the model never saw the words 'cirle' (did you mean 'circle'?), 'and' and 'dragon'; "
        "say it in words that it knows, or allow unknown words."
    )
    with pytest.raises(UsageError, match=r"the word 'dragon'; say"):
        refuse_unknown("a dragon", KNOWN)


def test_many_and_long_words_stay_one_sentence():
    with pytest.raises(UsageError, match="and 95 more") as refused:
        refuse_unknown(" ".join(f"{'x' * 500}{number}" for number in range(100)), KNOWN)
    assert len(str(refused.value)) < 400
