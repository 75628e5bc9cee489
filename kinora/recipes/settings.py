"""Single values of a recipe, set by dotted names: `transformer.steps=500 ingest.worlds.sizes=[[32,32],[48,32]]`.

A value is what the field's type says: a number, true or false, a text, or JSON for what has parts. JSON of a nested
configuration sets the fields that it names and leaves the others.
"""

import dataclasses
import difflib
import json
import re
import typing
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from kinora.config import from_dict, to_dict
from kinora.errors import UsageError
from kinora.recipes.recipe import Recipe

KINDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
NAME, WORD = re.compile(r"(?:\A|\s+)([A-Za-z_][\w.]*)="), re.compile(r"\S*")


def with_settings(recipe: Recipe, settings: str) -> Recipe:
    """Return `recipe` with other values.

    Raises:
        UsageError: if a name or a value is wrong, or the parts do not fit each other any more.
    """
    plain = to_dict(recipe)
    for name, value in assignments(settings):
        _assign(Recipe, plain, name.split("."), value, name)
    return from_dict(Recipe, plain)


def assignments(settings: str) -> Iterator[tuple[str, Any]]:
    """Yield the names and values of `name=value name=value`; a value is JSON, or a text up to the next space.

    Raises:
        UsageError: if the text is not of this form.
    """
    settings, place = settings.strip(), 0
    while place < len(settings):
        match = NAME.match(settings, place)
        if match is None:
            rest = settings[place:].strip()
            raise UsageError(f"'{rest}' is no setting; give name=value, such as transformer.steps=500.")
        name, place = match[1], match.end()
        if settings[place : place + 1] in ("[", "{", '"'):
            try:
                value, place = json.JSONDecoder().raw_decode(settings, place)
            except ValueError as error:
                raise UsageError(
                    f"the value of {name} is not whole JSON ({error}); in a shell, put single quotes around it."
                ) from error
            yield name, value
        else:
            word = WORD.match(settings, place)
            assert word is not None
            place = word.end()
            yield name, word[0]


def to_json(recipe: Recipe) -> str:
    """Return a recipe as compact JSON that `from_json` reads.

    Raises:
        UsageError: if it holds what JSON cannot carry, such as a class of your own.
    """
    text = json.dumps(to_dict(recipe), separators=(",", ":"))
    if from_json(text) != recipe:
        raise UsageError(
            f"the recipe {recipe.name} holds more than Kinora's own configurations; a run cannot carry it."
        )
    return text


def from_json(text: str) -> Recipe:
    """Return the recipe that `to_json` wrote.

    Raises:
        UsageError: if the text is no whole recipe.
    """
    try:
        return from_dict(Recipe, json.loads(text))
    except ValueError as error:
        raise UsageError(
            f"the settings of a custom recipe are no whole recipe as JSON ({error}); `kinora pipeline` writes them."
        ) from error


def _assign(kind: type, plain: dict[str, Any], path: list[str], value: Any, said: str) -> None:
    """Set the field of a configuration of type `kind`, given as `plain` values, that `path` leads to."""
    name, *rest = path
    hints = typing.get_type_hints(kind)
    nested = dataclasses.is_dataclass(hints.get(name))
    if name not in hints or (rest and not nested):
        raise UsageError(f"there is no setting '{said}'; the nearest is '{_nearest(said)}'.")
    if rest:
        _assign(hints[name], plain[name], rest, value, said)
    elif nested and isinstance(value, dict):
        for key, inner in value.items():
            _assign(hints[name], plain[name], [key], inner, f"{said}.{key}")
    else:
        plain[name] = _converted(hints[name], value, plain[name], said)


def _converted(hint: Any, value: Any, now: Any, said: str) -> Any:
    """Return `value` as plain values of the type `hint`."""
    if isinstance(value, str) and hint is not str:
        with suppress(ValueError):  # a bare text stays one: the type may allow it
            value = json.loads(value, parse_constant=_refuse)
    try:
        if typing.get_origin(hint) is tuple and not isinstance(value, list):
            raise ValueError(f"{value!r} is no list")  # a text would become a tuple of its letters
        return to_dict(from_dict(hint, value))
    except ValueError as error:
        kind = KINDS.get(hint, "JSON")
        raise UsageError(
            f"{said} cannot be {json.dumps(value)}; give {kind}, such as {json.dumps(now, separators=(',', ':'))}."
        ) from error


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number that can be used")


def _nearest(said: str) -> str:
    return difflib.get_close_matches(said, list(_names(Recipe)), n=1, cutoff=0)[0]


def _names(kind: type, before: str = "") -> Iterator[str]:
    """Yield the dotted name of every field, nested ones too."""
    for name, hint in typing.get_type_hints(kind).items():
        yield before + name
        if dataclasses.is_dataclass(hint):
            yield from _names(typing.cast(type, hint), f"{before}{name}.")
