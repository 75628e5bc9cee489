"""The yardsticks on one model version, or on clips of any origin."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from evaluation.findings import ClipInput
from evaluation.loading import clip_files, read_clips
from evaluation.yardsticks import vbench
from evaluation.yardsticks.vbench import Course, Features
from kinora.config import from_dict, write_json
from kinora.errors import KinoraError
from kinora.progress import Progress
from kinora.storage import artifact_root
from kinora.worlds import EvaluationPrompt, WorldsConfig, evaluation_prompts, simulate_prompt

if TYPE_CHECKING:
    from evaluation.yardsticks.phyworld import Laws
    from kinora.generation.model_version import ModelVersion

SEED = 710_000  # of scenes and prompts: the reference model was chosen and decided on by others
RECORD, PAGE = "yardsticks.json", "yardsticks.html"


@dataclass(frozen=True)
class Plan:
    """How much is measured: `pairs` of each kind of violation, the number of generated `clips`, and as many clips of
    each scenario inside and outside the ranges of a model that was trained on ranges of sizes and speeds."""

    pairs: int = 40
    clips: int = 40
    seed: int = SEED


@dataclass(frozen=True)
class Measured:
    """What was measured of `name`: `preferences` as `likephys.prefer` returns them, and the courses of its clips and of
    the simulator's own clips of the same prompts. Of clips without a model there are only their own courses. `laws` are
    of a model that was trained on ranges of sizes and speeds."""

    name: str
    courses: list[Course]
    simulator: list[Course] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)  # why clips could not be read
    preferences: pd.DataFrame | None = None
    subject: str = ""  # the network that says whether the subject stays the same, and the background
    background: str = ""
    laws: "Laws | None" = None


@dataclass(frozen=True)
class Eyes:
    """The networks that consistency is judged by, as `hf:` sources; "" for none."""

    subject: str = ""
    background: str = ""

    def open(self) -> tuple[Features | None, Features | None]:
        """Load them, one that is named twice once.

        Raises:
            KinoraError: if one cannot be read.
        """
        if not (self.subject or self.background):
            return None, None
        from kinora.models.hf_vision import VisionFeatures

        loaded = {source: VisionFeatures(source) for source in {self.subject, self.background} - {""}}
        return loaded.get(self.subject), loaded.get(self.background)


def measure(what: str, plan: Plan, eyes: Eyes) -> Measured:
    """Measure a model version (its folder, its name in the registry, "" the deployed one) or a file or folder of clips.

    Raises:
        KinoraError: if there is neither, or nothing that can be measured.
    """
    path = Path(what)
    if what and path.exists() and not (path / "lineage.json").is_file():
        return of_clips(path, eyes)
    from kinora.generation.registry import Registry

    return of_version(Registry(artifact_root()).find(what), plan, eyes)


def of_clips(path: Path, eyes: Eyes) -> Measured:
    """Measure clips: VBench's dimensions only.

    Raises:
        KinoraError: if none can be read.
    """
    networks, courses, unreadable = eyes.open(), list[Course](), list[str]()
    with Progress("measure clips", len(clip_files(path)), "clips") as progress:
        for done, clip in enumerate(read_clips(path), start=1):
            if isinstance(clip, ClipInput):
                courses.append(vbench.course(clip, *networks))
            else:
                unreadable.append(clip[1])
            progress.update(done)
    if not courses:
        raise KinoraError(f"no clip in {path} can be read ({unreadable[0]}); give videos.")
    return Measured(path.name, courses, [], unreadable, None, eyes.subject, eyes.background)


def of_version(version: "ModelVersion", plan: Plan, eyes: Eyes) -> Measured:
    """Measure a model version: what it holds for likely, and the course of clips that it makes of held-out prompts.

    Raises:
        KinoraError: if its recipe holds no combination of the worlds out.
    """
    from evaluation.checkpoint import generate_clips  # brings in every detector
    from evaluation.yardsticks.likephys import prefer
    from evaluation.yardsticks.phyworld import measure_laws
    from evaluation.yardsticks.twins import draw_twins
    from kinora.generation import VideoGenerator

    worlds = from_dict(WorldsConfig, version.record("recipe")["ingest"]["worlds"])
    generator = VideoGenerator.from_version(version.path)
    preferences = prefer(generator.vae, generator.model, draw_twins(worlds, plan.pairs, plan.seed))
    prompts = evaluation_prompts(worlds, plan.clips, plan.seed)
    networks = eyes.open()
    made = [vbench.course(clip, *networks) for clip in generate_clips(generator, prompts)]
    own = [vbench.course(clip, *networks) for clip in _simulated(prompts, worlds)]
    laws = None
    if worlds.radii:
        laws = measure_laws(generator, worlds, generator.grid.shortest_video, version.name, plan.clips, plan.seed)
    return Measured(version.name, made, own, [], preferences, eyes.subject, eyes.background, laws)


def write(measured: Measured, out: Path) -> Path:
    """Write `yardsticks.json` and the page to a folder, and return the page's path."""
    from evaluation.yardsticks.page import yardsticks_page

    write_json(out / RECORD, record(measured))
    return yardsticks_page(measured).write(out / PAGE)


def record(measured: Measured) -> dict[str, Any]:
    """Return what was measured as plain values."""
    from evaluation.yardsticks.likephys import errors
    from evaluation.yardsticks.phyworld_page import laws_record

    found = {} if measured.preferences is None else errors(measured.preferences)
    return {
        "name": measured.name,
        "preference_error": {
            kind: {who: share and {"share": share.value, **asdict(share)} for who, share in vars(shares).items()}
            for kind, shares in found.items()
        },
        "vbench": {
            who: {name: {"mean": mean, "clips": count} for name, (mean, count) in vbench.means(courses).items()}
            for who, courses in (("model", measured.courses), ("simulator", measured.simulator))
            if courses
        },
        "laws": laws_record(measured.laws) if measured.laws else None,
        "networks": {"subject": measured.subject, "background": measured.background},
        "clips": [asdict(course) for course in measured.courses],
        "unreadable": measured.unreadable,
    }


def _simulated(prompts: Sequence[EvaluationPrompt], worlds: WorldsConfig) -> Iterable[ClipInput]:
    for number, prompt in enumerate(prompts):
        yield ClipInput(f"{number:03d}", simulate_prompt(prompt, worlds), prompt.fps, prompt.prompt)
