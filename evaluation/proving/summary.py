"""The figures of a run as JSON and as Markdown."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from evaluation.calibration import entries
from evaluation.intervals import Share
from evaluation.proving import figures, page
from evaluation.proving.run import Rows


def as_json(rows: Rows) -> dict[str, Any]:
    """Return the figures of a run as plain values."""
    fitted = entries()
    told = {
        "evaluator": rows.evaluator,
        "types": figures.by_type(rows.table, fitted),
        "false_alarms": figures.false_alarms(rows.table),
        "nulls": figures.nulls(rows.table),
        "beside": figures.beside(rows.table, fitted),
        "ways": figures.by_way(rows.table, fitted),
        "unmeasured": figures.unmeasured(rows.table),
        "frames_a_second": figures.speed(rows.table),
        "crashes": rows.crashes,
    }
    plain: dict[str, Any] = _plain(told)
    return plain


def as_markdown(rows: Rows) -> str:
    """Return the tables of a run, in the order of the page, as Markdown."""
    types, alarms = figures.by_type(rows.table, entries()), figures.false_alarms(rows.table)
    short = [{"what": a, "asked": b, "is": c} for a, b, c in page.shortfalls(types, alarms)]
    pairs = figures.beside(rows.table, entries())
    parts = [page.sentence(types, alarms, pairs), "", *table(short), ""]
    for family in sorted({row["family"] for row in types}):
        parts += [
            f"### {family}",
            "",
            *table([page.type_row(r) for r in types if r["family"] == family and r["failing"]]),
            "",
        ]
    parts += ["### Faultless clips", "", *table([page.alarm_row(row) for row in alarms]), ""]
    parts += ["### What must lose", "", *table([page.null_row(row) for row in figures.nulls(rows.table)]), ""]
    parts += ["### Beside itself", "", *table([page.beside_row(row) for row in pairs])]
    return "\n".join([*parts, ""])


def table(rows: Sequence[Mapping[str, str]]) -> list[str]:
    """Return the lines of a Markdown table; the first row's keys are the columns."""
    if not rows:
        return []
    lines = ["| " + " | ".join(rows[0]) + " |", "|" + "---|" * len(rows[0])]
    return lines + ["| " + " | ".join(row.values()) + " |" for row in rows]


def _plain(value: Any) -> Any:
    if isinstance(value, Share):
        return asdict(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value.item() if hasattr(value, "item") else value
