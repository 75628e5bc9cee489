"""What the detectors of appearance, disappearance and permanence share: what may be judged, and changes as candidates.

A change's log odds (`evaluation.evidence.weighing`) become a strength above 0. A thing that is found again counts less
as one that vanished: another detector tells what it does (it jumps, or it comes back).
"""

from collections.abc import Sequence

import cv2
import numpy as np

from evaluation.evidence.changes import Change
from evaluation.evidence.clip import Evidence
from evaluation.findings import Box, Candidate, Finding, calibrated, unmeasurable

SHORTEST, SMALLEST = 5, 16  # frames, and pixels of a side, in which things can be followed
TURMOIL = 0.25  # of the picture: where more changes without a cause from frame to frame, nothing can be told
NOISIEST = 16.0  # levels of noise, above which a picture is nothing else
EMPTY = 2.0  # levels: standard deviation of a picture in which there is nothing
ZERO, SURE = -3.0, 4.5  # log odds at which a strength begins, and at which it is 1: a failure without calibration
MOST = 3  # candidates
FOUND_AGAIN = 0.6  # weight of a thing that is seen again elsewhere or later
# Log odds that other changes at the place of one take, times the logarithm of their number; by how much they may be
# less sure; seconds, and frames at least, before or after.
RESTLESS, AS_SURE, ANOTHER_TIME = 1.0, 5.0, (0.15, 4)
ALIKE, SIZES = 0.35, 0.7  # of its contrast with black and white, and logarithm of areas, within which two are one thing


def judged(kind: str, evidence: Evidence, changes: Sequence[Change], others: Sequence[Change]) -> Finding:
    """Return the finding on things that vanish or appear; `others` are the changes the other way."""
    reason = unclear(evidence)
    if reason:
        return unmeasurable(kind, reason, due=evidence.wanted is not None and len(evidence.rgb) > 1)
    found: list[Candidate] = []
    for change in changes:
        again = any(
            other.odds > 0 and near(evidence, change, other) and alike(evidence, change, other) for other in others
        )
        weight = FOUND_AGAIN if again else 1.0
        odds = change.odds - RESTLESS * np.log1p(rivals(evidence, change, [*changes, *others]))
        found.append(_candidate(kind, evidence, change, weight * strength(odds)))
    found.sort(key=lambda candidate: -candidate.strength)
    return calibrated(kind, _apart(found)[:MOST])


def unclear(evidence: Evidence) -> str:
    """Return why nothing can be told of what vanishes in a clip, "" if it can."""
    T, h, w = evidence.luma.shape
    if T < SHORTEST:
        return f"fewer than {SHORTEST} frames do not tell what vanishes"
    if min(h, w) < SMALLEST:
        return "the picture is too small to tell things in it"
    if max(cv2.meanStdDev(frame)[1].max() for frame in evidence.rgb) < EMPTY:
        return "there is nothing to be seen in the picture"
    if evidence.noise > NOISIEST:
        return "the picture is noise"
    beyond = evidence.flow.residual > 8 + 4 * evidence.noise
    if len(beyond) and np.median(beyond.mean(axis=(1, 2))) > TURMOIL:
        return "so much changes from frame to frame without motion that no thing can be told to vanish"
    return ""


def strength(odds: float) -> float:
    """Return a strength, 0 or more, for log odds."""
    return float(np.logaddexp(0.0, odds - ZERO) / (SURE - ZERO))


def rivals(evidence: Evidence, change: Change, changes: Sequence[Change]) -> int:
    """Return how many other changes there are at the place of one at other times, nearly as sure: in fire, a crowd.

    Where something comes and goes all the time, that it does once more says little.
    """
    seconds, frames = ANOTHER_TIME
    apart = max(frames, round(seconds * evidence.clip.fps))
    there = [o for o in changes if abs(o.onset - change.onset) >= apart and overlap(o.box, change.box)]
    return sum(other.odds > change.odds - AS_SURE for other in there)


def near(evidence: Evidence, one: Change, other: Change) -> bool:
    """Say whether a thing that appears may be one that vanishes: within a second of it, before or after."""
    return abs(one.onset - other.onset) <= max(2, round(evidence.clip.fps))


def alike(evidence: Evidence, one: Change, other: Change) -> bool:
    """Say whether two things look the same, by size and colours."""
    sizes = abs(np.log(one.mask.sum() / other.mask.sum()))
    return bool(sizes < SIZES and unlike(evidence, one, other) < ALIKE)


def unlike(evidence: Evidence, one: Change, other: Change) -> float:
    """Return how different the colours of two things are, 0 alike: the distance of their means, of their spreads."""
    colours = [_pixels(evidence, change) for change in (one, other)]
    means = [pixels.mean(axis=0) for pixels in colours]
    spread = 20 + float(np.mean([pixels.std(axis=0).mean() for pixels in colours]))
    return float(np.linalg.norm(means[0] - means[1]) / np.sqrt(3) / spread)


def place(evidence: Evidence, change: Change) -> np.ndarray:
    """Return the centre of a thing in the pixels of the first frame."""
    x0, y0, x1, y1 = change.box
    centre = np.array([[(x0 + x1) / 2, (y0 + y1) / 2]])
    return np.asarray(evidence.camera.steady(np.array([change.there]), centre)[0])


def overlap(one: Box | None, other: Box | None) -> bool:
    """Say whether two boxes have pixels in common."""
    if one is None or other is None:
        return False
    return max(one[0], other[0]) < min(one[2], other[2]) and max(one[1], other[1]) < min(one[3], other[3])


def around(one: Box, other: Box) -> Box:
    """Return the smallest box that holds two."""
    return min(one[0], other[0]), min(one[1], other[1]), max(one[2], other[2]), max(one[3], other[3])


def _pixels(evidence: Evidence, change: Change) -> np.ndarray:
    x0, y0, x1, y1 = change.box
    return np.asarray(evidence.rgb[change.there, y0:y1, x0:x1][change.mask], np.float32)


def _candidate(kind: str, evidence: Evidence, change: Change, strength: float) -> Candidate:
    box = evidence.box(*change.box)
    done = change.absent if kind == "disappearance" else change.there  # nothing of it is left, or all of it is there
    size = f"{box[2] - box[0]}x{box[3] - box[1]} pixels"
    if kind == "disappearance":
        text = f"A thing of {size} that no edge or occluder hides is gone from frame {change.onset} on."
    else:
        text = f"A thing of {size} comes from nothing in frame {change.onset}: no edge or occluder hid it."
    return Candidate(change.onset, max(change.onset, done), strength, text, box)


def _apart(found: list[Candidate]) -> list[Candidate]:
    """Return the strongest candidates of every place and time."""
    kept: list[Candidate] = []
    for candidate in found:
        if not any(abs(candidate.start_frame - k.start_frame) <= 8 and overlap(candidate.box, k.box) for k in kept):
            kept.append(candidate)
    return kept
