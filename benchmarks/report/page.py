"""Filling docs/report.md: what the scripts made goes between the marks of each section, and nothing else changes."""

import datetime
import os
import platform
import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.report.studio import Section
from kinora.config import read_json, write_json

MARK = re.compile(r"<!-- (\w+): written by `[^`]*` -->\n(.*?)<!-- end of \1 -->", re.DOTALL)


def keep(folder: Path, name: str, section: Section, seconds: float, model: str) -> None:
    """Write what a section is, when and where it was made, beside its pictures."""
    where = f"{os.cpu_count()} cores ({_processor()})"
    record = asdict(section) | {"date": str(datetime.date.today()), "seconds": round(seconds), "where": where}
    write_json(folder / f"{name}.json", record | {"model": model})


def fill(page: Path, folder: Path) -> None:
    """Fill every place of a page that has a record in `folder`."""
    text = page.read_text()
    filled = MARK.sub(lambda found: _place(found[1], folder, os.path.relpath(folder, page.parent)), text)
    if filled != text:
        page.write_text(filled)


def places(text: str) -> list[str]:
    """Return the names of the sections that a page has places for, in order."""
    return [found[1] for found in MARK.finditer(text)]


def _place(name: str, folder: Path, address: str) -> str:
    command, path = f"python -m benchmarks.report {name}", folder / f"{name}.json"
    inside = markdown(read_json(path), address) if path.exists() else f"*Not made yet: `{command}` makes it.*"
    return f"<!-- {name}: written by `{command}` -->\n\n{inside}\n\n<!-- end of {name} -->"


def markdown(record: Mapping[str, Any], address: str) -> str:
    """Return a section's record as Markdown, its pictures at `address`."""
    parts = []
    for shown in record["shown"]:
        alt = shown["caption"].replace("[", "(").replace("]", ")")
        parts += [f"![{alt}]({address}/{shown['file']})", f"*{shown['caption']}*"]
    by = f" with model `{record['model']}`" if record["model"] else ""
    made = f"Made on {record['date']}{by} in {record['seconds']} s, on {record['where']}."
    return "\n\n".join([*parts, *record["lines"], made])


def _processor() -> str:
    names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return names[0].split(": ")[1] if names else platform.processor()
