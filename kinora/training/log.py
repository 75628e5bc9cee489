"""The log of a training, `training.jsonl`: a row every few steps, as a JSON object on a line of its own.

A row has `step`; means over all ranks since the row before (`loss`, `gradient_norm`, what else the trainer's steps
return); `learning_rate`; `skipped_steps`, where a trainer may skip one; `held_out_loss` and its parts where it was
measured; and the columns `MEASURED`.
"""

import json
from pathlib import Path
from typing import Any

TAIL_BYTES = 2**16  # holds the last rows of a log
SHOWN = ("loss", "held_out_loss", "psnr", "tokens_per_s")  # with the progress, where a row has them
# Columns that differ between two runs of one training. `seconds` and `measuring_seconds` (held-out loss and samples)
# are of all runs together; the others are of the steps since the row before. `data_wait` is the share of the steps'
# time that they waited for their batch, `memory_gib` the most memory that a rank has held (of a GPU, where it has one).
MEASURED = ("seconds", "measuring_seconds", "steps_per_s", "tokens_per_s", "data_wait", "memory_gib")


def append_row(log: Path, row: dict[str, Any]) -> None:
    """Write one more row, on a line of its own even where the one before could not be written to its end."""
    with open(log, "a+b") as file:
        torn = b""
        if file.tell() > 0:
            file.seek(-1, 2)
            torn = b"" if file.read(1) == b"\n" else b"\n"
        file.write(torn + json.dumps(row).encode() + b"\n")


def read_rows(log: Path) -> list[dict[str, Any]]:
    """Return the whole rows of a log, none if there is no file; a row that was not written to its end is left out."""
    lines = log.read_bytes().split(b"\n") if log.is_file() else []
    return [row for line in lines if (row := _row(line)) is not None]


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
    return next((row for line in reversed(lines) if (row := _row(line)) is not None), None)


def shown_figures(row: dict[str, Any]) -> dict[str, float]:
    """Return the figures of a row that are shown with the progress."""
    return {name: row[name] for name in SHOWN if isinstance(row.get(name), int | float)}


def _row(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except ValueError:  # not JSON, or not UTF-8
        return None
    return row if isinstance(row, dict) and isinstance(row.get("step"), int) else None
