"""The log of a training, `training.jsonl`: a row every few steps, as a JSON object on a line of its own."""

import json
from pathlib import Path
from typing import Any

TAIL_BYTES = 2**16  # holds the last rows of a log


def last_row(log: Path) -> dict[str, Any] | None:
    """Return the last whole row of a log that another process may be writing or cutting, or None.

    Nothing is remembered between calls and nothing unreadable is an error: whoever watches must not end the training.
    """
    try:
        with open(log, "rb") as file:
            file.seek(max(0, file.seek(0, 2) - TAIL_BYTES))
            lines = file.read().split(b"\n")[:-1]  # what follows the last line break is still being written
    except OSError:
        return None
    for line in reversed(lines):
        try:
            row = json.loads(line)
        except ValueError:  # not JSON, or not UTF-8
            continue
        if isinstance(row, dict) and isinstance(row.get("step"), int):
            return row
    return None
