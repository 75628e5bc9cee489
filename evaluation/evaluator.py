"""Judge clips: every detector on every clip, and the report's data in the form of `report.json`."""

import hashlib
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

import evaluation
from evaluation.calibration import calibrated_for
from evaluation.consistency.flicker import flicker
from evaluation.consistency.freeze import freeze
from evaluation.consistency.identity_drift import identity_drift
from evaluation.consistency.incoherence import incoherence
from evaluation.consistency.view_inconsistency import view_inconsistency
from evaluation.evidence.clip import gather
from evaluation.evidence.gradients import gradients
from evaluation.evidence.sharpness import blurred
from evaluation.fidelity.promises import held_against
from evaluation.fidelity.prompt import prompt_mismatch
from evaluation.findings import FAILS_FROM, TYPES, ClipInput, Finding, unmeasurable
from evaluation.intervals import wilson
from evaluation.judges.judge import judge_name
from evaluation.objects.observation import Observation, observe
from evaluation.physics.appearance import appearance
from evaluation.physics.disappearance import disappearance
from evaluation.physics.gravity import gravity
from evaluation.physics.interpenetration import interpenetration
from evaluation.physics.momentum import momentum
from evaluation.physics.permanence import permanence
from evaluation.physics.state_change import state_change
from evaluation.physics.teleport import teleport
from evaluation.rates import mean_rates, quality, rates
from kinora import worlds
from kinora.config import digest
from kinora.recipes.backends import NONE, UNCALIBRATED, Backends

VERSION = "2"
DETECTORS: dict[str, Callable[..., Finding]] = {
    "appearance": appearance,
    "disappearance": disappearance,
    "permanence": permanence,
    "identity_drift": identity_drift,
    "teleport": teleport,
    "state_change": state_change,
    "flicker": flicker,
    "gravity": gravity,
    "interpenetration": interpenetration,
    "momentum": momentum,
    "incoherence": incoherence,
    "freeze": freeze,
    "view_inconsistency": view_inconsistency,
    "prompt_mismatch": prompt_mismatch,
}
# What sees the worlds' own objects (`evaluation.objects`); every other detector takes the evidence in any clip.
OF_OBJECTS = {"prompt_mismatch"}
# What needs the outlines of things. A clip that has none left is not excused: mush would pass for faultless.
OF_OUTLINES = frozenset(kind for kind, of in TYPES.items() if of.group == "physics") | {"identity_drift"}
BLURRED = "the picture is blurred until only its layout is left"
# Where nothing was asked for, a gradient shows all that it has.
GRADIENT = "the picture is a smooth gradient, with nothing in it to follow"
# The files that decide scores. Reports and commands can change without making evaluations incomparable.
DECIDING = ("abilities.py", "calibration.json", "calibration.py", "evaluator.py", "findings.py", "rates.py")
DECIDING_FOLDERS = ("evidence", "objects", "physics", "consistency", "fidelity", "judges", "backends")


def judge(clip: ClipInput, kinds: Collection[str] = TYPES, backends: Backends = NONE) -> dict[str, Finding]:
    """Return the finding of every detector on one clip, or of the detectors of some types.

    Raises:
        KinoraError: if a network of the backends cannot be had.
    """
    return _found(clip, observe(clip) if clip.prompt or OF_OBJECTS & set(kinds) else None, kinds, backends)


def findings(seen: Observation, backends: Backends = NONE) -> dict[str, Finding]:
    """Return the finding of every detector on one clip whose objects have been observed; as `judge`."""
    return _found(seen.clip, seen, TYPES, backends)


def _found(clip: ClipInput, seen: Observation | None, kinds: Collection[str], backends: Backends) -> dict[str, Finding]:
    evidence = gather(clip, backends)
    unseen = OF_OUTLINES if len(evidence.luma) > 1 and blurred(evidence.luma) else frozenset()
    with calibrated_for(backends):
        found = {
            kind: detector(seen, backends) if kind in OF_OBJECTS else detector(evidence)
            for kind, detector in DETECTORS.items()
            if kind in kinds and kind not in unseen
        }
    if seen is not None:
        found = held_against(seen, found)
    smooth = bool(unseen) and gradients(evidence.rgb)
    why, due = (GRADIENT, bool(clip.prompt)) if smooth else (BLURRED, True)
    return found | {kind: unmeasurable(kind, why, due=due) for kind in DETECTORS if kind in unseen & set(kinds)}


def evaluate_clips(clips: Iterable[ClipInput], backends: Backends = NONE) -> dict[str, Any]:
    """Judge clips and return the content of `report.json`.

    A score says how strongly a failure of its type is present, 0 none to 1 complete. Types that this version does not
    detect are named in `evaluator.not_detected` and absent from `scores`; types that a clip does not let measure are
    absent from its `scores` and explained in its `not_measurable`. `quality` is the mean of 1 - score.

    Args:
        clips: what to judge.
        backends: networks that help.

    Raises:
        KinoraError: if a network of the backends cannot be had.
    """
    records = [clip_record(clip, judge(clip, backends=backends)) for clip in clips]
    return {"evaluator": evaluator(backends), "clips": records, "summary": summary(records)}


def clip_record(clip: ClipInput, found: dict[str, Finding]) -> dict[str, Any]:
    """Return what `report.json` holds of one clip."""
    frames, height, width, _ = clip.frames.shape
    prompted = found["prompt_mismatch"].score is not None
    return {
        "clip": clip.name,
        "frames": frames,
        "whole": clip.whole,
        "width": width,
        "height": height,
        "fps": round(clip.fps, 3),
        "prompt": clip.prompt,
        "measurable": {kind: finding.score is not None for kind, finding in found.items()},
        "scores": {kind: round(f.score, 4) for kind, f in found.items() if f.score is not None},
        "strengths": {kind: round(f.strength, 4) for kind, f in found.items() if f.strength is not None},
        "quality": quality(list(found.values())),
        "rates": rates(found) if prompted else None,
        "failures": [failure.as_dict() for finding in found.values() for failure in finding.failures],
        "not_measurable": {kind: finding.reason for kind, finding in found.items() if finding.score is None},
        "due": [kind for kind, finding in found.items() if finding.due],
        "parts": {kind: f.parts for kind, f in found.items() if f.parts},
    }


def summary(records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return how many clips have no failure, for every type how many could be measured and failed, and the mean rates.

    A clip has a failure of a type where one is listed, and where it was due and could not be measured. The interval of
    the share without any is Wilson's; the rates are those of prompted clips.
    """
    clean = wilson(sum(not any(failing(r, kind) for kind in DETECTORS) for r in records), len(records))
    types = {}
    for kind in DETECTORS:
        measurable = [r for r in records if r["measurable"][kind]]
        failed = sum(failing(r, kind) for r in records)
        types[kind] = {
            "clips": len(records),
            "measurable": len(measurable),
            "due_but_not_measurable": sum(kind in r["due"] and not r["measurable"][kind] for r in records),
            "failed": failed,
            "mean_score": float(np.mean([r["scores"][kind] for r in measurable])) if measurable else None,
        }
    prompted = [r["rates"] for r in records if r["rates"]]
    return {
        "without_failure": {"clips": clean.of, "count": clean.count, "interval": [clean.low, clean.high]},
        "types": types,
        "rates": mean_rates(prompted) if prompted else None,
        "prompted": len(prompted),
    }


def failing(record: dict[str, Any], kind: str) -> bool:
    """Say whether a clip failed in one type: found failing, or due and not measurable."""
    if not record["measurable"][kind]:
        return kind in record["due"]
    return bool(record["scores"][kind] >= FAILS_FROM or any(f["type"] == kind for f in record["failures"]))


def evaluator(backends: Backends = NONE) -> dict[str, Any]:
    """Return which evaluator this is: evaluations with different digests must not be compared."""
    root = Path(evaluation.__file__).parent
    files = [file for name in DECIDING if (file := root / name).exists()]
    kinds = ("*.py", "*.onnx")
    files += [file for folder in DECIDING_FOLDERS for kind in kinds for file in sorted((root / folder).glob(kind))]
    sources = {str(file.relative_to(root)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
    words = {"palette": worlds.PALETTE, "backgrounds": worlds.BACKGROUNDS, "gravity": worlds.GRAVITY}
    helping = {name: value for name, value in asdict(backends).items() if value != getattr(NONE, name)}
    if backends.judge:
        helping["judge"] = judge_name(backends.judge)
    if backends.calibration not in ("", UNCALIBRATED):
        sources["calibration"] = hashlib.sha256(Path(backends.calibration).read_bytes()).hexdigest()
        helping["calibration"] = Path(backends.calibration).name
    return {
        "version": VERSION,
        "digest": digest({"sources": sources, "worlds": words, "backends": helping}),
        "backends": helping,
        "scale": "0 no failure of this type, 1 complete failure; listed as a failure from 0.5",
        "detected": list(DETECTORS),
        "not_detected": [kind for kind in TYPES if kind not in DETECTORS],
    }
