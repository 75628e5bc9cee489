"""What the checkpoints of a run are asked for, which is what they are judged by."""

from collections.abc import Mapping
from typing import Any

from evaluation.footage import ContinuationTask, tasks_of
from kinora.config import from_dict
from kinora.data.clips import ClipDataset
from kinora.errors import KinoraError
from kinora.recipes.recipe import Recipe
from kinora.worlds import Attributes, EvaluationPrompt, evaluation_prompts, parse, understood

Asked = list[EvaluationPrompt] | list[ContinuationTask]


def simulated(dataset: ClipDataset) -> bool:
    """Say whether the clips are simulated worlds; a person's own files have none among them."""
    return any((piece["caption_source"] == "simulator").any() for piece in dataset.pieces(["caption_source"]))


def prompts_for(dataset: ClipDataset, recipe: Recipe) -> Asked:
    """Return what checkpoints trained on `dataset` are asked for, as many as the recipe wants, each with its own seed.

    Where the clips are simulated, those are prompts of the recipe's held-out combinations. Of a person's own files, the
    held-out videos are to be continued; where only images are held out, the captions that people wrote for them are
    asked for. What a captioner wrote is never asked for: it may be wrong.

    Raises:
        KinoraError: if nothing is held out that could be asked for.
    """
    plan = recipe.evaluation
    if simulated(dataset):
        return evaluation_prompts(recipe.ingest.worlds, plan.prompts, plan.seed)
    tasks = tasks_of(dataset, recipe.grid, recipe.ingest.fps, plan.prompts, plan.seed)
    return tasks or _captions_by_people(dataset, recipe)


def asked_again(asked: Mapping[str, Any]) -> EvaluationPrompt | ContinuationTask:
    """Return what was asked for, from a record of an evaluation."""
    return from_dict(ContinuationTask, asked) if "given" in asked else from_dict(EvaluationPrompt, asked)


def _captions_by_people(dataset: ClipDataset, recipe: Recipe) -> list[EvaluationPrompt]:
    """Return the captions of held-out images that people wrote, in turn until there are as many as the recipe wants."""
    plan, clips = recipe.evaluation, dataset.clips
    rows = clips[(clips["split"] == "validation") & (clips["caption_source"] == "human")].to_dict("records")
    if not rows:
        raise KinoraError(
            f"there is nothing to judge a model by: of the {len(clips)} clips, no video is held out, and no image with "
            "a caption by a person; give more videos, or captions."
        )
    return [
        EvaluationPrompt(
            prompt=row["caption"],
            attributes=(parse(row["caption"]) if understood(row["caption"]) else None) or Attributes(()),
            width=row["width"],
            height=row["height"],
            frames=row["frames"],
            fps=row["fps"] or recipe.ingest.fps,  # an image has none
            seed=plan.seed + number,
        )
        for number in range(plan.prompts)
        for row in [rows[number % len(rows)]]
    ]
