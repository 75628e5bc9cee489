"""A recipe of one's own: the whole pipeline on the reader's clips, small enough to try.

kinora pipeline run --source FOLDER --recipe examples/own_recipe.py:small
"""

from dataclasses import replace

from kinora import recipes
from kinora.recipes.recipe import Recipe


def small() -> Recipe:
    """Start from a recipe that is there, and say what is different."""
    base = recipes.get("smoke")
    return replace(
        base,
        name="small",
        ingest=replace(base.ingest, max_side=32, fps=6.0),
        transformer=replace(base.transformer, model=replace(base.transformer.model, depth=3), steps=40),
    )
