"""What goes into an evaluation and what comes out of each detector.

A detector gives candidates, each with a strength on a scale of its own. `evaluation.calibration` turns strengths into
scores that mean the same for every type: 0 what one faultless clip in ten shows, 0.5 one in a thousand, 1 one in a
hundred thousand. Where a detector cannot measure a clip it says why instead, and gives no score.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from evaluation.calibration import score

Box = tuple[int, int, int, int]  # x0, y0, x1, y1 in a clip's pixels, the last two exclusive

FAILS_FROM = 0.5  # a stretch of frames that scores this much or more is listed as a failure


@dataclass(frozen=True)
class FailureType:
    """What a failure of one type is, and the rate that it counts against: fidelity, physics or consistency."""

    group: str
    meaning: str


TYPES = {
    "appearance": FailureType("physics", "an object comes from nothing"),
    "disappearance": FailureType("physics", "an object vanishes for good"),
    "permanence": FailureType("physics", "an object vanishes and returns"),
    "identity_drift": FailureType("consistency", "an object turns into another"),
    "teleport": FailureType("physics", "an object jumps from one place to another"),
    "flicker": FailureType("consistency", "brightness or colour jumps from frame to frame"),
    "gravity": FailureType("physics", "an object falls wrongly, or accelerates without a cause"),
    "interpenetration": FailureType("physics", "an object passes through another"),
    "momentum": FailureType("physics", "a collision does not keep the momentum"),
    "state_change": FailureType("physics", "a change of state does not last, or has no cause"),
    "view_inconsistency": FailureType("consistency", "the views of one scene do not agree"),
    "incoherence": FailureType("consistency", "noise, or frames that do not follow from each other"),
    "freeze": FailureType("consistency", "the clip stops moving"),
    "prompt_mismatch": FailureType("fidelity", "the clip does not show what the prompt says"),
}


@dataclass(frozen=True, eq=False)
class ClipInput:
    """A clip to judge: frames `uint8 [T, H, W, 3]`, and the prompt it was made from where there is one.

    `one_shot` says that a cut inside is a failure. Edited footage has cuts: there every shot is judged alone. A clip
    that is not `whole` goes on after these frames.
    """

    name: str
    frames: np.ndarray
    fps: float
    prompt: str | None = None
    one_shot: bool = True
    whole: bool = True


@dataclass(frozen=True)
class Candidate:
    """What may be a failure: frames `start_frame` to `end_frame`, both inclusive, counted from 0, and where.

    `strength` is at least 0 and finite, on any scale that rises with how surely it is one. No `box`: the whole frame.
    """

    start_frame: int
    end_frame: int
    strength: float
    explanation: str
    box: Box | None = None


@dataclass(frozen=True)
class Failure:
    """One failure, located: frames `start_frame` to `end_frame`, both inclusive, counted from 0, and where.

    No `box`: the whole frame.
    """

    type: str
    start_frame: int
    end_frame: int
    score: float
    explanation: str
    box: Box | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the failure as `report.json` holds it."""
        return {**asdict(self), "score": round(self.score, 4), "box": None if self.box is None else list(self.box)}


@dataclass(frozen=True)
class Finding:
    """What one detector found: a score 0..1, or None and the reason why it could not measure.

    `due` says whether the clip had to be measurable: a clip whose prompt names an object that nobody can see is not
    excused for it, and the unmeasured score counts as failed. `strength` is what the score was made from, the largest
    of the `candidates`'; None where a detector scores without calibration.
    """

    type: str
    score: float | None
    failures: tuple[Failure, ...] = ()
    reason: str = ""
    due: bool = True
    parts: dict[str, float] = field(default_factory=dict)
    strength: float | None = None
    candidates: tuple[Candidate, ...] = ()


def unmeasurable(kind: str, reason: str, *, due: bool) -> Finding:
    """Return the finding of a detector that cannot measure this clip."""
    return Finding(kind, None, reason=reason, due=due)


def calibrated(kind: str, candidates: Sequence[Candidate], *, parts: dict[str, float] | None = None) -> Finding:
    """Return the finding of the strongest candidate; those as strong as one faultless clip in 1,000 are failures.

    Give the strongest candidate however weak it is: calibration needs the strengths of faultless clips.

    Raises:
        ValueError: a strength is negative, infinite or not a number.
    """
    if not all(0 <= c.strength < float("inf") for c in candidates):
        raise ValueError(f"the detector of {kind} gave strengths that cannot be ranked: {candidates}")
    strength = max((float(c.strength) for c in candidates), default=0.0)
    scored = [(c, score(kind, c.strength)) for c in candidates]
    failures = tuple(
        Failure(kind, c.start_frame, c.end_frame, value, c.explanation, c.box)
        for c, value in scored
        if value >= FAILS_FROM
    )
    return Finding(
        kind, score(kind, strength), failures, parts=parts or {}, strength=strength, candidates=tuple(candidates)
    )


def measured(kind: str, candidates: list[Failure], parts: dict[str, float] | None = None) -> Finding:
    """Return the finding whose score is that of the worst candidate; weak candidates are not listed as failures."""
    score = max((c.score for c in candidates), default=0.0)
    listed = tuple(c for c in candidates if c.score >= FAILS_FROM)
    return Finding(kind, float(score), listed, parts=parts or {})


def stretches(flags: np.ndarray) -> list[tuple[int, int]]:
    """Return the first and last index, both inclusive, of every run of true in `flags [T]`."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], np.asarray(flags, dtype=np.int8), [0]])))
    return [(int(start), int(end) - 1) for start, end in zip(edges[::2], edges[1::2], strict=True)]
