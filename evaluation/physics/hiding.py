"""What goes behind something and comes out otherwise than it should."""

from evaluation.evidence.clip import Evidence
from evaluation.findings import Candidate


def hidden_wrongly(evidence: Evidence) -> list[Candidate]:
    return []
