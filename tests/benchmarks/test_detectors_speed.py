"""Every stage of judging a clip is timed: no evidence and no detector escapes."""

from functools import cached_property

from benchmarks.detectors_speed import EVIDENCE, simulated, timed
from evaluation.evaluator import DETECTORS
from evaluation.evidence.clip import Evidence


def test_every_evidence_there_is_has_a_stage():
    measured = {name for name, value in vars(Evidence).items() if isinstance(value, cached_property)}
    assert {name for name in measured if not name.startswith("_")} == set(EVIDENCE)


def test_a_prompted_clip_goes_through_every_stage():
    (clip,) = simulated(64, 1)
    stages = timed(clip)
    assert {*EVIDENCE, *DETECTORS, "gather", "objects", "promises"} == set(stages)
    assert stages["flow"] > 0
