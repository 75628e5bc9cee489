"""Appearance: a thing comes into being that no edge, occluder or cut explains, at once or fading in."""

from evaluation.evidence.clip import Evidence
from evaluation.findings import Finding
from evaluation.physics.vanishing import judged

TYPE = "appearance"


def appearance(evidence: Evidence) -> Finding:
    """Find things that come from nothing, located at the frames in which they do."""
    return judged(TYPE, evidence, evidence.changes.come, evidence.changes.gone)
