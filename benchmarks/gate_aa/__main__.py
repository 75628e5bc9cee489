"""`make aa`: 1,000 choices between equal models, and how large a gain the gate finds.

    python -m benchmarks.gate_aa [--out FOLDER] [--choices 1000] [--processes N]

Every choice goes through the gate's own `ranked` and `decide`. Writes gate.html, a page that stands alone, and
gate.json.
"""

import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import tyro

from benchmarks.gate_aa.choices import Share, equal_models, equal_models_by_the_old_rule, power, releases
from benchmarks.gate_aa.models import Setting
from benchmarks.gate_aa.page import page_of, section_of
from benchmarks.gate_aa.resamplings import guard_levels, levels
from kinora.config import write_json
from kinora.recipes.recipe import GatePlan

CHOICES = 1000
CHECKPOINTS, PROMPTS = (1, 3, 10), (12, 48)
SIZES = (10, 20, 40, 100)
MARGINS = {48: 0.2, 72: 0.15, 128: 0.1}  # of the recipes: prompts decided on, and the margin of the guards
GAINS = (0.05, 0.1, 0.2, 0.3)
ATTEMPTS = 20


def measure() -> str:
    """Return the figures as a section of Markdown."""
    return section_of(simulate(CHOICES, os.cpu_count() or 1), CHOICES)


def main(out: Path = Path("build/aa"), choices: int = CHOICES, processes: int = os.cpu_count() or 1) -> None:
    """Simulate, and write the page and the figures.

    Args:
        out: the folder for gate.html and gate.json.
        choices: between equal models, in each setting; of what else is shown, a part of so many.
        processes: how many run at once.
    """
    found = simulate(choices, processes)
    figures = {" ".join(map(str, name)): asdict(v) if isinstance(v, Share) else v for name, v in found.items()}
    write_json(out / "gate.json", figures)
    print(page_of(found, choices).write(out / "gate.html"))


def simulate(choices: int, processes: int) -> dict[tuple[Any, ...], Any]:
    """Return the result of every setting by its name."""
    cells: dict[tuple[Any, ...], Callable[[], Any]] = {}
    for k in CHECKPOINTS:
        for n in PROMPTS:
            cells["equal", k, n] = partial(equal_models, Setting(n), k, choices)
            cells["old", k, n] = partial(equal_models_by_the_old_rule, Setting(n), k, choices // 2)
    for n, margin in MARGINS.items():
        for gain in GAINS:
            plan, setting = GatePlan(margin=margin), Setting(n, whole=True)
            cells["power", gain, n] = partial(power, setting, plan, gain, choices // 20)
    cells["releases",] = partial(releases, Setting(24), ATTEMPTS, choices // 10)
    for level in (0.025, 0.0025):
        cells["tests", level] = partial(levels, level, SIZES, 2 * choices)
    cells["guards",] = partial(guard_levels, 0.05, 0.1, SIZES, choices)
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        running = {name: pool.submit(cell) for name, cell in cells.items()}
        return {name: job.result() for name, job in running.items()}


if __name__ == "__main__":
    tyro.cli(main)
