"""The page of one run: what it made, playing on top, and every step's report in order."""

import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from kinora.config import read_json
from kinora.media import enlarge
from kinora.report import Clip, Page
from pipelines.state import RunState, StepState, Task, gate_reason, report_name
from pipelines.view import clock

SAID = {
    "waiting": "not reached",
    "running": "interrupted",
    "finished": "ran",
    "cached": "from the cache",
    "failed": "failed",
}
# Which figures of a step are worth a glance; its report has all of them.
FIGURES = {
    "ingest": ("videos", "images", "quarantined"),
    "train-captioner": ("accuracy_colour", "accuracy_shape", "accuracy_background", "accuracy_motion"),
    "caption": ("captioned", "kept"),
    "publish-features": ("clips", "drifted_share"),
    "train-autoencoder": ("psnr_video", "psnr_image"),
    "encode-latents": ("clips", "latent_values"),
    "evaluate": ("overall", "colour_right", "shape_right", "motion_right", "exactly_prompted"),
}
MOST_FIGURES = 5
SIDE_SHOWN = 384  # pixels of the longer side of the video on top


def write_run_page(
    folder: Path, state: RunState, arguments: Mapping[str, Any], video: tuple[np.ndarray, float, str] | None = None
) -> Path:
    """Write `index.html` and the steps' reports beside it into `folder`; return its path.

    Args:
        state: the run, finished or not.
        arguments: the pipeline's arguments, to be shown.
        video: what the endpoint made: frames `uint8 [T, H, W, 3]`, frames a second, and the prompt.
    """
    folder.mkdir(parents=True, exist_ok=True)
    steps = [step for step in state.steps.values() if step.tasks]
    ended = max((task.ended or task.started for step in steps for task in step.tasks), default=state.started)
    when = time.strftime("%d %B %Y, %H:%M", time.localtime(state.started))
    what = f"{when}, source {arguments.get('source')}, recipe {arguments.get('recipe')}."
    page = Page("A run of the world simulator", f"{what} {gate_reason(state)}".strip())
    if video is not None:
        frames, fps, prompt = video
        shown = enlarge(frames, max(1, SIDE_SHOWN // max(frames.shape[1:3])))
        page.clips([Clip(shown, fps, prompt, "Made by the served model, asked through the OpenAI client.")])
    minutes, seconds = divmod(round(ended - state.started), 60)
    page.figures(
        {
            "minutes from start to end": f"{minutes}:{seconds:02d}",
            "steps ran": str(sum(step.status == "finished" for step in steps)),
            "steps from the cache": str(sum(step.status == "cached" for step in steps)),
        }
    )
    page.heading("Steps")
    numbered = enumerate(state.steps.values(), start=1)
    rows = [_row(folder, number, step, task) for number, step in numbered for task in step.tasks or [None]]
    page.table(rows, "A step's name opens its report.")
    return page.write(folder / "index.html")


def _row(folder: Path, number: int, step: StepState, task: Task | None) -> dict[str, Any]:
    name = f"{step.name} {task.item}".strip() if task else step.name
    status = task.status if task else "waiting"
    took = clock(task.ended - task.started) if task and task.ended and status != "cached" else ""
    report = _copy_report(folder, report_name(number, step.name, task.item if task else ""), task)
    return {
        "step": Markup('<a href="{}">{}</a>').format(report, name) if report else name,
        "result": SAID[status],
        "time": took,
        "figures": "  ·  ".join(_figures(step.name, task)),
    }


def _copy_report(folder: Path, name: str, task: Task | None) -> str:
    """Copy a task's HTML artifact beside the page; return its file name, or "" if it has none."""
    for artifact in task.artifacts.values() if task else ():
        if artifact["type"] == "system.HTML" and Path(artifact["path"]).is_file():
            shutil.copy(artifact["path"], folder / name)
            return name
    return ""


def _figures(step: str, task: Task | None) -> list[str]:
    """Return the figures of a task that are worth a glance, as text."""
    for artifact in task.artifacts.values() if task else ():
        if artifact["type"] == "system.Metrics" and Path(artifact["path"]).is_file():
            figures = read_json(artifact["path"])  # in the order in which the step gave them; the metadata has none
            names = [name for name in FIGURES.get(step, figures) if name in figures]
            return [_figure(name, figures[name]) for name in names[:MOST_FIGURES]]
    return []


def _figure(name: str, value: float) -> str:
    share = (
        name.startswith("accuracy_")
        or name.endswith("_right")
        or name in ("overall", "exactly_prompted", "drifted_share")
    )
    return f"{name.replace('_', ' ')} {value:.0%}" if share else f"{name.replace('_', ' ')} {value:.4g}"
