"""Accuracy counts exactly the attributes that the truth names, and exactly the words that say something."""

from kinora.captioning.accuracy import (
    accuracy,
    accuracy_note,
    compare,
    content_words,
    is_unfounded,
    unfounded_words,
    word_accuracy,
    wrong_attributes,
)
from kinora.worlds import Attributes

RED = Attributes((("red", "circle"),), "grey", "right", "slow")
DOG = "A brown dog runs across the wet grass, and it is chasing two balls."


def test_each_attribute_is_judged_by_itself():
    right = {"colour": True, "shape": True, "count": True, "background": True, "motion": True, "speed": True}
    assert compare("A red circle moves slowly to the right on a grey background.", RED) == right
    written = "A red square moves quickly to the right on a black background."
    assert compare(written, RED) == right | {"shape": False, "speed": False, "background": False}
    assert not any(compare("Something else entirely.", RED).values())
    assert wrong_attributes(written, RED) == ["shape", "background", "speed"]
    assert accuracy_note(written, RED).startswith("Wrong: shape, background, speed. Truth: A red circle")


def test_what_the_truth_leaves_open_is_not_measured():
    at_rest = Attributes((("red", "circle"),), "grey")
    assert set(compare("A red circle on a grey background.", at_rest)) == {"colour", "shape", "count", "background"}
    measured = accuracy([("A red circle on a grey background.", at_rest), ("A blue circle moves slowly right.", RED)])
    counts = {"colour": 2, "shape": 2, "count": 2, "background": 2, "motion": 1, "speed": 1, "camera": 0}
    assert measured.measured == counts
    assert measured.shares()["colour"] == 0.5
    assert measured.metrics()["measured_motion"] == 1.0
    assert accuracy([]).shares() == {}
    assert accuracy([]).rows()[0]["right"] == "not measured"


def test_the_order_of_objects_does_not_matter():
    truth = Attributes((("red", "circle"), ("blue", "square")), None, "collide")
    assert all(compare("A blue square collides with a red circle.", truth).values())
    assert not compare("A blue square.", truth)["count"]


def test_forms_of_a_word_are_one_and_words_that_say_nothing_are_none():
    assert content_words("It is on the, and of a.") == set()
    for forms in ("swims swimming swim", "run runs running", "ball balls", "jump jumps jumped", "lady's lady"):
        assert len(content_words(forms)) == 1, forms
    assert len(content_words("red bed")) == 2
    assert content_words("Der Hund läuft.") == content_words("der hund läuft")


def test_words_are_compared_with_what_a_person_wrote():
    assert unfounded_words("A dog chases a ball on grass.", DOG) == []
    assert not is_unfounded("A dog chases a ball on grass.", DOG)
    assert is_unfounded("A white circle moves upward.", DOG)
    assert unfounded_words("A cat runs.", DOG) == ["cat"]
    assert is_unfounded("A cat runs.", DOG)
    assert not is_unfounded("A dog runs across green grass.", DOG), "one of five words is another"
    assert is_unfounded("It is there.", DOG), "nothing said is not right"
    measured = word_accuracy([("A cat runs.", DOG), ("A dog.", DOG)])
    words = len(content_words(DOG))
    assert measured.metrics() == {
        "word_precision": 2 / 3, "word_recall": 2 / (2 * words), "measured_words": 2.0,
    }  # fmt: skip
    assert word_accuracy([]).metrics() == {"measured_words": 0.0}
