"""Parts of a scene that hide things are told from nothing, by how outlines are cut."""

import numpy as np
import pytest

from evaluation.evidence.following import follow_shot
from evaluation.evidence.occluders import hidden_by_scene
from evaluation.evidence.segments import find_segments
from tests.evaluation.evidence.conftest import Drawn, along


def hiding(film, thing, **how):
    """What hides the one thing after its last sight."""
    evidence = film([thing], **how).evidence
    segments, _ = find_segments(evidence)
    owners, things = follow_shot(evidence, segments, 0, len(evidence.luma) - 1)
    thing = max(things, key=lambda t: sum(sight.area for sight in t.sights))
    return hidden_by_scene(evidence, owners, 0, thing, thing.sights[::-1], 1)


@pytest.mark.parametrize("kind", ["disc", "box", "star"])
def test_a_pillar_hides_gradually(film, kind):
    assert hiding(film, Drawn(along(40, (20, 40), (80, 50)), kind), pillar=(66, 98)) == "gradually"


def test_a_pillar_hides_also_while_the_camera_moves(film):
    path, camera = along(40, (20, 40), (80, 50)), along(40, (0, 0), (10, 4))
    assert hiding(film, Drawn(path), pillar=(66, 98), camera=camera) == "gradually"


def test_a_pillar_hides_a_fast_thing_at_once(film):
    assert hiding(film, Drawn(along(8, (12, 40), (152, 40)), radius=8.0, seen=np.arange(8) < 5), pillar=(76, 112))


@pytest.mark.parametrize("step", [0.0, 1.0, 3.0])
def test_what_vanishes_is_not_hidden(film, step):
    path = along(30, (20, 40), (20 + 30 * step, 45))
    assert not hiding(film, Drawn(path, seen=np.arange(30) < 18))


def test_what_shrinks_away_is_not_hidden(film):
    """A thing that grows smaller where it goes is missing where it was seen."""
    path = along(30, (20, 40), (80, 45))
    sizes = [Drawn(path, radius=12.0 - t, seen=np.arange(30) == 12 + t) for t in range(9)]
    whole = Drawn(path, radius=12.0, seen=np.arange(30) < 12)
    evidence = film([whole, *sizes]).evidence
    segments, _ = find_segments(evidence)
    owners, things = follow_shot(evidence, segments, 0, 29)
    thing = max(things, key=lambda t: len(t.sights))
    assert not hidden_by_scene(evidence, owners, 0, thing, thing.sights[::-1], 1)
