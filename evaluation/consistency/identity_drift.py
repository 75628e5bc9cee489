"""Things that turn into others: what is there before and what is there after are unlike, and neither is near the other.

What changes where it is, as it moves on, is found without knowing things (`turning.py`) and weighed by what was fitted
to things and marks that were made to change (`turning_measures.py`).
"""

from evaluation.evidence.clip import Evidence
from evaluation.evidence.turning_measures import Turned
from evaluation.findings import Candidate, Finding, calibrated, unmeasurable

TYPE = "identity_drift"
SHORTEST = 10  # frames
MOST = 6  # candidates


def identity_drift(evidence: Evidence) -> Finding:
    """Find things that become others."""
    if max(len(shot) for shot in evidence.shots) < SHORTEST:
        return unmeasurable(TYPE, f"in fewer than {SHORTEST} frames nothing is seen to change for good", due=False)
    return calibrated(TYPE, [_candidate(evidence, turned) for turned in evidence.turned[:MOST]])


def _candidate(evidence: Evidence, turned: Turned) -> Candidate:
    start, end = turned.onset, max(turned.onset, turned.turn.b)
    text = f"Something looks otherwise from frame {start} on, by {turned.levels:.0f} levels, and goes on as it went."
    return Candidate(start, end, turned.strength, text, evidence.box(*turned.box))
