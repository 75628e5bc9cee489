"""Every attribute of a prompt that a clip does not show is found."""

import numpy as np
import pytest

from evaluation.fidelity.prompt import prompt_mismatch
from evaluation.findings import ClipInput
from evaluation.objects.observation import observe
from kinora.worlds import BACKGROUNDS, PALETTE

SLOW = "A red circle moves slowly to the right on a grey background."


def judged(frames, prompt):
    return prompt_mismatch(observe(ClipInput("clip", frames, 8.0, prompt)))


@pytest.fixture
def clip(draw):
    path = {"at": lambda t: (10 + 0.5 * t, 16), "colour": PALETTE["red"]}
    return draw([path], background=BACKGROUNDS["grey"])


def test_a_clip_that_shows_its_prompt_scores_nothing(clip):
    finding = judged(clip, SLOW)
    assert finding.parts == dict.fromkeys(("colour", "shape", "background", "motion", "speed", "objects"), 1.0)
    assert finding.score == 0.0


@pytest.mark.parametrize(
    ("word", "instead", "part"),
    [
        ("red", "blue", "colour"),
        ("circle", "triangle", "shape"),
        ("grey", "black", "background"),
        ("to the right", "to the left", "motion"),
        ("slowly", "quickly", "speed"),
        ("A red circle moves", "A red circle and a blue square move", "objects"),
    ],
)
def test_every_attribute_that_is_wrong_is_found(clip, word, instead, part):
    finding = judged(clip, SLOW.replace(word, instead))
    assert finding.parts[part] == 0.0
    assert finding.score > 0
    assert any(part in f.explanation for f in finding.failures)


def test_an_extra_object_is_located(draw):
    path = {"at": lambda t: (8 + 0.4 * t, 16), "colour": PALETTE["red"]}
    extra = {"at": lambda t: (25, 8) if 5 <= t <= 9 else None, "colour": PALETTE["green"], "radius": 5}
    finding = judged(draw([path, extra], background=BACKGROUNDS["grey"]), SLOW)
    assert finding.parts["objects"] == pytest.approx(12 / 17)
    assert [(f.start_frame, f.end_frame) for f in finding.failures] == [(5, 9)]


def test_two_objects_are_paired_with_what_is_asked(draw):
    red = {"at": lambda t: (10 + 0.5 * t, 8), "colour": PALETTE["red"], "radius": 5}
    blue = {"at": lambda t: (10 + 0.5 * t, 24), "colour": PALETTE["blue"], "shape": "square", "radius": 6}
    clip = draw([red, blue], background=BACKGROUNDS["grey"])
    for prompt in (
        "A red circle and a blue square move slowly to the right on a grey background.",
        "A blue square and a red circle move slowly to the right on a grey background.",
    ):
        assert judged(clip, prompt).score == 0.0
    assert judged(clip, "A red square and a blue circle move slowly to the right on a grey background.").score > 0


def test_a_still_is_not_asked_for_motion(draw):
    still = draw([{"at": lambda t: (16, 16), "colour": PALETTE["red"]}], frames=1, background=BACKGROUNDS["grey"])
    finding = judged(still, "A red circle on a grey background.")
    assert finding.score == 0.0
    assert set(finding.parts) == {"colour", "shape", "background", "objects"}


def test_noise_and_emptiness_show_nothing_of_the_prompt(noise):
    assert judged(noise, SLOW).score == 1.0
    empty = judged(np.full((17, 32, 32, 3), 114, np.uint8), SLOW)
    assert empty.parts["colour"] == empty.parts["shape"] == empty.parts["motion"] == empty.parts["objects"] == 0.0


@pytest.mark.parametrize("prompt", [None, "", "The quick brow of a hill at dawn"])
def test_without_words_that_can_be_checked_it_is_not_measurable(clip, prompt):
    finding = judged(clip, prompt)
    assert finding.score is None
    assert not finding.due
    assert finding.reason
