"""What more compute buys: the validation loss against the compute of training, and every score, over seeds.

The line is a power law, loss = a C^b (Kaplan et al., 2020, https://arxiv.org/abs/2001.08361, equation 1.3), fitted by
least squares to the logarithms of all trainings; its interval is the 95 % interval of the slope by Student's t. All
trainings are of one network, so that the line also holds the floor that no compute removes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from evaluation.study import (
    Comparison,
    Spread,
    better,
    by_setting,
    keep_clips,
    read_evaluations,
    score_rows,
    scores,
    show_clips,
)
from kinora.config import read_json, write_json
from kinora.recipes.recipe import Recipe
from kinora.recipes.studies import SCALING, arms, setting_of
from kinora.report import Page

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class PowerLaw:
    """loss = coefficient * compute ** exponent; `interval` is the 95 % interval of the exponent."""

    coefficient: float
    exponent: float
    interval: tuple[float, float]

    def __call__(self, compute: np.ndarray) -> np.ndarray:
        """Return the loss at each compute."""
        loss: np.ndarray = self.coefficient * compute**self.exponent
        return loss


def fit_power_law(compute: Sequence[float], losses: Sequence[float]) -> PowerLaw:
    """Fit a power law to points, three at least, of which two differ in compute."""
    from scipy import stats

    x, y = np.log(compute), np.log(losses)
    line = stats.linregress(x, y)
    half = float(stats.t.ppf(0.975, len(x) - 2) * line.stderr)
    slope = float(line.slope)
    return PowerLaw(float(np.exp(line.intercept)), slope, (slope - half, slope + half))


def compare_scaling(evaluations: Sequence[Path], transformers: Sequence[Path], recipe: Recipe, out: Path) -> Comparison:
    """Hold the trainings of the scaling study against each other.

    Args:
        evaluations: folders with an `evaluation.json` named after its training, and the clips.
        transformers: folders of the trainings, with `config.json` and `metrics.json`.
        recipe: what was varied.
        out: receives `comparison.json`, `loss.svg`, `clips/` and `report.html`.
    """
    judged = read_evaluations(evaluations)
    names = [name for name in arms(recipe, SCALING) if name in judged]
    trained = _trained(transformers, recipe)
    flops = {name: flops_per_token(recipe) * trained[name]["tokens"] for name in names}
    losses = {name: trained[name]["held_out_loss"] for name in names}
    law = fit_power_law([flops[name] for name in names], [losses[name] for name in names])
    spread, spreads = by_setting(losses), scores({name: judged[name][1] for name in names})
    most, *_, least = spread
    verdicts = {"validation_loss": better(spread[most], spread[least], lower=True)}
    verdicts |= {metric: better(row[most], row[least]) for metric, row in spreads.items()}
    sentence = _sentence(most, least, verdicts)
    asked = keep_clips({name: judged[name] for name in names}, out)
    figure = loss_plot(flops, losses, law)
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(out / "loss.svg", bbox_inches="tight", metadata={"Date": None})
    write_json(
        out / "comparison.json",
        {
            "sentence": sentence,
            "law": law,
            "trainings": {
                name: {"flops": flops[name], **trained[name], "rates": judged[name][1]["rates"]} for name in names
            },
            "better": verdicts,
            "asked": asked,
        },
    )
    _page(sentence, law, figure, spread, spreads, flops, trained, out, asked).write(out / "report.html")
    figures = {"exponent": law.exponent, "better": sum(verdicts.values()), "of": len(verdicts)}
    return Comparison(sentence, figures | {f"loss_{name}": value.mean for name, value in spread.items()})


def flops_per_token(recipe: Recipe) -> float:
    """Return the operations of a training step for each token, forward and twice as many backward, in clips of the
    greatest length and size of the recipe."""
    import torch

    from kinora.training.footprint import footprint
    from kinora.training.plan import longest_clip

    config = recipe.transformer
    traced = footprint(config.model, config.text, (longest_clip(recipe.ingest, recipe.grid),), torch.float32)
    return 3 * traced.flops / traced.tokens


def loss_plot(flops: Mapping[str, float], losses: Mapping[str, float], law: PowerLaw) -> "Figure":
    """Plot every training and the fitted line, both axes logarithmic."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, NullFormatter

    figure = Figure(figsize=(6, 3.2))
    axes = figure.add_subplot()
    line = np.geomspace(min(flops.values()) / 1.5, max(flops.values()) * 1.5, 50)
    low, high = law.interval
    axes.plot(
        line, law(line), color="#7a8490", linewidth=1, label=f"loss ∝ C^{law.exponent:.3f} ({low:.3f} to {high:.3f})"
    )
    for setting, colour in zip(by_setting(losses), ("#2f5fd0", "#e08a2e", "#2e7d4f", "#c2352b"), strict=False):
        points = [(flops[name], losses[name]) for name in losses if setting_of(name) == setting]
        axes.plot(*zip(*points, strict=True), "o", markersize=5, color=colour, label=f"{setting}, a point a seed")
    axes.set(xscale="log", yscale="log", xlabel="compute of training, FLOP", ylabel="validation loss")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.2g}"))
    axes.yaxis.set_minor_formatter(NullFormatter() if max(losses.values()) > 10 * min(losses.values()) else
                                   FuncFormatter(lambda value, _: f"{value:.2g}"))  # fmt: skip
    axes.grid(alpha=0.3, which="both")
    axes.legend(fontsize=8)
    return figure


def _trained(transformers: Sequence[Path], recipe: Recipe) -> dict[str, dict[str, float]]:
    """Return each training's own figures by its name, which its steps and its seed tell."""
    planned = {(own.transformer.steps, own.transformer.seed): name for name, own in arms(recipe, SCALING).items()}
    found = {}
    for folder in transformers:
        config, metrics = read_json(folder / "config.json"), read_json(folder / "metrics.json")
        wanted = ("steps", "seconds", "tokens", "parameters", "held_out_loss")
        found[planned[config["steps"], config["seed"]]] = {name: metrics[name] for name in wanted}
    return found


def _sentence(most: str, least: str, verdicts: Mapping[str, bool]) -> str:
    failed = [name.replace("_", " ") for name, better in verdicts.items() if not better]
    if not failed:
        return (
            f"{most} compute is better than {least} by more than the seeds differ, on validation loss and every score."
        )
    held = len(verdicts) - len(failed)
    return (
        f"{most} compute is better than {least} by more than the seeds differ on {held} of {len(verdicts)} figures; "
        f"not on {', '.join(failed)}."
    )


def _page(
    sentence: str,
    law: PowerLaw,
    figure: "Figure",
    losses: Mapping[str, Spread],
    spreads: Mapping[str, Mapping[str, Spread]],
    flops: Mapping[str, float],
    trained: Mapping[str, Mapping[str, float]],
    out: Path,
    asked: Sequence[Mapping[str, object]],
) -> Page:
    settings = list(losses)[::-1]  # least compute first, as it is read
    page = Page("Compute", sentence)
    low, high = law.interval
    page.figures({"exponent of the loss": f"{law.exponent:.3f}", "its 95 % interval": f"{low:.3f} to {high:.3f}"})
    page.heading("Validation loss against compute").plot(figure)
    rows = [
        {
            "training": name,
            "steps": f"{own['steps']:,.0f}",
            "FLOP": f"{flops[name]:.2e}",
            "seconds": f"{own['seconds']:.0f}",
            "validation loss": f"{own['held_out_loss']:.4f}",
        }
        for name, own in reversed(list(trained.items()))
    ]
    page.table(rows, f"{next(iter(trained.values()))['parameters'] / 1e6:.2f} million parameters each.")
    page.heading("Scores").table(
        [{"": "validation loss", **{s: losses[s].text(".4f") for s in settings}}, *score_rows(spreads, settings)],
        "Means over the seeds; in brackets the lowest and the highest seed. The same held-out prompts for all.",
    )
    page.heading("The same prompts and seeds")
    show_clips(page, out, asked, [f"{setting}-seed-0" for setting in settings])
    return page
