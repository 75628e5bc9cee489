"""The log of a training, `training.jsonl`: a row every few steps, as a JSON object on a line of its own.

A row has `step`, `loss` (the mean since the row before), `seconds` (of all runs together), `held_out_loss` where it was
measured, and figures of the trainer's own.
"""

import json
from pathlib import Path
from typing import Any

TAIL_BYTES = 2**16  # holds the last rows of a log
SHOWN = ("loss", "held_out_loss", "psnr", "tokens_per_s")  # with the progress, where a row has them


def append_row(log: Path, row: dict[str, Any]) -> None:
    """Write one more row."""
    with open(log, "a") as file:
        file.write(json.dumps(row) + "\n")


def read_rows(log: Path) -> list[dict[str, Any]]:
    """Return the rows of a finished log, none if there is no file."""
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def last_row(log: Path) -> dict[str, Any] | None:
    """Return the last whole row of a log that another process may be writing or replacing, or None.

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


def shown_figures(row: dict[str, Any]) -> dict[str, float]:
    """Return the figures of a row that are shown with the progress."""
    return {name: row[name] for name in SHOWN if isinstance(row.get(name), int | float)}
