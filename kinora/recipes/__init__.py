"""Named recipes. `get` finds one; a new recipe is a module with a function of its name, listed in `NAMES`."""

import importlib
from typing import TYPE_CHECKING

from kinora.errors import UsageError

if TYPE_CHECKING:
    from kinora.recipes.recipe import Recipe

NAMES = ("tiny", "smoke")


def get(name: str) -> "Recipe":
    """Return the recipe called `name`.

    Raises:
        UsageError: if there is none.
    """
    if name not in NAMES:
        raise UsageError(f"there is no recipe '{name}'; the recipes are: {', '.join(NAMES)}.")
    return getattr(importlib.import_module(f"kinora.recipes.{name}"), name)()
