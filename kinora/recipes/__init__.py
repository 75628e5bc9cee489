"""Recipes by name, or anyone's own by the place of its function; single values are set beside it.

A named recipe is a module here with a function of its name, listed in `NAMES`.
"""

import importlib
from typing import TYPE_CHECKING

from kinora.errors import UsageError

if TYPE_CHECKING:
    from kinora.recipes.recipe import Recipe

NAMES = ("tiny", "smoke", "phyworld", "reference", "base")
CUSTOM = "custom"  # the recipe is whole, as JSON, in the settings: how one of your own travels to a step or a cluster
MOST_BYTES = 10_000  # of one parameter of a run, to Kubeflow Pipelines


def get(recipe: str, settings: str = "") -> "Recipe":
    """Return a recipe.

    Args:
        recipe: one of `NAMES`, `path/to/file.py:function` or `package.module:function`, or `CUSTOM`.
        settings: single values, such as `transformer.steps=500 sampling.guidance=3`; of `CUSTOM`, the recipe as JSON.

    Raises:
        UsageError: if there is no such recipe or setting, a value is of the wrong type, or the whole does not fit
            together.
    """
    if recipe == CUSTOM:
        from kinora.recipes.settings import from_json

        return from_json(settings)
    found = _find(recipe)
    if not settings.strip():
        return found
    from kinora.recipes.settings import with_settings

    return with_settings(found, settings)


def portable(recipe: str, settings: str = "") -> tuple[str, str]:
    """Return a recipe and settings that mean the same on any machine: one of your own becomes `CUSTOM` and JSON.

    Raises:
        UsageError: as `get`, or if it is too long for a parameter of a run.
    """
    found = get(recipe, settings)
    if recipe not in NAMES:
        from kinora.recipes.settings import to_json

        recipe, settings = CUSTOM, to_json(found)
    size = len(settings.encode())
    if size > MOST_BYTES:
        raise UsageError(
            f"the settings of the recipe {found.name} have {size:,} bytes, and a run's parameter holds {MOST_BYTES:,}; "
            f"make the recipe shorter, or add it to kinora/recipes/ and name it."
        )
    return recipe, settings


def _find(recipe: str) -> "Recipe":
    if recipe in NAMES:
        found: Recipe = getattr(importlib.import_module(f"kinora.recipes.{recipe}"), recipe)()
        return found
    if ":" not in recipe:
        raise UsageError(
            f"there is no recipe '{recipe}'; the recipes are {', '.join(NAMES)}, or one of your own as "
            "path/to/file.py:function."
        )
    from kinora.recipes.own import load

    return load(recipe)
