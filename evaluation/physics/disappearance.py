"""Disappearance: a thing is gone for good that no edge, occluder or cut hides, at once or fading out."""

from evaluation.evidence.clip import Evidence
from evaluation.findings import Finding
from evaluation.physics.vanishing import judged

TYPE = "disappearance"


def disappearance(evidence: Evidence) -> Finding:
    """Find things that vanish, located at the frames in which they do."""
    return judged(TYPE, evidence, evidence.changes.gone, evidence.changes.come)
