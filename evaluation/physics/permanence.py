"""Permanence: what vanishes where nothing hides it, and is there again later.

It is found as a thing that goes and one that comes, alike and near where it was, or near where it had got to. What goes
behind something and comes out late, elsewhere or as another thing is not found: tracks say too little of it yet.
"""

import numpy as np

from evaluation.evidence.changes import Change
from evaluation.evidence.clip import Evidence
from evaluation.findings import Candidate, Finding, calibrated, unmeasurable
from evaluation.physics.vanishing import RESTLESS, around, place, rivals, strength, unclear, unlike

TYPE = "permanence"
LONGEST_SECONDS = 2.0  # out of sight
MOST = 10  # changes each way that are paired
COLOURS, SIZES, PLACES = 2.0, 1.0, 0.7  # log odds that unlike colours, sizes and places of two changes cost
SURPLUS = 1.5  # log odds by which a pair is surer than its less sure half
FARTHEST = 8.0  # radii


def permanence(evidence: Evidence) -> Finding:
    """Find things that vanish and return, located at the frames without them."""
    reason = unclear(evidence)
    if reason:
        return unmeasurable(TYPE, reason, due=evidence.wanted is not None and len(evidence.rgb) > 1)
    return calibrated(TYPE, returned(evidence))


def returned(evidence: Evidence) -> list[Candidate]:
    """Return the surest pairs of something that vanishes and something like it that appears later."""
    longest = LONGEST_SECONDS * evidence.clip.fps + 2
    pairs = [
        (pair_odds(evidence, gone, come), gone, come)
        for gone in evidence.changes.gone[:MOST]
        for come in evidence.changes.come[:MOST]
        if 1 <= come.onset - gone.onset <= longest
    ]
    pairs.sort(key=lambda pair: -pair[0])
    return [_candidate(evidence, *pair) for pair in pairs[:2]]


def pair_odds(evidence: Evidence, gone: Change, come: Change) -> float:
    """Return the log odds that one thing went and came back."""
    sizes = abs(np.log(gone.mask.sum() / come.mask.sum()))
    radius = np.sqrt(max(gone.mask.sum(), come.mask.sum()) / np.pi)
    away, frames = place(evidence, come) - place(evidence, gone), come.there - gone.there
    paths = (away, away - gone.step * frames, away - come.step * frames)  # it rested, went on, came on
    far = min(FARTHEST, min(float(np.hypot(*path)) for path in paths) / radius)
    colours = min(2.0, unlike(evidence, gone, come))
    changes = [c for c in (*evidence.changes.gone, *evidence.changes.come) if c is not gone and c is not come]
    restless = RESTLESS * np.log1p(max(rivals(evidence, change, changes) for change in (gone, come)))
    surest = min(gone.odds, come.odds) + SURPLUS - restless
    return float(surest - COLOURS * colours - SIZES * min(2.0, float(sizes)) - PLACES * far)


def _candidate(evidence: Evidence, odds: float, gone: Change, come: Change) -> Candidate:
    first, last = gone.onset, max(gone.onset, come.onset - 1)
    box = evidence.box(*around(gone.box, come.box))
    if first == last:
        text = f"A thing that nothing hides is not there in frame {first}, and then there again."
    else:
        text = f"A thing that nothing hides is gone from frame {first} to {last}, and then there again."
    return Candidate(first, last, strength(odds), text, box)
