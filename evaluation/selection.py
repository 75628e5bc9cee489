"""Which checkpoint of a run becomes a model version, and what that version has to beat."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluation.checkpoint import evaluate_checkpoint
from evaluation.gate import Decision, already_deployed, decide, incomparable
from evaluation.prompts import asked_again
from kinora.config import read_json, to_dict
from kinora.data.clips import ClipDataset
from kinora.generation import ModelVersion, Registry, VideoGenerator, write_version
from kinora.recipes.recipe import Recipe


@dataclass(frozen=True)
class TrainedModels:
    """The folders of what a run trained; `transformer` holds all of its checkpoints."""

    transformer: Path
    autoencoder: Path
    captioner: Path


def select_version(
    models: TrainedModels,
    evaluations: Sequence[Path],
    clips: ClipDataset,
    recipe: Recipe,
    code: str,
    registry: Registry,
    out: Path,
) -> tuple[Decision, ModelVersion]:
    """Write the best checkpoint as a model version below `out`, and ask the gate whether it is to be deployed.

    Args:
        models: what the run trained.
        evaluations: folders with an `evaluation.json`, one a checkpoint, the untrained one among them.
        clips: what the models were trained on.
        recipe: with which settings.
        code: the digest of the code that trained them.
        registry: holds the version that is deployed, which the new one has to beat.
        out: the version's folder is made here, named by its digest.
    """
    candidate, untrained = ranked([read_json(path / "evaluation.json") for path in evaluations])
    lineage = {
        "dataset": clips.digest,
        "data": clips.describe() | {"captions": clips.clips["caption_source"].value_counts().sort_index().to_dict()},
        "code": code,
        "evaluator": candidate["evaluator"]["digest"],
        "checkpoint": candidate["name"],
        "parent": read_json(models.transformer / "config.json").get("initial_digest") or None,
    }
    checkpoint = models.transformer / candidate["name"]
    version = write_version(out, models.autoencoder, checkpoint, models.captioner, to_dict(recipe), candidate, lineage)
    name = registry.current()
    if name == version.name:
        return already_deployed(registry.deployment()), version
    with tempfile.TemporaryDirectory() as temporary:
        incumbent = registry.fetch(name, Path(temporary)) if name else None
        rival = incumbent_evaluation(incumbent, candidate, clips, Path(temporary)) if incumbent else None
        return decide(candidate, rival, untrained), version


def ranked(evaluations: Sequence[dict[str, Any]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the evaluations of the best trained checkpoint and of the untrained one, which is the first by name."""
    untrained, *trained = sorted(evaluations, key=lambda evaluation: str(evaluation["name"]))
    return max(trained, key=lambda evaluation: float(evaluation["rates"]["overall"])), untrained


def incumbent_evaluation(
    incumbent: ModelVersion, candidate: dict[str, Any], clips: ClipDataset, out: Path
) -> dict[str, Any]:
    """Return an evaluation of the deployed version that can be compared with the candidate's.

    That is the one it came with, if the same evaluator made it on the same prompts; else it is evaluated again, on the
    same held-out `clips` where these are continued.
    """
    known = incumbent.record("evaluation")
    if not incomparable(candidate, known):
        return known
    asked = [asked_again(clip["asked"]) for clip in candidate["clips"]]
    generator = VideoGenerator.from_version(incumbent.path)
    return evaluate_checkpoint(generator, asked, out, name="the deployed model", dataset=clips)
