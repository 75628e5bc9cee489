"""What studies have in common: their plan, figures of several seeds, and the clips that are shown side by side."""

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluation.continuation import MEASURES
from evaluation.rates import METRICS
from evaluation.report_tables import METRIC_LABELS
from kinora.config import read_json
from kinora.media import read_video
from kinora.recipes.recipe import Recipe
from kinora.recipes.studies import setting_of
from kinora.report import Clip, Page

SHOWN = 6  # prompts whose clips are kept and shown: the first in the order of evaluation, whatever became of them


@dataclass(frozen=True)
class Comparison:
    """What a study found: a sentence, and its figures."""

    sentence: str
    figures: dict[str, float]


@dataclass(frozen=True)
class Spread:
    """One figure over the seeds of a setting."""

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """The mean."""
        return sum(self.values) / len(self.values)

    @property
    def range(self) -> float:
        """How far apart the seeds are."""
        return max(self.values) - min(self.values)

    def text(self, form: str = ".1%") -> str:
        """Return the mean and, in brackets, the lowest and the highest seed."""
        low, high = min(self.values), max(self.values)
        return f"{self.mean:{form}} ({low:{form}} to {high:{form}})"


def better(best: Spread, base: Spread, *, lower: bool = False) -> bool:
    """Say whether `best` is better than `base` by more than chance: its worst seed beats the best one of `base`, and
    the means are further apart than any two seeds of either."""
    sign = -1 if lower else 1
    worst = min(sign * value for value in best.values)
    gap = sign * (best.mean - base.mean)
    return worst > max(sign * value for value in base.values) and gap > max(best.range, base.range)


def plan_page(trainings: Mapping[str, Recipe]) -> Page:
    """Return the page that lists the trainings of a study."""
    rows = [
        {
            "training": name,
            "steps": f"{recipe.transformer.steps:,}",
            "tokens": f"{recipe.transformer.steps * recipe.transformer.tokens_per_step:,}",
            "warm-up": recipe.transformer.warmup_steps,
            "seed": recipe.transformer.seed,
        }
        for name, recipe in trainings.items()
    ]
    page = Page("What is compared", "Trainings that differ in what is listed and in nothing else.")
    return page.table(rows, "Those that take longest come first, so that the last one does not run alone for long.")


def read_evaluations(folders: Iterable[Path]) -> dict[str, tuple[Path, dict[str, Any]]]:
    """Return the folder and the content of each evaluation by the training's name."""
    found = [(folder, read_json(folder / "evaluation.json")) for folder in folders]
    return {evaluation["name"]: (folder, evaluation) for folder, evaluation in found}


def by_setting(figures: Mapping[str, float]) -> dict[str, Spread]:
    """Gather the figures of trainings by their setting, in the order in which settings first appear."""
    settings = dict.fromkeys(map(setting_of, figures))
    return {
        setting: Spread(tuple(value for name, value in figures.items() if setting_of(name) == setting))
        for setting in settings
    }


def scores(evaluations: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Spread]]:
    """Return every metric's spread by setting; of footage that is continued, every measure's."""
    metrics = [
        metric
        for metric in dict.fromkeys((*METRICS, *MEASURES))
        if all(metric in evaluation["rates"] for evaluation in evaluations.values())
    ]
    return {m: by_setting({name: e["rates"][m] for name, e in evaluations.items()}) for m in metrics}


def score_rows(spreads: Mapping[str, Mapping[str, Spread]], settings: Sequence[str]) -> list[dict[str, str]]:
    """Return a table's rows: a metric each, a column a setting."""
    return [
        {"": METRIC_LABELS.get(metric, metric), **{setting: row[setting].text() for setting in settings}}
        for metric, row in spreads.items()
    ]


def keep_clips(evaluations: Mapping[str, tuple[Path, Mapping[str, Any]]], out: Path) -> list[dict[str, Any]]:
    """Copy the clips of the first prompts to `out/clips/NNN-TRAINING.mp4`; return the prompts, as they were asked."""
    asked: list[dict[str, Any]] = []
    for name, (folder, evaluation) in evaluations.items():
        for number, record in enumerate(evaluation["clips"][:SHOWN]):
            target = out / "clips" / f"{number:03d}-{name}.mp4"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / "clips" / f"{number:03d}.mp4", target)
            if len(asked) == number:
                asked.append(record["asked"])
    return asked


def show_clips(page: Page, out: Path, asked: Sequence[Mapping[str, Any]], names: Sequence[str]) -> None:
    """Show what the trainings `names` made of each prompt, side by side."""
    for number, prompt in enumerate(asked):
        size = f"{prompt['width']}x{prompt['height']}"
        page.text(f"{prompt['prompt']} ({size}, {prompt['frames']} frames, seed {prompt['seed']})")
        page.clips(Clip(*read_video(out / "clips" / f"{number:03d}-{name}.mp4"), name) for name in names)
