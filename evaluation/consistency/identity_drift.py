"""Things that turn into others: another look where nothing like it was near before, or another size or outline.

What changes its look where it is, as it moves on, is found without knowing things (`turning.py`), and what stained or
struck it just then is a cause (`causes.py`); sizes and outlines are those of the things that are followed
(`forming.py`). Both are weighed by what was fitted to things made to change; what shows both ways in one place and time
is the surer.
"""

from dataclasses import replace

import numpy as np

from evaluation.evidence.causes import has_turned, unexcused
from evaluation.evidence.clip import Evidence
from evaluation.evidence.forming import Reform, find_reforms, reform_odds
from evaluation.evidence.turning_measures import Turned
from evaluation.findings import Candidate, Finding, calibrated, unmeasurable
from evaluation.physics.vanishing import overlap

TYPE = "identity_drift"
SHORTEST = 10  # frames
MOST = 6  # of those that take another form
NEAR = 3  # frames by which two sights of one change are off


def identity_drift(evidence: Evidence) -> Finding:
    """Find things that become others."""
    if max(len(shot) for shot in evidence.shots) < SHORTEST:
        return unmeasurable(TYPE, f"in fewer than {SHORTEST} frames nothing is seen to change for good", due=False)
    looks = [_other_look(evidence, turned) for turned in evidence.turned]
    forms = [_other_form(evidence, reform) for reform in find_reforms(evidence)[:MOST]]
    return calibrated(TYPE, [*(_surer(look, forms) for look in looks), *(_surer(form, looks) for form in forms)])


def _other_look(evidence: Evidence, turned: Turned) -> Candidate:
    start, end = turned.onset, max(turned.onset, turned.turn.b)
    odds = unexcused(turned.odds, lambda: has_turned(evidence, turned))
    text = f"Something looks otherwise from frame {start} on, by {turned.levels:.0f} levels, and goes on as it went."
    return Candidate(start, end, float(np.logaddexp(0, odds)) / 2, text, evidence.box(*turned.box))


def _other_form(evidence: Evidence, reform: Reform) -> Candidate:
    start, end = reform.during
    strength = reform.seen * float(np.logaddexp(0, reform_odds(evidence, reform))) / 2
    text = f"The size of something changes by {100 * np.expm1(reform.size):.0f} % from frame {start} to {end}, its"
    text += f" outline by {100 * reform.form / 2:.0f} % of its radius."
    return Candidate(start, end, strength, text, evidence.box(*reform.box))


def _surer(candidate: Candidate, others: list[Candidate]) -> Candidate:
    """Return a candidate with the strength of what shows the same change otherwise, and less strongly, added."""
    same = (
        other.strength
        for other in others
        if other.strength <= candidate.strength
        and other.start_frame <= candidate.end_frame + NEAR
        and candidate.start_frame <= other.end_frame + NEAR
        and overlap(candidate.box, other.box)
    )
    return replace(candidate, strength=candidate.strength + max(same, default=0.0))
