"""What the checkpoints of a run are asked for: one set to choose the best of them by, another to decide about it.

The two have no prompt, no seed and no file in common. The second is drawn anew for every candidate, from the digest of
what was trained, so that nothing can have been chosen by it, and the same candidate is asked the same again.
"""

import zlib
from collections.abc import Collection
from dataclasses import replace
from typing import Any

from evaluation.footage import ContinuationTask, held_out_videos, tasks_of
from kinora.data.clips import ClipDataset
from kinora.errors import KinoraError
from kinora.recipes.recipe import Recipe
from kinora.worlds import Attributes, EvaluationPrompt, evaluation_prompts, parse, understood
from kinora.worlds.sampling import split_combinations

Asked = list[EvaluationPrompt] | list[ContinuationTask]
SEEDS = 2**30  # seeds of decisions lie below this, those to choose by above
CHOOSING_SHARE = 4  # of a person's files or captions, one in so many is to choose by


def simulated(dataset: ClipDataset) -> bool:
    """Say whether the clips are simulated worlds; a person's own files have none among them."""
    return any((piece["caption_source"] == "simulator").any() for piece in dataset.pieces(["caption_source"]))


def selection_questions(dataset: ClipDataset, recipe: Recipe) -> Asked:
    """Return what all checkpoints trained on `dataset` are asked for, so that the best can be chosen.

    Where the clips are simulated, those are prompts of the recipe's held-out combinations. Of a person's own files, the
    held-out videos are to be continued; where only images are held out, the captions that people wrote for them are
    asked for. What a captioner wrote is never asked for: it may be wrong.

    Raises:
        KinoraError: if nothing is held out that could be asked for.
    """
    plan, worlds = recipe.evaluation, recipe.ingest.worlds
    seed = SEEDS + plan.seed
    if simulated(dataset):
        return evaluation_prompts(worlds, plan.prompts, seed, split_combinations(worlds)[1][: plan.prompts])
    return _of_own_files(dataset, recipe, plan.prompts, seed, choosing=True)


def decision_questions(dataset: ClipDataset, recipe: Recipe, candidate: str) -> Asked:
    """Return what the chosen checkpoint and its rival are asked for, of which nothing was asked before.

    Args:
        dataset: what the candidate was trained on.
        recipe: with which settings.
        candidate: the digest of what was trained, in hexadecimal, its first 12 digits at least.

    Raises:
        KinoraError: if nothing is left that no checkpoint was chosen by.
    """
    plan, worlds = recipe.evaluation, recipe.ingest.worlds
    most = plan.decision_prompts * plan.seeds
    seed = int(candidate[:12], 16) % (SEEDS - most)
    if not simulated(dataset):
        return _of_own_files(dataset, recipe, most, seed, choosing=False)
    rest = split_combinations(worlds)[1][plan.prompts :]
    if not rest:
        raise KinoraError(
            f"all {worlds.held_out} held-out combinations are used to choose a checkpoint, and none is left to decide "
            "by; set evaluation.prompts lower, or ingest.worlds.held_out higher."
        )
    prompts = evaluation_prompts(worlds, min(plan.decision_prompts, len(rest)), seed, rest)
    return [
        replace(prompt, seed=seed + number * plan.seeds + again)
        for number, prompt in enumerate(prompts)
        for again in range(plan.seeds)
    ]


def _of_own_files(dataset: ClipDataset, recipe: Recipe, number: int, seed: int, *, choosing: bool) -> Asked:
    """Return tasks or prompts of a person's own files, of those to choose by or of the others."""
    videos = held_out_videos(dataset)
    if videos:
        files = _part({str(row["source"]) for row in videos}, choosing)
        rows = [row for row in videos if row["source"] in files]
        return tasks_of(rows, recipe.grid, recipe.ingest.fps, number, seed)
    return _captions_by_people(dataset, recipe, number, seed, choosing)


def _part(names: Collection[str], choosing: bool) -> set[str]:
    """Return the names to choose by, at least one, or the others; the same one for both where there is no other."""
    ordered = sorted(names, key=lambda name: (zlib.crc32(name.encode()), name))
    first = max(1, len(ordered) // CHOOSING_SHARE)
    return set(ordered[:first] if choosing else ordered[first:] or ordered)


def _captions_by_people(
    dataset: ClipDataset, recipe: Recipe, number: int, seed: int, choosing: bool
) -> list[EvaluationPrompt]:
    """Return the captions of held-out images that people wrote, in turn until there are `number`."""
    rows: list[dict[Any, Any]] = []
    for piece in dataset.pieces(["split", "caption", "caption_source", "width", "height", "frames", "fps"]):
        rows += piece[(piece["split"] == "validation") & (piece["caption_source"] == "human")].to_dict("records")
    if not rows:
        raise KinoraError(
            f"there is nothing to judge a model by: of the {len(dataset)} clips, no video is held out, and no image "
            "with a caption by a person; give more videos, or captions."
        )
    captions = _part({str(row["caption"]) for row in rows}, choosing)
    rows = [row for row in rows if row["caption"] in captions]
    return [
        EvaluationPrompt(
            prompt=row["caption"],
            attributes=(parse(row["caption"]) if understood(row["caption"]) else None) or Attributes(()),
            width=row["width"],
            height=row["height"],
            frames=row["frames"],
            fps=row["fps"] or recipe.ingest.fps,  # an image has none
            seed=seed + place,
        )
        for place in range(number)
        for row in [rows[place % len(rows)]]
    ]
