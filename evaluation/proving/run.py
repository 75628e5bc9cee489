"""Run the benchmark: every case made, judged and kept as rows, so that tables can be made again without it.

Rows of each part are kept in a folder as they come, and a part that is there is not made again.
"""

import hashlib
import json
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from evaluation.evaluator import evaluator
from evaluation.proving.edits.workbench import Sprite
from evaluation.proving.generated import prompts_of
from evaluation.proving.real import HALVES, Footage, clips_of, media_folder
from evaluation.proving.shards import FAMILIES, Cutting, Drawn, Extras, Filmed, Generated, Judged, Shard, cut, judged
from kinora.errors import UsageError
from kinora.files import atomic_write
from kinora.generation.reference import reference_folder
from kinora.parallel import ordered_map
from kinora.progress import Progress
from kinora.recipes.backends import NONE, Backends

CASES_EACH = 12  # of a renderer or a model, in one part
EXAMPLES_EACH = 4  # of each type and family
REPORT_SEED = 900  # of the renderers; parts count on from there


@dataclass(frozen=True)
class Plan:
    """What the benchmark is run on.

    Attributes:
        families: `paper`, `clay`, `studio`, `real` and `generated`, any of them.
        half: of the real clips, `dev` or `report`.
        cases: how many of each renderer.
        clips: how many real clips at most, the first by name.
        pieces: how many of each at most.
        generated: how many clips of the model.
        failures: how many are edited into each piece and each of the model's clips; 0 for faultless clips alone, also
            of renderers and without nulls.
        seed: of the renderers and edits.
        extras: nulls and reconstructions.
        model: folder of the model version whose clips are judged, and whose autoencoder makes the reconstructions.
        backends: networks that help to measure.
    """

    families: tuple[str, ...] = ("studio", "real", "generated")
    half: str = "report"
    cases: int = 240
    clips: int = 100
    pieces: int = 2
    generated: int = 48
    failures: int = 4
    seed: int = REPORT_SEED
    extras: Extras = field(default_factory=Extras)
    model: Path | None = field(default_factory=reference_folder)
    backends: Backends = NONE

    def __post_init__(self) -> None:
        assert self.half in HALVES

    @property
    def faultless(self) -> bool:
        """Whether clips without a failure are judged alone, and their copies."""
        return self.failures == 0

    @property
    def made_of_faultless(self) -> Extras:
        """What else is judged of faultless clips."""
        return replace(
            self.extras,
            nulls=0 if self.faultless else self.extras.nulls,
            autoencoder=self.model / "vae" if self.model else None,
        )


@dataclass(frozen=True, eq=False)
class Rows:
    """What came of a run: a table of rows, one a case and type; example videos by file; crashes; the evaluator."""

    table: pd.DataFrame
    examples: list[dict[str, Any]]
    crashes: list[str]
    evaluator: dict[str, Any]


def run(plan: Plan, folder: Path, workers: int | None = None) -> Rows:
    """Make and judge the cases of a plan in processes; keep in `folder` what comes of each part, and return all."""
    (folder / "parts").mkdir(parents=True, exist_ok=True)
    shards: list[Shard] = [*made_cases(plan, workers), *_generated(plan)]
    state = hashlib.sha256(json.dumps([evaluator(plan.backends)["digest"], str(plan)]).encode()).hexdigest()[:12]
    todo = [(n, shard) for n, shard in enumerate(shards) if not _part(folder, state, n).exists()]
    with Progress("benchmark", len(shards), "parts") as progress:
        progress.update(len(shards) - len(todo))
        judging = partial(judged, backends=plan.backends)
        done = ordered_map(judging, (shard for _, shard in todo), workers, processes=True)
        for count, ((number, _), result) in enumerate(zip(todo, done, strict=True), 1):
            _keep(folder, state, number, result)
            progress.update(len(shards) - len(todo) + count)
    return kept(folder, state, plan.backends)


def kept(folder: Path, state: str = "", backends: Backends = NONE) -> Rows:
    """Return what a run kept in a folder: the newest run's, or that of one state of code and plan.

    The networks are those that it was judged with.

    Raises:
        FileNotFoundError: nothing is kept there.
    """
    parts = sorted((folder / "parts").glob(f"{state}*.parquet"), key=lambda file: file.stat().st_mtime)
    if not parts:
        raise FileNotFoundError(f"{folder} keeps no rows of a benchmark.")
    newest = parts[-1].name.split("-")[0]
    tables, examples, crashes = [], [], []
    counts: dict[tuple[str, str], int] = {}
    for file in sorted((folder / "parts").glob(f"{newest}-*.parquet")):
        tables.append(pd.read_parquet(file))
        about = json.loads(file.with_suffix(".json").read_text())
        crashes += about["crashes"]
        for example in about["examples"]:
            key = (example["family"], example["type"])
            counts[key] = counts.get(key, 0) + 1
            if counts[key] <= EXAMPLES_EACH:
                examples.append(example)
    return Rows(pd.concat(tables, ignore_index=True), examples, crashes, evaluator(backends))


def _part(folder: Path, state: str, number: int) -> Path:
    return folder / "parts" / f"{state}-{number:04d}.parquet"


def _keep(folder: Path, state: str, number: int, result: Judged) -> None:
    part = _part(folder, state, number)
    examples = []
    for index, (row, video) in enumerate(result.examples):
        file = part.with_name(f"{part.stem}-{index}.mp4")
        file.write_bytes(video)
        examples.append({**row, "file": str(file)})
    part.with_suffix(".json").write_text(json.dumps({"examples": examples, "crashes": result.crashes}))
    with atomic_write(part) as temporary:
        pd.DataFrame(result.rows).to_parquet(temporary)


def made_cases(plan: Plan, workers: int | None = None) -> list[Drawn | Filmed]:
    """Return the parts of a plan whose cases are drawn and filmed."""
    return [*_drawn(plan), *_filmed(plan, workers)]


def _drawn(plan: Plan) -> list[Drawn]:
    parts = -(-plan.cases // CASES_EACH)
    extras = plan.made_of_faultless
    return [
        Drawn(family, min(CASES_EACH, plan.cases - part * CASES_EACH), plan.seed + part, extras, plan.faultless)
        for family in plan.families
        if family in FAMILIES
        for part in range(parts)
    ]


def _filmed(plan: Plan, workers: int | None) -> list[Filmed]:
    if "real" not in plan.families:
        return []
    footage = Footage(media_folder(), plan.half)
    rows = clips_of(footage.folder, plan.half)[: plan.clips]
    sprites: list[Sprite] = []
    with Progress("cut things out of real clips", len(rows), "clips") as progress:
        for found in ordered_map(cut, (Cutting(footage, row) for row in rows), workers, processes=True):
            sprites += found
            progress.update(progress.done + 1)
    return [
        Filmed(footage, row, plan.failures, plan.pieces, sprites, plan.seed, plan.made_of_faultless) for row in rows
    ]


def _generated(plan: Plan) -> list[Generated]:
    """Return the parts of a plan whose clips a model makes.

    Raises:
        UsageError: there is no model.
    """
    if "generated" not in plan.families:
        return []
    if plan.model is None:
        raise UsageError("no model version comes with this installation; name one whose clips are to be judged.")
    asked = prompts_of(plan.model, plan.generated, plan.seed)
    starts = range(0, len(asked), CASES_EACH)
    return [Generated(plan.model, asked[i : i + CASES_EACH], plan.failures, plan.seed + i) for i in starts]
