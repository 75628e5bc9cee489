"""Scaling transformers: compute at base, 4x and 32x, from the last scaling study in the work folder."""

import shutil

from benchmarks.report.studio import Section, Shown, Studio, Tile, study, table
from evaluation.rates import METRICS
from evaluation.report_tables import METRIC_LABELS
from evaluation.study import Spread, by_setting
from kinora.config import read_json
from kinora.media import read_video

SHOWN = 3


def make(studio: Studio) -> Section:
    """Show the same prompts and seeds at every compute, the loss against compute, and the scores over seeds."""
    folder = study(studio.options.work, "compare-scaling")
    found = read_json(folder / "comparison.json")
    trained, asked = found["trainings"], found["asked"][:SHOWN]
    flops = by_setting({name: one["flops"] for name, one in trained.items()})
    settings = sorted(flops, key=lambda setting: flops[setting].mean)
    rows = []
    for number, _ in enumerate(asked):
        clips = [read_video(folder / "clips" / f"{number:03d}-{setting}-seed-0.mp4") for setting in settings]
        rows.append([Tile(frames, setting) for setting, (frames, _) in zip(settings, clips, strict=True)])
    said = "; ".join(f"“{p['prompt']}”, seed {p['seed']}, {p['width']}×{p['height']}" for p in asked)
    clips = studio.show("compute", rows, asked[0]["fps"], f"Compute from {settings[0]} to {settings[-1]}: {said}.")
    shutil.copyfile(folder / "loss.svg", studio.options.out / "compute-loss.svg")
    law = found["law"]
    plot = Shown(
        "compute-loss.svg",
        f"Validation loss against compute: a power law of exponent {law['exponent']:.3f} "
        f"(95 % interval {law['interval'][0]:.3f} to {law['interval'][1]:.3f}).",
    )
    losses = by_setting({name: one["held_out_loss"] for name, one in trained.items()})
    lines = [{"": "compute, FLOP", **{s: f"{flops[s].mean:.2e}" for s in settings}},
             {"": "steps", **{s: f"{_mean(trained, s, 'steps'):,.0f}" for s in settings}},
             {"": "validation loss", **{s: losses[s].text(".4f") for s in settings}}]  # fmt: skip
    for metric in METRICS:
        spread = by_setting({name: one["rates"][metric] for name, one in trained.items()})
        lines.append({"": METRIC_LABELS.get(metric, metric), **{s: spread[s].text(".0%") for s in settings}})
    note = "Means over the seeds of training; in brackets the lowest and the highest."
    return Section([clips, plot], [found["sentence"], table(lines), note])


def _mean(trained: dict, setting: str, name: str) -> float:
    spread: Spread = by_setting({arm: one[name] for arm, one in trained.items()})[setting]
    return spread.mean
