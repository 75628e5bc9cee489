"""The weights that candidates of failures are weighed by, fitted anew: whenever what is measured of them changes.

    python -m benchmarks.fit_weights [--what turning marks ...] [--cases N] [--out DIR]

Clips of paper and clay are drawn, real ones are the half `dev` of the folder that KINORA_TEST_MEDIA names. The files in
`out` are to be put in the place of those in `evaluation`; then `kinora evaluate benchmark --fit` fixes the scales of
strengths.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal, get_args

import cv2
import numpy as np
import tyro

from evaluation.evidence.clip import gather
from evaluation.proving import clay, paper
from evaluation.proving.case import Case
from evaluation.proving.filming import film
from evaluation.proving.run import Plan, made_cases
from evaluation.proving.shards import Filmed
from evaluation.proving.summary import table
from evaluation.proving.weights.model import Weights, cross_validated, figures, fit
from evaluation.proving.weights.weighed import MODELS, Model, Sample, sample
from evaluation.proving.weights.written import write
from kinora.errors import UsageError
from kinora.parallel import ordered_map
from kinora.progress import Progress

SEED = 5000  # of drawn clips and edits; those that the scales of strengths are fitted to have others
MOST = 20  # failures edited into a piece: one of every type
CASES_EACH = 12  # drawn in one part
STAGES = {"paper": paper.stage, "clay": clay.stage}

Name = Literal["vanishing", "turning", "marks", "forming", "views", "bends", "pushes"]
Samples = dict[str, list[Sample]]


@dataclass(frozen=True)
class Drawn:
    """Cases of a family: faultless ones, and those that fail in some ways."""

    family: str
    count: int
    seed: int
    types: frozenset[str]

    def cases(self) -> Iterator[tuple[Case, None]]:
        """Yield the cases; nothing else is known of what happens in them."""
        for case in film(self.family, STAGES[self.family], self.count, self.seed, faultless=False, types=self.types):
            yield case, None


def measure(
    what: tuple[Name, ...] = get_args(Name),
    cases: int = 240,
    clips: int = 100,
    pieces: int = 2,
    seed: int = SEED,
    out: Path = Path("weights"),
) -> str:
    """Return how well weights do that are fitted anew and written to `out`, as a section of Markdown.

    Args:
        what: the models.
        cases: clips of each drawn family.
        clips: real clips at most, the first by name.
        pieces: of each at most.
        seed: of what is drawn and edited.
        out: a folder.
    """
    samples: Samples = {name: [] for name in what}
    types = frozenset().union(*(MODELS[name].types for name in what))
    drawn = [
        Drawn(family, min(CASES_EACH, cases - first), seed + number, types)
        for number, first in enumerate(range(0, cases, CASES_EACH))
        for family in STAGES
    ]
    filmed = made_cases(Plan(("real",), "dev", 0, clips, pieces, MOST, seed))
    shards = [*drawn, *(replace(one, kinds=sorted(types)) for one in filmed if isinstance(one, Filmed))]
    with Progress("weigh candidates", len(shards), "parts") as progress:
        for found in ordered_map(partial(weighed, what=what), shards, processes=True):
            for name in what:
                samples[name] += found[name]
            progress.update(progress.done + 1)
    rows, refused = [], []
    for name in what:
        try:
            rows += refitted(name, samples[name], out)
        except UsageError as error:
            refused.append(f"- {name}: {error}")
    return "\n".join(["## Weights, fitted anew", "", *table(rows), "", *refused])


def weighed(shard: Drawn | Filmed, what: Collection[str]) -> Samples:
    """Return the candidates in the cases of a shard; what a process runs."""
    cv2.setNumThreads(1)
    samples: Samples = {name: [] for name in what}
    for case, _ in shard.cases():
        evidence = gather(case.clip)
        for name in what:
            if (found := sample(MODELS[name], case, evidence)) is not None:
                samples[name].append(found)
    return samples


def refitted(name: str, samples: list[Sample], out: Path) -> list[dict[str, str]]:
    """Write a model's weights and return rows of how well they do, of each family and of all clips.

    Raises:
        UsageError: there are too few clips.
    """
    model = MODELS[name]
    names, told = names_of(model, samples), (model.ridge, model.true_share)
    anew = cross_validated(samples, names, *told)
    families = sorted({one.family for one in samples})
    unseen = np.full(len(samples), np.nan)
    if len(families) > 1:
        unseen = cross_validated(samples, names, *told, looks=True)
    write(model, fit(samples, names, *told), len(samples), out)
    bias, weights = model.present
    known = set(names) >= set(weights)
    present = np.array([Weights(bias, weights).surest(one) if known else np.nan for one in samples])
    groups = [(family, np.array([one.family == family for one in samples])) for family in families]
    groups.append(("all", np.ones(len(samples), bool)))
    surest = {"anew": anew, "of an unseen look": unseen, "present": present}
    return [
        _row(
            name,
            family,
            [samples[i] for i in np.flatnonzero(there)],
            {whose: odds[there] for whose, odds in surest.items()},
        )
        for family, there in groups
    ]


def names_of(model: Model, samples: list[Sample]) -> list[str]:
    """Return the measures of a model, those that have a weight now in their order, then new ones."""
    measured = next((one.measured[0] for one in samples if one.measured), {})
    present = [name for name in model.present[1] if name in measured]
    return [*present, *(name for name in measured if name not in present)]


def _row(name: str, family: str, samples: list[Sample], surest: dict[str, np.ndarray]) -> dict[str, str]:
    failing = sum(one.failing for one in samples)
    row = {"model": name, "clips": family, "failing": str(failing), "faultless": str(len(samples) - failing)}
    for whose, odds in surest.items():
        told = 0 < failing < len(samples) and np.isfinite(odds).all()
        area, found = figures(samples, odds) if told else (np.nan, np.nan)
        row |= {f"AUROC, {whose}": f"{area:.3f}", f"found at 1 %, {whose}": f"{found:.2f}"}
    return row


if __name__ == "__main__":
    print(tyro.cli(measure))
