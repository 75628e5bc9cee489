"""Configurations are frozen dataclasses; the resolved one is written as JSON beside what it produced."""

import hashlib
import json
from pathlib import Path
from typing import Any, TypeVar

import cattrs

from kinora.files import atomic_write

T = TypeVar("T")
_converter = cattrs.Converter(forbid_extra_keys=True, detailed_validation=False)


def _exactly(value: Any, kind: type) -> Any:
    """Refuse what cattrs would convert: 5.5 to 5, "no" to True, or a list to text."""
    if isinstance(value, bool) is not (kind is bool) or not isinstance(value, (int, float) if kind is float else kind):
        raise ValueError(f"{value!r} is not of type {kind.__name__}")
    return kind(value)


for _kind in (bool, int, float, str):
    _converter.register_structure_hook(_kind, _exactly)


def to_dict(config: Any) -> Any:
    """Turn a configuration into plain dicts, lists, strings and numbers."""
    return json.loads(json.dumps(_converter.unstructure(config)))


def from_dict(kind: type[T], value: Any) -> T:
    """Build a configuration of type `kind` from plain values.

    Raises:
        ValueError: if a key is missing or unknown, or a value is of another type.
        KinoraError: if the configuration itself refuses its values.
    """
    try:
        return _converter.structure(value, kind)
    except KeyError as error:
        raise ValueError(f"{error.args[0]} is missing") from error
    except (TypeError, AttributeError, cattrs.ForbiddenExtraKeysError, cattrs.StructureHandlerNotFoundError) as error:
        raise ValueError(str(error)) from error


def write_json(path: str | Path, value: Any) -> None:
    """Write a configuration or plain value as indented JSON, whole or not at all."""
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(_converter.unstructure(value), indent=2, sort_keys=True) + "\n")


def read_json(path: str | Path) -> Any:
    """Read a JSON file."""
    return json.loads(Path(path).read_text())


def digest(value: Any) -> str:
    """Return the sha256 of a configuration or plain value, in hexadecimal, whatever its key order."""
    text = json.dumps(_converter.unstructure(value), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
