"""Appearance: a thing comes into being that no edge, occluder or cut explains, at once or fading in."""

from evaluation.evidence.clip import Evidence
from evaluation.findings import Finding
from evaluation.physics.vanishing import judged

TYPE = "appearance"


def appearance(evidence: Evidence) -> Finding:
    """Find things that come from nothing, located from the first frame that shows something of them."""
    return judged(TYPE, evidence, evidence.changes.come, evidence.changes.gone)
