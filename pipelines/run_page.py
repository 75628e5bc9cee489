"""The page of one run: what it made, playing on top, and every step's report in order; and the page of all runs."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Formatter
from typing import Any

import numpy as np
from markupsafe import Markup

from kinora.config import read_json
from kinora.files import atomic_write
from kinora.media import enlarge
from kinora.numbers import amount, count
from kinora.report import Clip, Link, Page, add_navigation
from pipelines.events import EventReader
from pipelines.origins import Origin
from pipelines.state import RunState, StepState, Task, component_of, gate_reason, outcome, promoted_by, report_name
from pipelines.view import clock
from pipelines.workspace import Run, Workspace

STATUS_LABELS = {
    "waiting": "not reached",
    "running": "interrupted",
    "finished": "ran",
    "cached": "unchanged, from the cache",
    "failed": "failed",
}
# The figures of a step that are worth a glance, with their units; its report has all of them.
FIGURES = {
    "plan-ingest": ("inputs: {inputs}", "not read before: {left}"),
    "read-shards": ("inputs read: {inputs}", "clips made: {clips}", "rejected: {rejected}"),
    "ingest": ("videos: {videos}", "images: {images}", "in quarantine: {quarantined}"),
    "validate": (
        "clips kept: {kept} of {checked}",
        "expectations met: {expectations_met} of {expectations}",
        "drifted from the last dataset: {drifted_share:.0%} of the columns",
    ),
    "train-captioner": (
        "colour right: {accuracy_colour:.0%} of {measured_colour} captions",
        "shape: {accuracy_shape:.0%} of {measured_shape}",
        "background: {accuracy_background:.0%} of {measured_background}",
        "motion: {accuracy_motion:.0%} of {measured_motion}",
    ),
    "caption": ("clips captioned: {captioned}", "left without: {abstained}", "captions kept: {kept}"),
    "publish-features": ("clips: {clips}", "features drifted: {drifted}"),
    "train-autoencoder": ("PSNR on videos: {psnr_video:.1f} dB", "PSNR on images: {psnr_image:.1f} dB"),
    "encode-latents": ("clips: {clips}", "latent values: {latent_values}"),
    "pretrain": ("steps: {steps}", "held-out loss: {held_out_loss:.3f}", "checkpoints: {checkpoints}"),
    "evaluate": (
        "clips with a failure: {clips_with_failure} of {clips}",
        "overall score: {overall:.0%}",
        "right colour: {colour_right:.0%}",
        "right shape: {shape_right:.0%}",
        "right motion: {motion_right:.0%}",
        "nearer to the truth than a frame held still: {nearer} of {clips} clips",
        "right motion: {motion:.0%}",
    ),
    "choose": ("trained checkpoints: {trained}",),
    "gate": ("prompts or files decided on: {clusters}",),
    "measure-drift": (
        "requests: {requests}",
        "features drifted: {drifted_share:.0%}",
        "words that training never had: {unknown_words:.0%}",
    ),
    "judge-requests": ("prompts judged: {judged}", "answered: {answered:.0%}"),
    "compare-scaling": ("loss falls as compute to the power of {exponent:.3f}", "better: {better} of {of} figures"),
    "measure-laws": (
        "velocity error of even motion: {uniform_in:.2f} inside the ranges, {uniform_out:.2f} outside",
        "of throws: {parabola_in:.2f} and {parabola_out:.2f}",
        "of collisions: {collision_in:.2f} and {collision_out:.2f}",
    ),
    "compare-framing": ("in view, native: {in_view_native:.0%}", "square crops: {in_view_square:.0%}"),
}
SIDE_SHOWN = 384  # pixels of the longer side of the video on top


class Amount(float):
    """A figure that is written as a person reads it where no other format is asked for."""

    def __format__(self, spec: str) -> str:
        return format(float(self), spec) if spec else amount(self)


@dataclass(frozen=True)
class _Report:
    """The report of one task: its title, its address beside the run page, and the step's own file."""

    step: str
    title: str
    address: str
    source: Path


def write_run_page(
    run: Run,
    state: RunState,
    arguments: Mapping[str, Any],
    title: str,
    video: tuple[np.ndarray, float, str] | None = None,
) -> Path:
    """Write the run's `index.html` and the steps' reports beside it, linked to each other; return its path.

    Args:
        run: where to write.
        state: the run, finished or not.
        arguments: the pipeline's arguments, to be shown.
        title: of the page.
        video: what the endpoint made: frames `uint8 [T, H, W, 3]`, frames a second, and the prompt.
    """
    when = moment(state.started)
    what = f"{when}, source {arguments.get('source')}, recipe {arguments.get('recipe')}."
    page = Page(title, f"{what} {outcome(state)}".strip())
    if video is not None:
        frames, fps, prompt = video
        shown = enlarge(frames, max(1, SIDE_SHOWN // max(frames.shape[1:3])))
        page.clips([Clip(shown, fps, prompt, "Generated by the deployed model, requested with the OpenAI client.")])
    steps = [step for step in state.steps.values() if step.tasks]
    ended = max((task.ended or task.started for step in steps for task in step.tasks), default=state.started)
    cached = sum(step.status == "cached" for step in steps)
    figures = {"from start to end of this run": clock(ended - state.started)}
    if cached:
        figures["to make all results, the cached ones included"] = clock(seconds_of_work(state))
    page.figures(
        figures
        | {
            "steps ran": f"{sum(step.status == 'finished' for step in steps)} of {len(state.steps)}",
            "steps unchanged, from the cache": f"{cached} of {len(state.steps)}",
        }
    )
    reports = _copy_reports(run, state, f"Run of {when}")
    page.heading("Steps")
    page.table(
        [_row(run, state, step, task, reports) for step in state.steps.values() for task in _tasks(step)],
        "A step's name opens its report. The times of unchanged steps are those of the run that made their results.",
    )
    page.text(Markup('<a href="../index.html">All runs of this work folder</a>'))
    return page.write(run.page)


def write_runs_page(workspace: Workspace) -> Path:
    """Write the page that lists all runs, the newest first; return its path."""
    runs = workspace.kept()
    page = Page("Runs", f"The runs of {workspace.root}, the newest first.")
    page.table([_summary(run) for run in runs])
    return page.write(workspace.runs / "index.html")


def seconds_of_work(state: RunState) -> float:
    """Return how long it took to make what the run has, those steps included that an earlier run did."""
    spans: dict[tuple[str, str], list[tuple[float, float]]] = {}  # rounds of one loop run side by side
    for step in state.steps.values():
        for task in step.tasks:
            made = task.origin or Origin("", task.started, task.ended or task.started)
            spans.setdefault((step.name, made.run), []).append((made.started, made.ended))
    return sum(max(end for _, end in span) - min(start for start, _ in span) for span in spans.values())


def moment(at: float) -> str:
    """Return a time as people write it."""
    return time.strftime("%-d %B %Y, %H:%M", time.localtime(at))


def _summary(run: Run) -> dict[str, Any]:
    state = RunState((), {}, run.progress)
    for event in EventReader(run.events).new():
        state.apply(event)
    tasks = [task for step in state.steps.values() for task in step.tasks]
    statuses = [step.status for step in state.steps.values()]
    unfinished = "failed" if "failed" in statuses else "interrupted" if "running" in statuses else ""
    counts = f"{count(statuses.count('finished'), 'step')} ran, {statuses.count('cached')} from the cache"
    started, ended = (min(t.started for t in tasks), max(t.ended or t.started for t in tasks)) if tasks else (0.0, 0.0)
    page = Markup('<a href="{}/index.html">{}</a>').format(run.name, run.name)
    return {
        "run": page if run.page.exists() else run.name,
        "time": clock(ended - started),
        "steps": ", ".join(filter(None, [counts, unfinished])),
        "result": outcome(state),
    }


def _row(run: Run, state: RunState, step: StepState, task: Task | None, reports: Mapping[str, str]) -> dict[str, Any]:
    name = _title(step, task)
    made = task.origin or task if task else None
    return {
        "step": Markup('<a href="{}">{}</a>').format(reports[name], name) if name in reports else name,
        "result": _result(run, state, step, task),
        "time": clock(made.ended - made.started).replace(" ", "\N{NO-BREAK SPACE}") if made and made.ended else "",
        "figures": "  ·  ".join(_figures(step.name, task)),
    }


def _result(run: Run, state: RunState, step: StepState, task: Task | None) -> str:
    """Return what became of a task; of an unchanged one also when and in which run it was made."""
    if task is None:
        if step.name != "promote" or not gate_reason(state):
            return STATUS_LABELS["waiting"]
        return "already deployed" if promoted_by(state) is not None else "not promoted"
    if task.origin is None:
        return STATUS_LABELS[task.status]
    made = moment(task.origin.ended)
    if (run.workspace.runs / task.origin.run / "index.html").exists():
        made = Markup('<a href="../{}/index.html">{}</a>').format(task.origin.run, made)
    return Markup("{}: made {}").format(STATUS_LABELS[task.status], made)


def _tasks(step: StepState) -> Sequence[Task | None]:
    """Return the tasks of a step; None stands for those of a step that was not reached."""
    return step.tasks or [None]


def _title(step: StepState, task: Task | None) -> str:
    return f"{step.name} {task.item}".strip() if task else step.name


def _copy_reports(run: Run, state: RunState, name_of_run: str) -> dict[str, str]:
    """Copy every task's report beside the page, with links; return their addresses by the reports' titles."""
    reports = list(_reports(state))
    for before, report, after in zip([None, *reports], reports, [*reports[1:], None], strict=False):
        links = [Link(f"↑ {name_of_run}", run.page.name)]
        if before:
            links.append(Link(f"← {before.title}", before.address))
        if after:
            links.append(Link(f"{after.title} →", after.address))
        links += _promotion_links(run, state) if report.step == "gate" else []
        html = report.source.read_text(encoding="utf-8", errors="replace")
        with atomic_write(run.folder / report.address) as temporary:
            temporary.write_text(add_navigation(html, links), encoding="utf-8")
    return {report.title: report.address for report in reports}


def _promotion_links(run: Run, state: RunState) -> list[Link]:
    """Return links to the pages of the gate and of the promotion in the run that deployed what is deployed already."""
    name = promoted_by(state)
    files = sorted((run.workspace.runs / name).glob("[0-9]*-gate.html")) if name else []
    files += sorted((run.workspace.runs / name).glob("[0-9]*-promote.html")) if name else []
    return [Link(f"{file.stem[3:]} of run {name}", f"../{name}/{file.name}") for file in files]


def _reports(state: RunState) -> Iterator[_Report]:
    for number, step in enumerate(state.steps.values(), start=1):
        for task in step.tasks:
            for artifact in task.artifacts.values():
                if artifact["type"] == "system.HTML" and Path(artifact["path"]).is_file():
                    address = report_name(number, step.name, task.item)
                    yield _Report(step.name, _title(step, task), address, Path(artifact["path"]))
                    break


def _figures(step: str, task: Task | None) -> list[str]:
    """Return the figures of a task that are worth a glance, as text."""
    for artifact in task.artifacts.values() if task else ():
        if artifact["type"] == "system.Metrics" and Path(artifact["path"]).is_file():
            values = {name: Amount(value) for name, value in read_json(artifact["path"]).items()}
            texts = FIGURES.get(component_of(step)) or [f"{name.replace('_', ' ')}: {{{name}}}" for name in values]
            return [text.format_map(values) for text in texts if _fields(text) <= values.keys()]
    return []


def _fields(text: str) -> set[str]:
    """Return the names of the figures that a text needs."""
    return {name for _, name, _, _ in Formatter().parse(text) if name}
