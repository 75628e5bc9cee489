"""Configurations are frozen dataclasses; the resolved one is written as JSON beside what it produced."""

import hashlib
import json
from pathlib import Path
from typing import Any, TypeVar

import cattrs

from kinora.files import atomic_write

T = TypeVar("T")
_converter = cattrs.Converter(forbid_extra_keys=True, detailed_validation=False)


def to_dict(config: Any) -> Any:
    """Turn a configuration into plain dicts, lists, strings and numbers."""
    return json.loads(json.dumps(_converter.unstructure(config)))


def from_dict(kind: type[T], value: Any) -> T:
    """Build a configuration of type `kind`; unknown keys and wrong types raise `cattrs` errors."""
    return _converter.structure(value, kind)


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
