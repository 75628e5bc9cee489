"""The rates of a prompted clip: what a reader wants to know, and the one overall score that the gate compares.

    overall = (fidelity + physics + consistency) / 3

where each group is the mean of what could be measured in it: fidelity over what the prompt asks for (colour, shape,
background, motion, exactly the prompted objects), physics and consistency over 1 - score of the types of failure that
`findings.TYPES` counts to them. What was due and could not be measured counts as failed:
a clip that shows nothing is not excused. Where a prompt names nothing that can be checked, as a person's own words may,
it has no rates of fidelity and overall is the mean of the other two groups. A rate that a prompt does not ask for, as
one for a brush asks for no shape, is None and not averaged.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from evaluation.findings import TYPES, Finding

METRICS = (
    "overall", "colour_right", "shape_right", "background_right", "motion_right", "exactly_prompted",
    "fidelity", "physics", "consistency",
)  # fmt: skip


def rates(findings: Mapping[str, Finding]) -> dict[str, float | None]:
    """Return every metric of `METRICS` for one prompted clip, 0..1, 1 is best; None what is not asked for."""
    parts = findings["prompt_mismatch"].parts
    fidelity = float(np.mean(list(parts.values()))) if parts else None
    physics, consistency = _group(findings, "physics"), _group(findings, "consistency")
    return {
        "overall": float(np.mean([group for group in (fidelity, physics, consistency) if group is not None])),
        "colour_right": parts.get("colour"),
        "shape_right": parts.get("shape"),
        "background_right": parts.get("background"),
        "motion_right": parts.get("motion"),
        "exactly_prompted": float(parts["objects"] == 1.0) if "objects" in parts else None,
        "fidelity": fidelity,
        "physics": physics,
        "consistency": consistency,
    }


def mean_rates(clips: Sequence[Mapping[str, float | None]]) -> dict[str, float]:
    """Return the mean of every metric over the clips whose prompts ask for it; 0 where none does."""
    means = {}
    for metric in METRICS:
        asked = [rate for clip in clips if (rate := clip[metric]) is not None]
        means[metric] = float(np.mean(asked)) if asked else 0.0
    return means


def quality(findings: Sequence[Finding]) -> float | None:
    """Return the mean of 1 - score over the findings that were measured or due, None where there is none."""
    values = [1.0 - (1.0 if f.score is None else f.score) for f in findings if f.score is not None or f.due]
    return float(np.mean(values)) if values else None


def _group(findings: Mapping[str, Finding], group: str) -> float:
    value = quality([finding for kind, finding in findings.items() if TYPES[kind].group == group])
    return 1.0 if value is None else value
