"""Accuracy counts exactly the attributes that the truth names."""

from kinora.captioning.accuracy import accuracy, compare
from kinora.worlds import Attributes

RED = Attributes((("red", "circle"),), "grey", "right", "slow")


def test_each_attribute_is_judged_by_itself():
    right = {"colour": True, "shape": True, "count": True, "background": True, "motion": True, "speed": True}
    assert compare("A red circle moves slowly to the right on a grey background.", RED) == right
    written = "A red square moves quickly to the right on a black background."
    assert compare(written, RED) == right | {"shape": False, "speed": False, "background": False}
    assert not any(compare("Something else entirely.", RED).values())


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
