"""The pipelines that there are: their names, and their steps in the order in which they are shown."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kinora.errors import UsageError

if TYPE_CHECKING:
    from kinora.recipes.recipe import Recipe

PREPARE = (
    "plan-ingest", "read-shards", "ingest", "validate", "train-captioner", "caption", "publish-features",
    "train-autoencoder", "encode-latents",
)  # fmt: skip


@dataclass(frozen=True)
class Workflow:
    """One pipeline, `pipelines.NAME:NAME`.

    title: what its runs are, for the page of a run.
    description: what it does, for the server that lists it.
    steps: in the order of the story, which is how they are shown; Kubeflow may run independent ones in another. The
        second task of a component has "-2" behind its name.
    """

    name: str
    title: str
    description: str
    steps: tuple[str, ...]

    @property
    def place(self) -> str:
        """Its function, as `module:function`."""
        return f"pipelines.{self.name}:{self.name}"

    @property
    def kubeflow_name(self) -> str:
        """What Kubeflow calls it."""
        return self.name.replace("_", "-")


WORLD_SIMULATOR = Workflow(
    "world_simulator",
    "A run of the world simulator",
    "Raw clips to a promoted world simulator.",
    (*PREPARE, "pretrain", "evaluate", "choose", "evaluate-2", "gate", "promote"),
)
SCALING_STUDY = Workflow(
    "scaling_study",
    "A study of compute",
    "The same training with more and more compute, over several seeds.",
    (*PREPARE, "plan-study", "pretrain", "evaluate", "compare-scaling"),
)
FRAMING_STUDY = Workflow(
    "framing_study",
    "A study of framing",
    "Native aspect ratios against square crops of the same clips.",
    (
        *PREPARE, "crop-to-squares", "publish-features-2", "encode-latents-2", "plan-study", "pretrain", "evaluate",
        "plan-study-2", "pretrain-2", "evaluate-2", "compare-framing",
    ),
)  # fmt: skip
LAW_STUDY = Workflow(
    "law_study",
    "A study of laws",
    "The velocity of what a model continues, inside and outside its ranges.",
    (*PREPARE, "pretrain", "measure-laws"),
)
CHECK_DRIFT = Workflow(
    "check_drift",
    "A check of drift",
    "Trains again when drift of requests and quality say so.",
    (
        "gather-requests", "measure-drift", "judge-requests", "decide-training", "fingerprint-source",
        *WORLD_SIMULATOR.steps,
    ),
)  # fmt: skip
WORKFLOWS: Mapping[str, Workflow] = {
    w.name: w for w in (WORLD_SIMULATOR, SCALING_STUDY, FRAMING_STUDY, LAW_STUDY, CHECK_DRIFT)
}


def workflow(name: str) -> Workflow:
    """Return a pipeline by its name.

    Raises:
        UsageError: if there is none of that name.
    """
    if name not in WORKFLOWS:
        raise UsageError(f"there is no pipeline '{name}'; the pipelines are {', '.join(WORKFLOWS)}.")
    return WORKFLOWS[name]


def check_recipe(name: str, recipe: "Recipe") -> None:
    """Refuse, before any work, a recipe that a pipeline can do nothing with.

    Raises:
        UsageError: if it cannot.
    """
    from kinora.worlds.sampling import need_ranges

    if name == LAW_STUDY.name:
        need_ranges(recipe.ingest.worlds)
