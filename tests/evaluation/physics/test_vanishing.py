"""What comes and goes where others do all the time is less sure; elsewhere, or at once with it, they do not count."""

import numpy as np

from evaluation.evidence.changes import Change
from evaluation.evidence.clip import gather
from evaluation.findings import ClipInput
from evaluation.physics.vanishing import rivals

EVIDENCE = gather(ClipInput("film", np.zeros((60, 32, 32, 3), np.uint8), 24.0))


def change(onset: int, box: tuple[int, int, int, int], odds: float) -> Change:
    mask = np.ones((box[3] - box[1], box[2] - box[0]), bool)
    return Change(onset, onset + 1, onset, box, mask, np.zeros(2), odds, None)


def test_only_changes_nearly_as_sure_at_the_same_place_and_another_time_are_rivals() -> None:
    one = change(30, (8, 8, 16, 16), 3.0)
    flames = [change(t, (10, 10, 20, 20), 1.0) for t in (5, 20, 50)]
    apart, at_once = change(20, (20, 20, 30, 30), 5.0), change(31, (8, 8, 16, 16), 5.0)
    doubtful = change(20, (8, 8, 16, 16), -4.0)
    assert rivals(EVIDENCE, one, [one, apart, at_once, doubtful]) == 0
    assert rivals(EVIDENCE, one, [one, *flames, apart, at_once, doubtful]) == 3
