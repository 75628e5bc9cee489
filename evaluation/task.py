"""One task of an evaluation: a checkpoint or the deployed version is asked for its part of what all are asked for."""

import tempfile
from pathlib import Path
from typing import Any

from evaluation.checkpoint import evaluate_checkpoint
from evaluation.prompts import decision_questions, selection_questions, simulated
from evaluation.shards import work_of
from kinora.config import to_dict
from kinora.data.clips import ClipDataset
from kinora.generation import Registry, VideoGenerator
from kinora.generation.generator import usual_format
from kinora.recipes.recipe import Recipe


def evaluate_item(
    item: str,
    transformer: Path,
    autoencoder: Path,
    clips: ClipDataset,
    recipe: Recipe,
    registry: Registry,
    out: Path,
    name: str = "",
) -> dict[str, Any]:
    """Do what `item` names and write it to `out`, as `evaluate_checkpoint` does, whose result is returned.

    Args:
        item: as `evaluation.shards` names work; "" for the last checkpoint.
        transformer: folder of all checkpoints of a run.
        autoencoder: folder of the run's autoencoder.
        clips: what was trained on.
        recipe: with which settings.
        registry: holds the version that is deployed.
        out: folder for the results.
        name: what the report calls the model, if not by its own name.

    Raises:
        KinoraError: as `evaluate_checkpoint`, or if a version is asked that the registry does not hold whole.
    """
    work, plan = work_of(item), recipe.evaluation
    checkpoint = transformer / work.model if work.model else max(transformer.glob("step-*"))
    asked = decision_questions(clips, recipe, work.candidate) if work.candidate else selection_questions(clips, recipe)
    with tempfile.TemporaryDirectory() as temporary:
        if checkpoint.is_dir():
            generator = VideoGenerator.load(autoencoder, checkpoint, recipe.sampling, usual_format(to_dict(recipe)))
        else:
            generator = VideoGenerator.from_version(registry.fetch(work.model, Path(temporary)).path)
            name = name or f"the deployed model {work.model}"
        return evaluate_checkpoint(
            generator,
            asked,
            out,
            name=name or checkpoint.name,
            worlds=recipe.ingest.worlds if simulated(clips) else None,
            dataset=clips,
            backends=plan.backends,
            shard=work.shard,
            features=plan.features,
        )
