"""What the pipeline's machinery costs: a run of steps that do nothing, and the same again from the cache.

    python -m benchmarks.pipeline

The figure is the wall time of a whole run, the start of the runner and its end included, divided by its steps.
"""

import os
import tempfile
import time
from pathlib import Path

from kfp import dsl

from pipelines.runner import execute
from pipelines.state import RunState
from pipelines.view import LinesView
from pipelines.workspace import Workspace

STEPS = 11  # as many as the world simulator's


@dsl.component(base_image="kinora/python:benchmark", install_kfp_package=False)
def nothing(before: str, metrics: dsl.Output[dsl.Metrics]) -> str:
    """Do nothing, as every step does it."""
    from components.runtime.step import running

    with running("nothing", metrics.path.rpartition("/")[0]) as step:
        step.measured(metrics, {"figure": 1})
    return before


@dsl.pipeline(name="nothing")
def pipeline():
    """Steps in a row."""
    before = "start"
    for _ in range(STEPS):
        before = nothing(before=before).outputs["Output"]


def seconds(work: Path) -> float:
    """Run the pipeline in `work`; return its wall time."""
    with Workspace(work).new_run() as run, open(os.devnull, "w") as nowhere:
        start = time.perf_counter()
        execute(run, "benchmarks.pipeline:pipeline", {}, RunState((), {}, run.progress), LinesView(nowhere))
        return time.perf_counter() - start


def measure() -> str:
    """Return the benchmark as a section of Markdown."""
    with tempfile.TemporaryDirectory() as folder:
        first, again = seconds(Path(folder)), seconds(Path(folder))
    lines = [
        "## Pipeline",
        "",
        f"{STEPS} steps that do nothing, in a row; the start and the end of the runner included.",
        "",
        "| | seconds a step | seconds in all |",
        "|---|---|---|",
        f"| run | {first / STEPS:.2f} | {first:.1f} |",
        f"| again, from the cache | {again / STEPS:.2f} | {again:.1f} |",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(measure())
