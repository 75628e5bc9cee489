"""The weights that candidates of failures are weighed by, fitted anew: whenever what is measured of them changes.

    python -m benchmarks.fit_weights [--what vanishing turning marks forming views] [--cases N] [--out DIR]

Paper clips are drawn, real ones are the half `dev` of the folder that KINORA_TEST_MEDIA names. The files in `out` are
to be put in the place of those in `evaluation`; then `kinora evaluate benchmark --fit` fixes the scales of strengths.
"""

from collections.abc import Collection
from functools import partial
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import tyro

from evaluation.evidence.clip import gather
from evaluation.proving.run import Plan, made_cases
from evaluation.proving.shards import Drawn, Filmed
from evaluation.proving.summary import table
from evaluation.proving.weights.model import Weights, cross_validated, figures, fit
from evaluation.proving.weights.weighed import MODELS, Model, Sample, sample
from evaluation.proving.weights.written import write
from kinora.errors import UsageError
from kinora.parallel import ordered_map
from kinora.progress import Progress

SEED = 5000  # of paper and edits; those that the scales of strengths are fitted to have others
MOST = 20  # failures edited into a piece: one of every type

Name = Literal["vanishing", "turning", "marks", "forming", "views"]
Samples = dict[str, list[Sample]]


def measure(
    what: tuple[Name, ...] = ("vanishing", "turning", "marks", "forming", "views"),
    cases: int = 480,
    clips: int = 100,
    pieces: int = 2,
    seed: int = SEED,
    out: Path = Path("weights"),
) -> str:
    """Return how well weights do that are fitted anew and written to `out`, as a section of Markdown.

    Args:
        what: the models.
        cases: paper clips.
        clips: real clips at most, the first by name.
        pieces: of each at most.
        seed: of what is drawn and edited.
        out: a folder.
    """
    samples: Samples = {name: [] for name in what}
    shards = made_cases(Plan(("paper", "real"), "dev", cases, clips, pieces, MOST, seed))
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
    write(model, fit(samples, names, *told), len(samples), out)
    bias, weights = model.present
    known = set(names) >= set(weights)
    present = np.array([Weights(bias, weights).surest(one) if known else np.nan for one in samples])
    families = sorted({one.family for one in samples})
    groups = [(family, np.array([one.family == family for one in samples])) for family in families]
    groups.append(("all", np.ones(len(samples), bool)))
    return [_row(name, family, [samples[i] for i in np.flatnonzero(there)], anew[there], present[there])
            for family, there in groups]  # fmt: skip


def names_of(model: Model, samples: list[Sample]) -> list[str]:
    """Return the measures of a model, those that have a weight now in their order, then new ones."""
    measured = next((one.measured[0] for one in samples if one.measured), {})
    present = [name for name in model.present[1] if name in measured]
    return [*present, *(name for name in measured if name not in present)]


def _row(name: str, family: str, samples: list[Sample], anew: np.ndarray, present: np.ndarray) -> dict[str, str]:
    failing = sum(one.failing for one in samples)
    row = {"model": name, "clips": family, "failing": str(failing), "faultless": str(len(samples) - failing)}
    for whose, surest in (("anew", anew), ("present", present)):
        told = 0 < failing < len(samples) and np.isfinite(surest).all()
        area, found = figures(samples, surest) if told else (np.nan, np.nan)
        row |= {f"AUROC, {whose}": f"{area:.3f}", f"found at 1 %, {whose}": f"{found:.2f}"}
    return row


if __name__ == "__main__":
    print(tyro.cli(measure))
