"""The page of one run: what it made, playing on top, and every step's report in order."""

import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

from kinora.report import Clip, Page
from pipelines.state import RunState, StepState, Task
from pipelines.view import clock

SAID = {
    "waiting": "not reached",
    "running": "interrupted",
    "finished": "ran",
    "cached": "from the cache",
    "failed": "failed",
}
FIGURES_SHOWN = 4


def write_run_page(
    folder: Path, state: RunState, arguments: Mapping[str, Any], clips: Sequence[Clip] = (), notes: Sequence[str] = ()
) -> Path:
    """Write `index.html` and the steps' reports beside it into `folder`; return its path.

    Args:
        state: the run, finished or failed.
        arguments: the pipeline's arguments, to be shown.
        clips: what the promoted model made, shown on top.
        notes: sentences shown above the steps.
    """
    steps = [step for step in state.steps.values() if step.tasks]
    cached = sum(step.status == "cached" for step in steps)
    took = max((task.ended or task.started for step in steps for task in step.tasks), default=state.started)
    page = Page("Run of the world simulator", f"From {arguments.get('source')}, recipe {arguments.get('recipe')}, "
                f"{time.strftime('%d %B %Y, %H:%M', time.localtime(state.started))}.")  # fmt: skip
    page.figures(
        {
            "from start to end": clock(took - state.started),
            "steps that ran": str(len(steps) - cached),
            "steps from the cache": str(cached),
        }
    )
    if clips:
        page.clips(clips)
    for note in notes:
        page.text(note)
    page.heading("Steps")
    rows = []
    for number, step in enumerate(state.steps.values(), start=1):
        for task in step.tasks or [None]:
            rows.append(_row(folder, number, step, task))
    page.table(rows, "Each step's name opens its report.")
    return page.write(folder / "index.html")


def _row(folder: Path, number: int, step: StepState, task: Task | None) -> dict[str, Any]:
    name = f"{step.name} {task.item}".strip() if task else step.name
    status = task.status if task else "waiting"
    took = clock(task.ended - task.started) if task and task.ended and status != "cached" else ""
    report = _copy_report(folder, f"{number:02d}-{name.replace(' ', '-')}.html", task)
    return {
        "step": Markup('<a href="{}">{}</a>').format(report, name) if report else name,
        "": SAID[status],
        "time": took,
        "figures": Markup("<br>").join(escape(text) for text in _figures(task)),
    }


def _copy_report(folder: Path, name: str, task: Task | None) -> str:
    """Copy a task's HTML artifact beside the page; return its file name, or "" if it has none."""
    for artifact in task.artifacts.values() if task else ():
        if artifact["type"] == "system.HTML" and Path(artifact["path"]).is_file():
            shutil.copy(artifact["path"], folder / name)
            return name
    return ""


def _figures(task: Task | None) -> list[str]:
    """Return the first of a task's metrics as text."""
    found = []
    for artifact in task.artifacts.values() if task else ():
        if artifact["type"] == "system.Metrics":
            figures = {name: value for name, value in artifact["metadata"].items() if isinstance(value, int | float)}
            found += [f"{name.replace('_', ' ')} {value:.4g}" for name, value in figures.items()]
    return found[:FIGURES_SHOWN]
