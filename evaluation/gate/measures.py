"""What the gate compares: measures of two evaluations, 1 is best, one value a cluster of clips that belong together."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from evaluation.evaluator import DETECTORS, failing
from kinora.config import digest
from kinora.errors import KinoraError

FAULTLESS, OVERALL = "faultless", "overall"
# What a prompt asks for and, of footage, what agrees with the truth.
ATTRIBUTES = ("colour_right", "shape_right", "background_right", "motion_right", "exactly_prompted")
AGREEMENT = ("appearance", "motion")
HELD = "held"  # the baseline of footage: the last given frame, held still

Evaluation = Mapping[str, Any]
Value = Callable[[Mapping[str, Any]], float | None]


def footage(evaluation: Evaluation) -> bool:
    """Say whether an evaluation is of continuations of a person's own footage."""
    return "given" in evaluation["clips"][0]["asked"]


def cluster(asked: Mapping[str, Any]) -> str:
    """Return what clips have in common whose scores are alike: the file that they continue, the scene, or the words.

    A scene is the first thing with its colour and shape, the background and the motion, at whatever size and speed.
    """
    if "given" in asked:
        return str(asked["source"])
    said = asked.get("attributes") or {}
    if said.get("motion") and said.get("objects"):
        return digest([said["objects"][0], said.get("background"), said["motion"]])
    return " ".join(asked["prompt"].lower().split())


def check_comparable(first: Evaluation, second: Evaluation) -> None:
    """Refuse to compare what was not asked and judged alike.

    Raises:
        KinoraError: if the evaluators differ, or the prompts, sizes or seeds.
    """
    if first["evaluator"]["digest"] != second["evaluator"]["digest"]:
        raise KinoraError(
            f"{first['name']} and {second['name']} were judged by different versions of the evaluator; "
            "evaluate them again."
        )
    if _asked(first) != _asked(second):
        raise KinoraError(
            f"{first['name']} and {second['name']} were judged on different prompts, sizes or seeds; "
            "evaluate them with the same recipe."
        )


def clusters(evaluation: Evaluation) -> list[str]:
    """Return the clusters of an evaluation, sorted."""
    return sorted({cluster(record["asked"]) for record in evaluation["clips"]})


def value_of(measure: str) -> Value:
    """Return the function that gives a measure of one record: a rate, 0 or 1 for a failure; None if not asked for."""
    if measure == FAULTLESS:
        return lambda record: float(not failed_types(record))
    if measure == HELD:
        return lambda record: float(record["baselines"][HELD][OVERALL])
    if measure.startswith("no "):
        return lambda record: float(measure.removeprefix("no ") not in failed_types(record))
    return lambda record: record["rates"][measure]


def failed_types(record: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the types in which a clip failed: found failing, or due and not measurable.

    A continuation of footage fails in those in which the truth does not.
    """
    if "detectors" in record:
        truth = record["detectors"]["truth"]["failed"]
        return tuple(kind for kind in record["detectors"]["made"]["failed"] if kind not in truth)
    return tuple(kind for kind in record["measurable"] if failing(dict(record), kind))


def values(evaluation: Evaluation, measure: str) -> np.ndarray:
    """Return a measure of every cluster, the mean over its clips, `[clusters]`; nan where it is not asked for."""
    return by_cluster(evaluation, value_of(measure))


def by_cluster(evaluation: Evaluation, value: Value) -> np.ndarray:
    """Return the mean of a value over the clips of every cluster, `[clusters]`; nan where it is None for all."""
    found: dict[str, list[float]] = {}
    for record in evaluation["clips"]:
        known = value(record)
        found.setdefault(cluster(record["asked"]), []).extend([] if known is None else [float(known)])
    return np.array([np.mean(some) if some else np.nan for _, some in sorted(found.items())])


def guards(evaluation: Evaluation) -> list[str]:
    """Return the measures that must not get worse: of each failure type how often it is absent, of each attribute."""
    record = evaluation["clips"][0]
    if footage(evaluation):  # whose words no detector judges
        return [*(f"no {kind}" for kind in DETECTORS if kind != "prompt_mismatch"), *AGREEMENT]
    types = [f"no {kind}" for kind in DETECTORS if kind in record["measurable"]]
    return types + [name for name in ATTRIBUTES if name in record["rates"]]


def label(measure: str) -> str:
    """Return a measure as a person reads it."""
    return {
        FAULTLESS: "clips without any failure",
        OVERALL: "overall score",
        "motion": "agreement of motion",
        "appearance": "agreement of appearance",
        "exactly_prompted": "exactly the prompted objects",
    }.get(measure, measure.replace("_", " "))


def _asked(evaluation: Evaluation) -> list[str]:
    return sorted(digest(record["asked"]) for record in evaluation["clips"])
