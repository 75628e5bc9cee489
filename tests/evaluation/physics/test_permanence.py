"""Objects that are deleted, inserted or return are found and located."""

import numpy as np
import pytest

from evaluation.findings import ClipInput
from evaluation.objects.observation import observe
from evaluation.physics.permanence import appearance, disappearance, permanence

BLUE = (40, 80, 215)


def found(detector, frames, prompt=None):
    finding = detector(observe(ClipInput("clip", frames, 8.0, prompt)))
    return finding, [(f.start_frame, f.end_frame) for f in finding.failures]


def test_an_object_that_stays_has_none_of_the_failures(draw):
    clip = draw([{"at": lambda t: (8 + t, 16)}])
    for detector in (appearance, disappearance, permanence):
        finding, _ = found(detector, clip)
        assert finding.score == 0.0


def test_a_deleted_object_is_found_and_located(draw):
    _, spans = found(disappearance, draw([{"at": lambda t: (10 + 0.5 * t, 16) if t < 9 else None}]))
    assert spans == [(9, 16)]


def test_an_inserted_object_is_found_and_located(draw):
    first = {"at": lambda t: (8, 16 + 0.2 * t)}
    second = {"at": lambda t: (24, 9) if 7 <= t <= 12 else None, "colour": BLUE, "radius": 5}
    _, spans = found(appearance, draw([first, second]))
    assert spans == [(7, 12)]


def test_an_object_that_returns_fails_permanence_only(draw):
    clip = draw([{"at": lambda t: (9 + t * 0.5, 16) if not 6 <= t <= 8 else None}])
    assert found(permanence, clip)[1] == [(6, 8)]
    assert found(disappearance, clip)[0].score == 0.0
    assert found(appearance, clip)[0].score == 0.0


@pytest.mark.parametrize(
    "path",
    [lambda t: (8 + 3 * t, 16), lambda t: (-20 + 3 * t, 16), lambda t: (16, 20 - 3 * t)],
    ids=["leaves", "enters", "leaves upward"],
)
def test_the_edge_of_the_frame_excuses(draw, path):
    clip = draw([{"at": path}])
    for detector in (appearance, disappearance, permanence):
        assert found(detector, clip)[0].score == 0.0


def test_a_speck_weighs_little(draw):
    ball = {"at": lambda t: (10, 16 + 0.3 * t), "radius": 7}
    speck = {"at": lambda t: (26, 8) if t > 8 else None, "radius": 2.6}
    finding, spans = found(appearance, draw([ball, speck]))
    assert 0 < finding.score < 0.5
    assert spans == []


@pytest.mark.parametrize("detector", [appearance, disappearance, permanence])
def test_nothing_seen_is_not_measurable_and_due_only_with_a_prompt(detector, noise):
    for frames in (noise, np.full((9, 32, 32, 3), 128, np.uint8)):
        bare, _ = found(detector, frames)
        assert bare.score is None
        assert bare.reason
        assert not bare.due
        assert found(detector, frames, "A red circle falls on a grey background.")[0].due
