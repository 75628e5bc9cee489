"""What several commands share: the options of recipes and places, and how they are named in the help."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

if TYPE_CHECKING:
    from kinora.recipes.recipe import Recipe

Folder = Annotated[Path, tyro.conf.arg(metavar="FOLDER")]
File = Annotated[Path, tyro.conf.arg(metavar="FILE")]
Dataset = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DATASET", help="Folder of a clip dataset.")]
Out = Annotated[Path, tyro.conf.arg(metavar="FOLDER", help="Folder that the result is written to, with its page.")]
RecipeName = Annotated[
    str,
    tyro.conf.arg(
        metavar="RECIPE",
        help="Recipe by name (tiny, smoke, phyworld, reference, base), or your own: path/to/file.py:function or "
        "module:function.",
    ),
]
Settings = Annotated[
    tuple[str, ...],
    tyro.conf.UseAppendAction,
    tyro.conf.arg(
        name="set",
        metavar="NAME=VALUE",
        help="Another value of the recipe, such as transformer.steps=500. Repeat it for more.",
        help_behavior_hint="",
    ),
]
ArtifactRoot = Annotated[
    str,
    tyro.conf.arg(
        metavar="PLACE",
        help="Folder or s3://BUCKET/PREFIX with the registry of model versions.",
        help_behavior_hint="(default: KINORA_ARTIFACT_ROOT, or artifacts in the work folder)",
    ),
]
Work = Annotated[Path, tyro.conf.arg(metavar="FOLDER", help="Work folder: what is made and served here is kept in it.")]


def joined(settings: tuple[str, ...]) -> str:
    """Return the settings as the one text that recipes and the pipeline take."""
    return " ".join(settings)


def chosen(recipe: str, settings: tuple[str, ...]) -> "Recipe":
    """Return the recipe that a person named, with the values that they set.

    Raises:
        UsageError: if there is no such recipe or setting, or a value does not fit.
    """
    from kinora import recipes

    return recipes.get(recipe, joined(settings))
