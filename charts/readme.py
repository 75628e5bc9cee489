"""Writes the table of values in a chart's README from its values.yaml: python charts/readme.py [--check]

A line "# -- text" describes the value below it; its default is the value itself.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

import yaml

BEGIN, END = "<!-- values: begin -->\n", "<!-- values: end -->\n"


def described_values(path: Path) -> list[tuple[str, Any, str]]:
    """Return (dotted name, default, description) of each described value of a values.yaml, in its order."""
    values, rows = yaml.safe_load(path.read_text()), []
    keys: list[tuple[int, str]] = []  # the mappings around the current line, by their indentation
    description = ""
    for line in path.read_text().splitlines():
        if comment := re.match(r"\s*# -- (.*)", line):
            description = comment[1]
        elif key := re.match(r"( *)([\w./-]+):", line):
            keys = [k for k in keys if k[0] < len(key[1])] + [(len(key[1]), key[2])]
            if description:
                default = values
                for _, name in keys:
                    default = default[name]
                rows.append((".".join(name for _, name in keys), default, description))
                description = ""
    return rows


def table(path: Path) -> str:
    """Return the Markdown table of a values.yaml."""
    rows = [f"| `{name}` | `{json.dumps(default)}` | {text} |" for name, default, text in described_values(path)]
    return "\n".join(["| value | default | what it is |", "|---|---|---|", *rows]) + "\n"


def with_table(readme: str, values: Path) -> str:
    """Return the README's text with the table between its two markers made anew."""
    head, rest = readme.split(BEGIN)
    return head + BEGIN + table(values) + END + rest.split(END)[1]


def main(argv: list[str]) -> int:
    """Write the READMEs, or with --check say which differ and return 1."""
    stale = []
    for values in sorted(Path(__file__).parent.glob("*/values.yaml")):
        readme = values.with_name("README.md")
        made = with_table(readme.read_text(), values)
        if made != readme.read_text():
            stale.append(readme)
            if "--check" not in argv:
                readme.write_text(made)
    if stale and "--check" in argv:
        print(f"{', '.join(map(str, stale))}: the table differs from values.yaml; run python charts/readme.py.")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
