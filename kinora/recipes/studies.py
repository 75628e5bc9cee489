"""The trainings that a study compares: each is the recipe with a few values changed, under a name of its own."""

from dataclasses import replace

from kinora.errors import UsageError
from kinora.recipes.recipe import Recipe

SCALING, NATIVE, SQUARE = "scaling", "native", "square"
GROUPS = (SCALING, NATIVE, SQUARE)


def arms(recipe: Recipe, group: str) -> dict[str, Recipe]:
    """Return the trainings of a group by name, those that take longest first, so that a loop ends early.

    `scaling` trains at every multiple of `study.compute`: the same network on more and more steps, each with a schedule
    of its own. `native` and `square` train alike, on other clips.

    Raises:
        UsageError: if there is no such group, or a training is left without a step.
    """
    plan, whole = recipe.study, recipe.transformer.steps
    if group == SCALING:
        most = max(plan.compute)
        steps = {f"{times}x": round(whole * times / most) for times in sorted(set(plan.compute), reverse=True)}
    elif group in (NATIVE, SQUARE):
        steps = {group: round(whole * plan.framing)}
    else:
        raise UsageError(f"there is no group of trainings '{group}'; the groups are {', '.join(GROUPS)}.")
    if min(steps.values()) < 1:
        raise UsageError(f"transformer.steps is {whole}, which leaves {min(steps, key=steps.__getitem__)} without one.")
    return {
        f"{name}-seed-{seed}": _varied(recipe, count, seed)
        for name, count in steps.items()
        for seed in range(plan.seeds)
    }


def varied(recipe: Recipe, arm: str) -> Recipe:
    """Return the recipe of the training `arm`; with "" the recipe itself.

    Raises:
        UsageError: if no study of this recipe has such a training.
    """
    if not arm:
        return recipe
    group = arm.partition("-")[0]
    found = arms(recipe, group if group in GROUPS else SCALING)
    if arm not in found:
        raise UsageError(f"no study of the recipe {recipe.name} has the training '{arm}'; it has {', '.join(found)}.")
    return found[arm]


def setting_of(arm: str) -> str:
    """Return what an arm shares with those of other seeds: "32x" of "32x-seed-0"."""
    return arm.rpartition("-seed-")[0]


def _varied(recipe: Recipe, steps: int, seed: int) -> Recipe:
    """Return the recipe with so many steps, the warm-up in proportion. Only the untrained and the last model are kept.

    A training gets one process: a study's trainings run side by side.
    """
    warmup = round(recipe.transformer.warmup_steps * steps / recipe.transformer.steps)
    transformer = replace(
        recipe.transformer,
        steps=steps,
        warmup_steps=warmup,
        seed=recipe.transformer.seed + seed,
        checkpoints=2,
        samples=2,
    )
    return replace(recipe, transformer=transformer, compute=replace(recipe.compute, processes=1))
