"""The prompts that the checkpoints of a run are evaluated on."""

from kinora.data.clips import ClipDataset
from kinora.recipes.recipe import Recipe
from kinora.worlds import Attributes, EvaluationPrompt, evaluation_prompts, parse


def simulated(dataset: ClipDataset) -> bool:
    """Say whether the clips are simulated worlds; a person's own files have none among them."""
    return bool((dataset.clips["caption_source"] == "simulator").any())


def prompts_for(dataset: ClipDataset, recipe: Recipe) -> list[EvaluationPrompt]:
    """Return what checkpoints trained on `dataset` are asked for.

    Where the clips are simulated, that is the recipe's held-out combinations. A person's own files have no such
    combinations: the captions of their validation clips are asked for, those that name what can be checked where there
    are any, in turn until there are as many as the recipe wants, each with a seed of its own.
    """
    plan, clips = recipe.evaluation, dataset.clips
    unseen = clips[clips["split"] == "validation"]
    videos = unseen[unseen["kind"] == "video"]
    rows = [] if simulated(dataset) else (videos if len(videos) else unseen).to_dict("records")
    captions = [(row, parse(row["caption"])) for row in rows if row["caption"]]
    checked = [(row, attributes) for row, attributes in captions if attributes is not None]
    asked = checked or [(row, Attributes(())) for row, _ in captions]
    if not asked:
        return evaluation_prompts(recipe.ingest.worlds, plan.prompts, plan.seed)
    return [
        EvaluationPrompt(
            prompt=row["caption"],
            attributes=attributes,
            width=row["width"],
            height=row["height"],
            frames=row["frames"],
            fps=row["fps"] or recipe.ingest.fps,  # an image has none
            seed=plan.seed + number,
        )
        for number in range(plan.prompts)
        for row, attributes in [asked[number % len(asked)]]
    ]
