"""All rows, one after another: `python -m benchmarks.reach`. A row that fails does not stop the others."""

import sys

import tyro

from benchmarks.reach import connect, edit, extend, full_size, given, loop, minute, prompts
from benchmarks.reach.options import Options, Subject, report
from kinora.errors import KinoraError

ROWS = {
    "prompts": prompts,
    "given": given,
    "loop": loop,
    "connect": connect,
    "edit": edit,
    "extend": extend,
    "minute": minute,
    "full_size": full_size,
}


def measure(options: Options) -> str:
    """Return every row as Markdown; each writes its JSON as soon as it is measured."""
    subject = Subject(options)
    sections = ["## What the reference model reaches", "", f"Model version {subject.version.name}.", ""]
    for name, row in ROWS.items():
        print(f"measuring {name}", file=sys.stderr, flush=True)
        try:
            sections.append(report(name, row.TITLE, row.measure, options, subject))
        except KinoraError as error:
            sections.append(f"### {row.TITLE}\n\nCould not be measured: {error}\n")
    return "\n".join(sections)


if __name__ == "__main__":
    print(measure(tyro.cli(Options)))
