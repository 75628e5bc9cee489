"""How right the detectors are, on clips whose truth is known and that they were not built on.

    python -m benchmarks.detectors [--out DIR] [--cases 240]

Real clips are those of the folder that KINORA_TEST_MEDIA names. What is kept in `out` is not judged again.
"""

from pathlib import Path

import tyro

from evaluation.proving.run import Plan, run
from evaluation.proving.summary import as_markdown


def measure(out: Path = Path("benchmark"), cases: int = 240, clips: int = 100) -> str:
    """Return the benchmark as a section of Markdown."""
    rows = run(Plan(cases=cases, clips=clips), out)
    return f"## The detectors, judged\n\n{as_markdown(rows)}"


if __name__ == "__main__":
    print(tyro.cli(measure))
