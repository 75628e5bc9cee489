"""Which checkpoint of a run becomes a model version, and whether that takes the place of the deployed one."""

import shutil
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

from evaluation.gate import budget, measures
from evaluation.gate.decision import INCUMBENT, UNTRAINED, Decision, already_deployed, decide
from evaluation.gate.measures import check_comparable
from evaluation.prompts import decision_questions
from evaluation.report_tables import rate_with_interval, share_of
from evaluation.shards import asked_for_decision, work_items
from kinora.config import digest, read_json, to_dict
from kinora.data.clips import ClipDataset
from kinora.errors import KinoraError
from kinora.files import file_digest
from kinora.generation import ModelVersion, Registry, write_version
from kinora.numbers import count
from kinora.recipes.recipe import GatePlan, Recipe
from kinora.report import Page


@dataclass(frozen=True)
class TrainedModels:
    """The folders of what a run trained; `transformer` holds all of its checkpoints."""

    transformer: Path
    autoencoder: Path
    captioner: Path


@dataclass(frozen=True)
class Choice:
    """Which checkpoint of a run asks to be deployed, and what it has to beat.

    checkpoint: the best of those that were trained, by the evaluations to choose by.
    candidate: the digest of what was trained, whatever is measured of it.
    deployed: the version that is deployed and has to be beaten; "" where none is, and the rival is the untrained
        checkpoint.
    items: the evaluations that decide, as `evaluation.shards` names them; none where the candidate is what is deployed.
    chosen_on_these: whether the checkpoint was chosen on some of what decides, for want of others.
    """

    checkpoint: str
    candidate: str
    deployed: str
    items: tuple[str, ...]
    chosen_on_these: bool = False


def choose(
    models: TrainedModels,
    evaluations: Sequence[dict[str, Any]],
    clips: ClipDataset,
    recipe: Recipe,
    registry: Registry,
    shards: int,
) -> Choice:
    """Choose a checkpoint, and say what it and its rival are asked for, which nothing has touched.

    Args:
        models: what the run trained.
        evaluations: of its checkpoints, the untrained one among them; all on the prompts to choose by.
        clips: what the models were trained on.
        recipe: with which settings.
        registry: holds the version that is deployed, which the chosen one has to beat.
        shards: how many tasks each of the two is dealt to; fewer where less is asked.

    Raises:
        KinoraError: if the evaluations were not made alike, or nothing is left to decide by.
    """
    chosen, untrained = ranked(evaluations, recipe.gate)
    candidate = trained_digest(models, models.transformer / chosen["name"], recipe)
    found = Choice(chosen["name"], candidate, registry.current() or "", ())
    if found.deployed and any((d.candidate, d.version) == (candidate, found.deployed) for d in registry.decisions()):
        return found
    asked = decision_questions(clips, recipe, candidate)
    sides = [asked_for_decision(name, candidate) for name in (chosen["name"], found.deployed or untrained["name"])]
    known = set(measures.clusters(chosen)) & {measures.cluster(to_dict(one)) for one in asked}
    items = tuple(work_items(sides, min(shards, len(asked))))
    return replace(found, items=items, chosen_on_these=bool(known))


def select_version(
    models: TrainedModels,
    choice: Choice,
    evaluations: Sequence[dict[str, Any]],
    clips: ClipDataset,
    recipe: Recipe,
    code: str,
    registry: Registry,
    out: Path,
) -> tuple[Decision, ModelVersion]:
    """Make a version of the chosen checkpoint, and decide whether it is to be deployed.

    Args:
        models: what the run trained.
        choice: which checkpoint, and what it has to beat.
        evaluations: of the chosen checkpoint and of its rival, on what the choice's items ask.
        clips: what the models were trained on.
        recipe: with which settings.
        code: the digest of the code that trained them.
        registry: holds the version that is deployed, and the error that is spent.
        out: the version's folder is made here, named by its digest.

    Raises:
        KinoraError: if another version has been deployed since the choice, which nothing was held against.
    """
    if (registry.current() or "") != choice.deployed:
        raise KinoraError(
            "another model version was deployed while the candidate and its rival were judged; run again, and they "
            "are compared with that one."
        )
    if not choice.items:
        return already_deployed(registry.deployment()), _copy(registry, choice.deployed, out)
    (evaluation,) = (one for one in evaluations if one["name"] == choice.checkpoint)
    (rival,) = (one for one in evaluations if one["name"] != choice.checkpoint)
    sources = Counter(chain.from_iterable(piece["caption_source"] for piece in clips.pieces(["caption_source"])))
    lineage = {
        "dataset": clips.digest,
        "data": clips.describe() | {"captions": dict(sorted(sources.items()))},
        "code": code,
        "evaluator": evaluation["evaluator"]["digest"],
        "checkpoint": choice.checkpoint,
        "parent": read_json(models.transformer / "config.json").get("initial_digest") or None,
    }
    checkpoint = models.transformer / choice.checkpoint
    version = write_version(out, models.autoencoder, checkpoint, models.captioner, to_dict(recipe), evaluation, lineage)
    decision = decide(
        evaluation,
        rival,
        recipe.gate,
        role=INCUMBENT if choice.deployed else UNTRAINED,
        attempt=budget.attempt(registry.decisions(), choice.candidate, choice.deployed),
        chosen_on_these=choice.chosen_on_these,
    )
    registry.note_decision(
        choice.candidate,
        version.name,
        choice.deployed,
        level=decision.level,
        chance=max(comparison.chance or 0.0 for comparison in decision.primary),
        outcome=decision.outcome,
        verdict=decision.reason,
    )
    return decision, version


def choice_page(choice: Choice, evaluations: Sequence[dict[str, Any]], plan: GatePlan) -> Page:
    """Return the page that says which checkpoint was chosen, by what, and what it is held against."""
    footage = measures.footage(evaluations[0])
    measure = measures.OVERALL if footage else plan.measure
    rival = f"version {choice.deployed}, which is deployed," if choice.deployed else "the untrained checkpoint"
    asked = f"It and {rival} are now asked for what nothing was asked for before, and the gate decides by that."
    page = Page(
        f"Chosen: {choice.checkpoint}",
        f"Of {count(len(evaluations) - 1, 'trained checkpoint')} it is the best by this: {measures.label(measure)}; of "
        "equal ones, by the overall score. "
        + (asked if choice.items else "It is what is deployed, so nothing is judged."),
    )
    page.table(
        [
            {
                "checkpoint": one["name"],
                measures.label(measure): str(share_of(one, measure)),
                "overall score": rate_with_interval(one, measures.OVERALL),
                "clips": f"{len(one['clips'])}",
            }
            for one in evaluations
        ],
        f"Means over {'files' if footage else 'prompts'} that are for choosing only; in brackets the interval of 95%.",
    )
    return page


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


def _copy(registry: Registry, name: str, out: Path) -> ModelVersion:
    """Return a version of the registry as a copy below `out`."""
    with tempfile.TemporaryDirectory() as temporary:
        source = registry.fetch(name, Path(temporary))
        shutil.copytree(source.path, out / name, dirs_exist_ok=True)
    return ModelVersion(out / name, source.digest)
