"""The report that all three trainings have in common, and the folder of a training's result."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kinora.config import write_json
from kinora.report import Page
from kinora.training.checkpoints import LOG, Checkpoints
from kinora.training.config import TrainingConfig
from kinora.training.log import read_rows
from kinora.training.samples import read_samples

if TYPE_CHECKING:
    from matplotlib.figure import Figure

OF_SIZE = "held_out_loss_"  # begins the log's columns of clips of one size and length, such as 32x32x9
NO_HELD_OUT = "There is no held-out loss, because the dataset has no clip in its validation split."


def course_metrics(checkpoints: Checkpoints) -> dict[str, float]:
    """Return what every training measures: `steps`, `seconds`, `loss` and `held_out_loss`, the last of each."""
    rows = read_rows(checkpoints.log)
    names = ("step", "seconds", "measuring_seconds", "loss", "held_out_loss")
    last = {name: row[name] for row in rows for name in names if name in row}
    return {"steps": last.pop("step", 0), **last}


def training_page(
    title: str,
    summary: str,
    figures: Mapping[str, str],
    checkpoints: Checkpoints,
    loss: str,
    samples: str,
    curves: Mapping[str, str] | None = None,
) -> Page:
    """Begin the report of a finished training: its figures, its course and its samples; the trainer adds its own.

    Args:
        figures: headline figures of the trainer's own.
        loss: what the loss is, with its unit.
        samples: what the samples show.
        curves: further columns of the log, each with its label, drawn below the loss.
    """
    rows, page = read_rows(checkpoints.log), Page(title, summary)
    page.figures({**figures, **_course_figures(course_metrics(checkpoints))})
    page.heading("The course of training")
    if not rows:
        page.text("No step was taken.")
    else:
        page.plot(curve(rows, {"loss": "training", "held_out_loss": "held out"}, loss, log=True), _note(rows))
        by_size = {name: name.removeprefix(OF_SIZE) for row in rows for name in row if name.startswith(OF_SIZE)}
        if by_size:
            page.plot(curve(rows, by_size, f"held-out {loss}", log=True), "By width x height x frames.")
            last = {name: row[name] for row in rows for name in by_size if name in row}
            page.table([{"held out": by_size[name], loss: f"{value:.4g}"} for name, value in last.items()])
        if curves:
            page.plot(curve(rows, curves, "", log=False))
    kept = read_samples(checkpoints.folder)
    if kept:
        page.heading("Samples along the way").text(samples)
        for step, clips in kept.items():
            page.text("Before the first step:" if step == 0 else f"After {step:,} steps:").clips(clips)
    return page


def write_result(
    folder: Path, config: TrainingConfig, metrics: Mapping[str, float], checkpoints: Checkpoints, page: Page
) -> None:
    """Write what lies beside every trained model: `config.json`, `metrics.json`, `training.jsonl`, `report.html`."""
    write_json(folder / "config.json", config)
    write_json(folder / "metrics.json", dict(metrics))
    if checkpoints.log.is_file():
        shutil.copy(checkpoints.log, folder / LOG)
    page.write(folder / "report.html")


def curve(rows: Sequence[Mapping[str, Any]], names: Mapping[str, str], label: str, *, log: bool) -> "Figure":
    """Plot columns of a log over its steps; a column that only some rows have gets a point for each of them."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    figure = Figure(figsize=(8, 3))
    axes = figure.add_subplot()
    for name, what in names.items():
        points = [(row["step"], row[name]) for row in rows if name in row]
        if points:
            axes.plot(*zip(*points, strict=True), linewidth=1, marker="o" if len(points) < len(rows) else "",
                      markersize=3, label=what)  # fmt: skip
    values = [row[name] for row in rows for name in names if name in row]
    # On less than a power of ten, a logarithmic axis has hardly a tick.
    spans_decades = log and 0 < 10 * min(values) < max(values)
    axes.set(xlabel="step", ylabel=label, yscale="log" if spans_decades else "linear")
    if spans_decades:
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_locator(NullLocator())
    axes.grid(alpha=0.3)
    axes.legend()
    return figure


def duration(seconds: float) -> str:
    """Return a duration as people say it: `7 s`, `2 min 05 s`, `3 h 20 min`."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def _course_figures(course: Mapping[str, float]) -> dict[str, str]:
    figures = {"steps": f"{course['steps']:,.0f}"}
    if "loss" in course:
        figures["loss at the end"] = f"{course['loss']:.4g}"
    if "held_out_loss" in course:
        figures["held-out loss at the end"] = f"{course['held_out_loss']:.4g}"
    if "seconds" in course:
        figures["time"] = duration(course["seconds"])
    return figures


def _note(rows: Sequence[Mapping[str, Any]]) -> str:
    last = rows[-1]
    share = last["measuring_seconds"] / max(last["seconds"], 1e-9)
    held_out = "" if any("held_out_loss" in row for row in rows) else f" {NO_HELD_OUT}"
    return (
        f"A point of the training loss is the mean of the steps since the point before.{held_out} "
        f"Measuring on held-out clips and making samples took {share:.1%} of the time."
    )
