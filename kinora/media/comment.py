"""How a clip was made, as the one text that every format has a field for: JSON."""

import json
from collections.abc import Mapping
from typing import Any

Metadata = Mapping[str, Any]
MOST_CHARACTERS = 2**20  # of the JSON that is read


def metadata_text(metadata: Metadata | None) -> str:
    """Return metadata as JSON, empty where there is none: characters as they are, half surrogates escaped."""
    if not metadata:
        return ""
    return json.dumps(metadata, ensure_ascii=False).encode("utf-8", "backslashreplace").decode()


def metadata_of(text: str | bytes | None) -> dict[str, Any]:
    """Return the object that JSON holds; an empty one of anything else, such as the comment of another tool."""
    if not text or len(text) > MOST_CHARACTERS:
        return {}
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
