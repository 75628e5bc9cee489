"""A recipe of one's own: a function in a file or a module, without arguments, that returns a `Recipe`."""

import importlib
import importlib.util
import inspect
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from kinora.errors import KinoraError, UsageError
from kinora.recipes.recipe import Recipe

KINORA = str(Path(__file__).parents[1])


def load(reference: str) -> Recipe:
    """Call the function that `reference` names, `path/to/file.py:function` or `package.module:function`.

    Modules are looked for in the current folder too.

    Raises:
        UsageError: if there is no such file, module or function, it fails, or what it returns is no recipe.
    """
    place, _, name = reference.rpartition(":")
    with _in_one_sentence(reference):
        module = _from_file(Path(place)) if place.endswith(".py") else _from_name(place)
        recipe = _function(module, place, name)()
    if not isinstance(recipe, Recipe):
        raise UsageError(f"{reference} returned {type(recipe).__name__}; let it return a kinora.recipes.recipe.Recipe.")
    return recipe


def _from_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise UsageError(f"there is no file {path}; give the file of your recipe as path/to/file.py:function.")
    spec = importlib.util.spec_from_file_location(f"own_recipe_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up there
    spec.loader.exec_module(module)
    return module


def _from_name(name: str) -> ModuleType:
    sys.path.append(os.getcwd())
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise  # the module is there, and what it imports is not
        raise UsageError(
            f"there is no module {name}; give one that can be imported, or path/to/file.py:function."
        ) from error
    finally:
        sys.path.remove(os.getcwd())


def _function(module: ModuleType, place: str, name: str) -> Callable[[], object]:
    function: object = getattr(module, name, None)
    if callable(function):
        return function
    own = [key for key, value in inspect.getmembers(module, inspect.isfunction) if value.__module__ == module.__name__]
    raise UsageError(f"{place} has no function '{name}'; it has {', '.join(own) or 'none'}.")


@contextmanager
def _in_one_sentence(reference: str) -> Iterator[None]:
    """Turn whatever a person's own code raises into one sentence that names the line."""
    try:
        yield
    except KinoraError:
        raise
    except SyntaxError as error:
        raise UsageError(
            f"the recipe {reference} cannot be read: {error.filename}, line {error.lineno}: {error.msg}"
        ) from error
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in frames if not frame.filename.startswith(("<frozen", KINORA))] or frames
        said = " ".join(str(error).split())
        raise UsageError(
            f"the recipe {reference} fails at {own[-1].filename}, line {own[-1].lineno}: {type(error).__name__}: {said}"
        ) from error
