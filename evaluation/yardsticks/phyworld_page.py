"""The page of the velocity error inside and outside a model's ranges, with the published figures beside it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from evaluation.intervals import Mean, averaged
from evaluation.yardsticks import published
from evaluation.yardsticks.phyworld import (
    INSIDE,
    LEVELS,
    LOST,
    OUTSIDE,
    RADII_OUTSIDE,
    SPEEDS_OUTSIDE,
    UNITS,
    Laws,
    Question,
    Ranges,
    means,
    outside,
    scenarios,
)
from kinora.config import write_json
from kinora.numbers import count
from kinora.report import Clip, Page

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RECORD, PAGE = "laws.json", "report.html"
ROWS = {
    "model": "this model",
    "autoencoder": "its autoencoder alone",
    "simulator": "the simulator's own clips (the parser's error)",
    "held": "the last given frame, held still",
}
COLOURS = {INSIDE: "#2f5fd0", "radius": "#2e7d4f", "speed": "#e08a2e", "both": "#c2352b"}
NAMES = {INSIDE: "inside the ranges", "radius": "radius outside", "speed": "speed outside", "both": "both outside"}


def laws_page(laws: Laws) -> Page:
    """Return the page."""
    page = Page(f"Does it obey the law outside what it saw? {laws.name}", laws_sentence(laws))
    add_laws(page, laws)
    return page


def write_laws(laws: Laws, out: Path) -> Path:
    """Write `laws.json` and the page to a folder, and return the page's path."""
    write_json(out / RECORD, laws_record(laws))
    return laws_page(laws).write(out / PAGE)


def add_laws(page: Page, laws: Laws) -> None:
    """Add the tables, the plot, the clips and the method to a page."""
    page.heading("Velocity error, inside and outside")
    page.table(error_rows(laws), f"Published: {published.PHYWORLD_SOURCE}.")
    page.plot(error_plot(laws), "A point a clip; shaded, the speeds of training.")
    page.table(level_rows(laws), "What is outside the ranges of training.")
    page.text(method(laws))
    page.heading("The truth, and beside it the continuation")
    for scenario in scenarios(laws):
        page.text(f"{scenario.capitalize()}: the first clips that were drawn, whatever became of them.")
        page.clips(_beside(laws, *shown) for shown in laws.shown if shown[0].scenario == scenario)


def laws_sentence(laws: Laws) -> str:
    """Return what was found in one sentence."""
    found = means(laws)
    parts = []
    for scenario in scenarios(laws):
        within, beyond = (found["model", scenario, where] for where in (INSIDE, OUTSIDE))
        parts.append(f"{scenario} {within.value:.2f} inside and {beyond.value:.2f} outside")
    return f"The velocity error, in tenths of the frame a second: {'; '.join(parts)}."


def error_rows(laws: Laws) -> list[dict[str, Any]]:
    """Return the table: who, and the error in each scenario inside and outside, ours and published."""
    found, of_mean, shares = means(laws), means(laws, "of_mean"), means(laws, "found")
    columns = [(scenario, where) for scenario in scenarios(laws) for where in (INSIDE, OUTSIDE)]
    rows = [
        {"": name, **{_column(*place): _told(found[made_by, *place]) for place in columns}}
        for made_by, name in ROWS.items()
    ]
    rows[1:1] = [
        {"": "of its mean velocity", **{_column(*place): _told(of_mean["model", *place]) for place in columns}},
        {"": "its balls are found in", **{_column(*p): f"{shares['model', *p].value:.0%}" for p in columns}},
    ]
    for name, figures in published.PHYWORLD.items():
        own = [figures.get(place) for place in columns]
        shown = {_column(*p): "–" if one is None else f"{one:.3f}" for p, one in zip(columns, own, strict=True)}
        rows.append({"": f"published: {name}", **shown})
    return rows


def level_rows(laws: Laws) -> list[dict[str, Any]]:
    """Return the table of what is outside, with the model's error and how often its balls are found."""
    own = laws.rows[laws.rows["made_by"] == "model"]
    rows = []
    for level in (INSIDE, *LEVELS):
        row: dict[str, Any] = {"": NAMES[level]}
        for scenario in scenarios(laws):
            some = own[(own["scenario"] == scenario) & (own["level"] == level)]
            if len(some):
                told = averaged(some.set_index(pd.Index(some["clip"], name="base"))["error"])
                row[scenario] = f"{_told(told)} of {count(len(some), 'clip')}, found {some['found'].mean():.0%}"
            else:
                row[scenario] = "–"
        rows.append(row)
    return rows


def error_plot(laws: Laws) -> "Figure":
    """Plot the model's error of every clip against the speed at its start, a column a scenario."""
    from matplotlib.figure import Figure

    names = scenarios(laws)
    figure = Figure(figsize=(3.4 * len(names), 3.1), layout="constrained")
    for axes, scenario in zip(np.atleast_1d(figure.subplots(1, len(names))), names, strict=True):
        rows = laws.rows[laws.rows["scenario"] == scenario]
        held = rows[rows["made_by"] == "held"]
        for low, high in laws.speeds:
            axes.axvspan(low * UNITS, high * UNITS, color="#e5e8ec", lw=0)
        axes.plot(held["speed"], held["error"], "_", markersize=4, color="#7a8490", label="a frame held still")
        for level, colour in COLOURS.items():
            own = rows[(rows["made_by"] == "model") & (rows["level"] == level)]
            axes.plot(own["speed"], own["error"], "o", markersize=3.5, color=colour, label=NAMES[level])
        axes.set(title=scenario, xlabel="speed at the start", ylim=(0, None), xlim=(0, None))
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].set_ylabel("velocity error")
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=5, frameon=False)
    return figure


def method(laws: Laws) -> str:
    """Return how it was measured, and what differs from the published way."""
    radii, speeds = outside(laws.radii, RADII_OUTSIDE), outside(laws.speeds, SPEEDS_OUTSIDE)
    return (
        "PhyWorld (arXiv:2411.02385): a model that saw balls of some sizes and speeds continues first frames of such "
        "balls, and of others; the velocity of a ball, from frame to frame, is held against the simulator's, and the "
        "size of the difference averaged over balls and steps; of the mean velocity of a clip, trembling is left out, "
        "and only the way counts. Lengths are tenths of the frame. Trained on radii of "
        f"{_said(laws.radii)} and speeds of {_said(laws.speeds)}; outside are radii of {_said(radii)} and "
        f"speeds of {_said(speeds)}, one of them or both in equal parts. Frames in which part of a ball is out "
        "of view do not count, nor does what comes before a collision. A ball that is lost in a step counts "
        f"{LOST:g} there, or its speed if that is higher, so that losing it is never better than holding it still. "
        "Intervals of 95 % are Student's, and the clip is the unit: its steps are alike. Different from what was "
        f"published: the first {laws.given} of {laws.frames} frames are given (theirs: 3 of 32), because latents hold "
        "one frame and then four each; one model learns all scenarios (theirs: a model each); a collision loses a "
        "tenth of the speed at which the balls part (theirs: none); a pixel is weighed by how much of it a ball "
        "covers; radii of 0.3 to 0.6 are left out, as their own evaluation does below 0.6; both balls of a collision "
        "are outside, where theirs may be one. Their models have 22.5 million parameters and more, and saw 30,000 "
        "clips and more, 128 pixels wide."
    )


def laws_record(laws: Laws) -> dict[str, Any]:
    """Return what was measured as plain values."""
    found, of_mean, shares = means(laws), means(laws, "of_mean"), means(laws, "found")
    errors: dict[str, Any] = {}
    for key, mean in found.items():
        made_by, scenario, where = key
        cell = {"error": mean.value, "low": mean.low, "high": mean.high, "clips": mean.of}
        cell |= {"of_mean": of_mean[key].value, "found": shares[key].value}
        errors.setdefault(made_by, {}).setdefault(scenario, {})[where] = cell
    return {
        "name": laws.name,
        "sentence": laws_sentence(laws),
        "errors": errors,
        "given": laws.given,
        "frames": laws.frames,
        "trained_on": {"speeds": laws.speeds, "radii": laws.radii},
        "published": {
            name: {_column(*place): value for place, value in figures.items()}
            for name, figures in published.PHYWORLD.items()
        },
        "clips": laws.rows.to_dict("records"),
    }


def figures(laws: Laws) -> dict[str, float]:
    """Return the model's errors as named figures."""
    found = means(laws)
    return {
        f"{scenario.split()[0]}_{where}": found["model", scenario, where].value
        for scenario in scenarios(laws)
        for where in (INSIDE, OUTSIDE)
    }


def _beside(laws: Laws, question: Question, made: np.ndarray) -> Clip:
    """Return the truth and the continuation as one clip, so that they play together."""
    truth = question.sample.frames
    line = np.full((*truth.shape[:2], 1, 3), 255, np.uint8)
    own = laws.rows[(laws.rows["made_by"] == "model") & (laws.rows["clip"] == question.number)].iloc[0]
    label = f"{NAMES[question.level]}: speed {question.speed:.1f}, radius {question.radius:.2f}"
    frames = np.concatenate([truth, line, made], axis=2)
    return Clip(frames, question.sample.fps, label, f"velocity error {own['error']:.2f}")


def _told(mean: Mean) -> str:
    return str(mean) if mean.of > 1 else f"{mean.value:.3f}"  # one clip has no interval


def _column(scenario: str, where: str) -> str:
    return f"{scenario}, {where}"


def _said(ranges: Ranges) -> str:
    return " and ".join(f"{low * UNITS:g} to {high * UNITS:g}" for low, high in ranges)
