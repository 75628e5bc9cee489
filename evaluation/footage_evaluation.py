"""Judge continuations of a person's own footage: by the truth, by the detectors, and as a distribution.

Each continuation is compared with what its clip really shows (`evaluation.continuation`). The detectors look at it, and
at the truth: a failure counts as the model's where the truth has none of its type. All of them together are compared
with all truths as distributions of features (`evaluation.distances`).
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

from evaluation import continuation
from evaluation.continuation import MEASURES, agreement, mean_agreement
from evaluation.distances import Describe, describe_by_latents, describe_by_network, distances
from evaluation.evaluator import DETECTORS, clip_record, judge
from evaluation.findings import ClipInput
from evaluation.footage import ContinuationTask, Continued, continue_clips, reconstructed
from evaluation.footage_report import NO_MOTION, SHOWN_CLIPS, new_failures, side_by_side
from evaluation.gate.measures import failed_types
from evaluation.generating import Continues
from evaluation.intervals import clustered
from kinora.config import to_dict
from kinora.data.clips import ClipDataset
from kinora.media import write_video
from kinora.recipes.backends import NONE, Backends

VERSION = "footage-2"
BLUR = 1.5 / 40  # of the longer side: the standard deviation of a blur that an eye sees at once
LATENTS = "latents of the model's own autoencoder"
SETS = ("made", "held", "autoencoder", "blurred")  # that are compared with the truth as distributions


def judge_continuations(
    generator: Continues,
    asked: Sequence[tuple[int, ContinuationTask]],
    dataset: ClipDataset,
    out: Path,
    records: list[dict[str, Any]],
    features: str = "",
    backends: Backends = NONE,
) -> Iterator[tuple[np.ndarray, float]]:
    """Let a model continue clips; after each was judged and written, yield what it made anew, and its rate.

    Args:
        generator: the model.
        asked: the tasks, each with its place among all that are asked.
        dataset: where the clips are.
        out: gets the continuations in `clips/`, and in `beside/` the first of each clip beside the truth.
        records: gets one record a continuation, as `evaluation.json` holds it.
        features: by which clips are described, `hf:NAME`; the autoencoder's latents if empty.
        backends: networks that help the detectors.
    """
    describe = describe_by_network(features) if features else describe_by_latents(generator.vae)
    known: dict[str, dict[str, Any]] = {}  # of the clips themselves: some are continued several times
    for folder in ("clips", "beside"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    tasks = [task for _, task in asked]
    for (place, task), clip in zip(asked, continue_clips(generator, tasks, dataset), strict=True):
        name = f"{place:03d}"
        if new := task.clip not in known:
            best = reconstructed(generator, clip.truth, task.given)
            known[task.clip] = _of_clip(clip, best, describe, backends)
        record = _record(name, clip, known[task.clip], describe, backends)
        if new and len(known) <= SHOWN_CLIPS:
            write_video(out / "beside" / f"{name}.mp4", side_by_side(clip, best, new_failures(record)), task.fps)
        records.append(record | {"described_by": features or LATENTS})
        write_video(out / "clips" / f"{name}.mp4", clip.made, task.fps)
        yield clip.made[task.given :], task.fps


def footage_evaluation(records: Sequence[dict[str, Any]], name: str, detectors: Mapping[str, Any]) -> dict[str, Any]:
    """Return the evaluation, the content of `evaluation.json`, of continuations that were judged.

    Its `clips` are the records. `rates` are the means over the clips, each the mean over its seeds, of what was
    measured; `baselines` are the same of `footage_report.BASELINES`, and `compared` are counts. `detectors` says how
    often they (`detectors`) find failures, `distances` is what `distances` returns.
    """
    by_clip: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        by_clip.setdefault(record["asked"]["clip"], []).append(record)
    own = {clip: mean_agreement([record["rates"] for record in some]) for clip, some in by_clip.items()}
    first = [some[0] for some in by_clip.values()]
    baselines = {base: mean_agreement([one["baselines"][base] for one in first]) for base in first[0]["baselines"]}
    counts = {
        "clips": len(by_clip),
        "sources": len({one["asked"]["source"] for one in first}),
        "continuations": len(records),
        "nearer": sum(
            own[one["asked"]["clip"]]["appearance"] > one["baselines"]["held"]["appearance"] for one in first
        ),
        "moving": sum(rates["motion"] is not None for rates in own.values()),
        "with_words": sum(bool(one["asked"]["prompt"]) for one in first),
    }
    of = {part: np.array([record["features"][part] for record in records]) for part in ("truth", *SETS)}
    files = [record["asked"]["source"] for record in records]
    return {
        "name": name,
        "kind": "continuation",
        "evaluator": evaluator(),
        "rates": _measured(mean_agreement(list(own.values()))),
        "baselines": {base: _measured(values) for base, values in baselines.items()},
        "by_clip": own,
        "compared": counts,
        "detectors": {"evaluator": dict(detectors)} | failures_beside_truth(records),
        "distances": {
            "features": records[0]["described_by"],
            **distances(of["truth"], {part: of[part] for part in SETS}, files),
        },
        "clips": list(records),
    }


def failures_beside_truth(records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return how many continuations have a failure that the truth has not, with an interval by files, and by type."""
    found = [{whose: set(seen["failed"]) for whose, seen in record["detectors"].items()} for record in records]
    sources = pd.Index([record["asked"]["source"] for record in records], name="base")
    more = clustered(pd.Series([bool(one["made"] - one["truth"]) for one in found], index=sources))
    return {
        "continuations": len(records),
        "more": {"count": int(more.count), "share": more.value, "low": more.low, "high": more.high},
        "any": {whose: sum(bool(one[whose]) for one in found) for whose in found[0]},
        "types": {
            kind: {whose: sum(kind in one[whose] for one in found) for whose in found[0]}
            | {"more": sum(kind in one["made"] - one["truth"] for one in found)}
            for kind in DETECTORS
        },
    }


@lru_cache
def evaluator() -> dict[str, Any]:
    """Return which evaluator this is: evaluations with different digests must not be compared."""
    files = (Path(continuation.__file__), Path(__file__))
    return {
        "version": VERSION,
        "digest": hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest(),
        "scale": "0 far from the truth, 1 the truth",
        "measures": list(MEASURES),
    }


def blurred(frames: np.ndarray) -> np.ndarray:
    """Return frames `uint8 [T, H, W, 3]` so blurred that an eye sees it at once."""
    sigma = BLUR * max(frames.shape[1:3])
    return np.stack([cv2.GaussianBlur(frame, (0, 0), sigma) for frame in frames])


def _of_clip(clip: Continued, best: np.ndarray, describe: Describe, backends: Backends) -> dict[str, Any]:
    """Return what is known of a clip before anything is made: of the truth, and of what is no continuation by a model.

    best: the truth through the autoencoder, with the given frames.
    """
    given = clip.task.given
    truth, last = clip.truth[given:], clip.truth[given - 1]
    others = {
        "held": np.broadcast_to(last, truth.shape),
        "autoencoder": best[given:],
        "blurred": blurred(truth),
    }
    return {
        "baselines": {name: agreement(frames, truth, last) for name, frames in others.items()},
        "features": {name: _described(last, frames, describe) for name, frames in {"truth": truth, **others}.items()},
        "detectors": {
            "truth": _detected(clip.truth, clip.task, backends),
            "autoencoder": _detected(best, clip.task, backends),
        },
    }


def _record(
    name: str, clip: Continued, known: dict[str, Any], describe: Describe, backends: Backends
) -> dict[str, Any]:
    """Return what `evaluation.json` holds of one continuation."""
    task, given = clip.task, clip.task.given
    last, made = clip.truth[given - 1], clip.made[given:]
    rates = agreement(made, clip.truth[given:], last)
    return {
        "clip": name,
        "asked": to_dict(task),
        "prompt": task.prompt,
        "rates": rates,
        "baselines": known["baselines"],
        "detectors": {"made": _detected(clip.made, task, backends), **known["detectors"]},
        "features": {"made": _described(last, made, describe), **known["features"]},
        "not_measurable": {"motion": NO_MOTION} if rates["motion"] is None else {},
    }


def _described(last: np.ndarray, frames: np.ndarray, describe: Describe) -> list[float]:
    """Return the features of frames that follow the frame `last`, and of how they set out from it."""
    return [round(float(value), 5) for value in describe(np.concatenate([last[None], frames]))]


def _detected(frames: np.ndarray, task: ContinuationTask, backends: Backends) -> dict[str, Any]:
    """Return what the detectors find in a clip, without a prompt: the types that fail, and every failure."""
    seen = ClipInput(task.clip, frames, task.fps)
    record = clip_record(seen, judge(seen, backends=backends))
    return {
        "failed": list(failed_types(record)),
        "failures": record["failures"],
        "measurable": sum(record["measurable"].values()),
        "types": len(record["measurable"]),
    }


def _measured(rates: dict[str, float | None]) -> dict[str, float]:
    return {name: value for name, value in rates.items() if value is not None}
