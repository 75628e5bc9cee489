"""Which checkpoint of a run becomes a model version, and whether that takes the place of the deployed one."""

import shutil
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from evaluation.checkpoint import evaluate_checkpoint, joined
from evaluation.gate import Decision, already_deployed, budget, check_comparable, decide, measures
from evaluation.gate.decision import INCUMBENT, UNTRAINED
from evaluation.generating import Generates
from evaluation.prompts import decision_questions, simulated
from kinora.config import digest, read_json, to_dict
from kinora.data.clips import ClipDataset
from kinora.files import file_digest
from kinora.generation import ModelVersion, Registry, VideoGenerator, write_version
from kinora.generation.generator import usual_format
from kinora.recipes.recipe import GatePlan, Recipe


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
    judged: Path,
) -> tuple[Decision, ModelVersion]:
    """Choose a checkpoint, judge it once on prompts that nothing has touched, and decide whether it is to be deployed.

    Args:
        models: what the run trained.
        evaluations: folders with an `evaluation.json`, one a checkpoint or one a shard of it, the untrained one among
            them; all on the prompts to choose by.
        clips: what the models were trained on.
        recipe: with which settings.
        code: the digest of the code that trained them.
        registry: holds the version that is deployed, which the new one has to beat, and the error that is spent.
        out: the version's folder is made here, named by its digest.
        judged: gets the evaluations that decide, the candidate's in `candidate`, its rival's in `rival`.
    """
    chosen, untrained = ranked(joined(read_json(path / "evaluation.json") for path in evaluations), recipe.gate)
    checkpoint, deployed = models.transformer / chosen["name"], registry.current()
    candidate = trained_digest(models, checkpoint, recipe)
    if deployed and any((line.candidate, line.version) == (candidate, deployed) for line in registry.decisions()):
        return already_deployed(registry.deployment()), _copy(registry, deployed, out)
    asked = decision_questions(clips, recipe, candidate)
    worlds = recipe.ingest.worlds if simulated(clips) else None

    def judge(generator: Generates, folder: str, name: str) -> dict[str, Any]:
        plan = recipe.evaluation
        how: dict[str, Any] = {"worlds": worlds, "dataset": clips, "features": plan.features, "backends": plan.backends}
        return evaluate_checkpoint(generator, asked, judged / folder, name=name, **how)

    evaluation = judge(_generator(models, checkpoint, recipe), "candidate", chosen["name"])
    sources = Counter(chain.from_iterable(piece["caption_source"] for piece in clips.pieces(["caption_source"])))
    lineage = {
        "dataset": clips.digest,
        "data": clips.describe() | {"captions": dict(sorted(sources.items()))},
        "code": code,
        "evaluator": evaluation["evaluator"]["digest"],
        "checkpoint": chosen["name"],
        "parent": read_json(models.transformer / "config.json").get("initial_digest") or None,
    }
    version = write_version(out, models.autoencoder, checkpoint, models.captioner, to_dict(recipe), evaluation, lineage)
    with tempfile.TemporaryDirectory() as temporary:
        if deployed:
            incumbent = registry.fetch(deployed, Path(temporary))
            rival = judge(VideoGenerator.from_version(incumbent.path), "rival", "the deployed model")
        else:
            first = models.transformer / untrained["name"]
            rival = judge(_generator(models, first, recipe), "rival", untrained["name"])
    decision = decide(
        evaluation,
        rival,
        recipe.gate,
        role=INCUMBENT if deployed else UNTRAINED,
        attempt=budget.attempt(registry.decisions(), candidate, deployed or ""),
        chosen_on_these=bool(set(measures.clusters(chosen)) & set(measures.clusters(evaluation))),
    )
    registry.note_decision(
        candidate,
        version.name,
        deployed or "",
        level=decision.level,
        chance=max(comparison.chance or 0.0 for comparison in decision.primary),
        outcome=decision.outcome,
        verdict=decision.reason,
    )
    return decision, version


def ranked(evaluations: Sequence[dict[str, Any]], plan: GatePlan) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the evaluations of the best trained checkpoint and of the untrained one, which is the first by name.

    The best is that with the highest mean of the primary measure; of equal ones, that with the highest overall score.

    Raises:
        KinoraError: if they were not made alike.
    """
    untrained, *trained = sorted(evaluations, key=lambda evaluation: str(evaluation["name"]))
    for evaluation in trained:
        check_comparable(evaluation, untrained)
    measure = measures.OVERALL if measures.footage(untrained) else plan.measure

    def merit(evaluation: dict[str, Any]) -> tuple[float, float]:
        return float(measures.values(evaluation, measure).mean()), float(evaluation["rates"]["overall"])

    return max(trained, key=merit), untrained


def trained_digest(models: TrainedModels, checkpoint: Path, recipe: Recipe) -> str:
    """Return the digest of what was trained and how it generates, whatever is measured of it."""
    parts = (models.autoencoder, checkpoint, models.captioner)
    weights = [
        {file.name: file_digest(file) for file in sorted(part.iterdir()) if file.suffix in (".safetensors", ".json")}
        for part in parts
    ]
    return digest({"weights": weights, "recipe": to_dict(recipe)})


def _generator(models: TrainedModels, checkpoint: Path, recipe: Recipe) -> VideoGenerator:
    """Return what generates as a version of this checkpoint would."""
    return VideoGenerator.load(models.autoencoder, checkpoint, recipe.sampling, usual_format(to_dict(recipe)))


def _copy(registry: Registry, name: str, out: Path) -> ModelVersion:
    """Return a version of the registry as a copy below `out`."""
    with tempfile.TemporaryDirectory() as temporary:
        source = registry.fetch(name, Path(temporary))
        shutil.copytree(source.path, out / name, dirs_exist_ok=True)
    return ModelVersion(out / name, source.digest)
