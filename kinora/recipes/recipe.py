"""A recipe is one named, complete configuration: everything that decides what a run of the pipeline makes."""

from dataclasses import dataclass

from kinora.captioning.writers import CaptionConfig
from kinora.data.drift import DriftConfig
from kinora.data.grid import Grid
from kinora.data.ingest.config import IngestConfig
from kinora.data.validation_config import ValidationConfig
from kinora.diffusion.sampler import Sampling
from kinora.errors import UsageError
from kinora.recipes.backends import NONE, Backends
from kinora.training.autoencoder_trainer import AutoencoderTraining
from kinora.training.captioner import CaptionerTraining
from kinora.training.compute import Compute
from kinora.training.transformer import TransformerTraining

ONE_PROCESS, CAPTIONS, VALIDATION, DRIFT = Compute(), CaptionConfig(), ValidationConfig(), DriftConfig()


MEASURES = ("faultless", "overall")


@dataclass(frozen=True)
class EvaluationPlan:
    """What checkpoints are asked for, of what is held out.

    prompts: prompts on which the best checkpoint is chosen, one clip each; of a person's footage, clips to continue.
    decision_prompts: other prompts, on which nothing is chosen, and the gate decides, `seeds` clips each.
    seed: of the first set. Each candidate's decision has seeds of its own.
    backends: networks that help to judge the clips.
    shards: tasks that a checkpoint's prompts are dealt to, those to choose by and those that decide; they run side by
        side where there is room.
    features: by which continuations of a person's footage are compared with the truth as distributions: a vision
        network, `hf:NAME`, or the latents of the model's own autoencoder if empty.

    Raises:
        UsageError: if there is nothing to choose or to decide by, or a shard would have nothing.
    """

    prompts: int = 32
    decision_prompts: int = 128
    seeds: int = 2
    seed: int = 20261
    backends: Backends = NONE
    shards: int = 1
    features: str = ""

    def __post_init__(self) -> None:
        for name in ("prompts", "decision_prompts", "seeds", "shards"):
            if getattr(self, name) < 1:
                raise UsageError(f"evaluation.{name} is {getattr(self, name)}; give 1 or more.")
        if self.shards > self.prompts:
            raise UsageError(
                f"evaluation.shards is {self.shards}, more than the {self.prompts} prompts that are dealt to them; "
                "give fewer."
            )


@dataclass(frozen=True)
class GatePlan:
    """What a candidate has to show to take the place of the deployed model; all of them are shares, 0 to 1.

    measure: what must be better: "faultless", the share of clips without any failure, or "overall", the overall score.
        Of a person's footage it is always the latter, the agreement with the truth.
    least_gain: the smallest gain that matters: the gate says how many prompts show it with the probability `power`.
    error: how likely a model that is no better may ever take the place of a deployed one, all attempts together.
    margin: no type of failure may be more frequent by this, and no attribute rarer. With 128 prompts it can be shown
        to a tenth, with 72 to 0.15, with 48 to 0.2.
    guard_error: how likely each of these may be missed.

    Raises:
        UsageError: if a value is impossible.
    """

    measure: str = "faultless"
    least_gain: float = 0.1
    power: float = 0.8
    error: float = 0.025
    margin: float = 0.1
    guard_error: float = 0.05

    def __post_init__(self) -> None:
        if self.measure not in MEASURES:
            raise UsageError(f"gate.measure is '{self.measure}'; choose from {', '.join(MEASURES)}.")
        for name in ("least_gain", "power", "error", "margin", "guard_error"):
            if not 0 < getattr(self, name) < 1:
                raise UsageError(f"gate.{name} is {getattr(self, name):g}; give a share above 0 and below 1.")


@dataclass(frozen=True)
class StudyPlan:
    """How the studies that train several transformers vary a recipe.

    seeds: trainings of each setting, alike but for `transformer.seed`: they show what is chance.
    compute: how many times the least compute each setting of `scaling_study` takes; the most takes all of the recipe's
        `transformer.steps`.
    framing: the share of `transformer.steps` that each training of `framing_study` takes.
    laws: clips of each scenario that `law_study` asks for, inside the recipe's ranges, and as many outside.

    Raises:
        UsageError: if there is nothing to compare.
    """

    seeds: int = 2
    compute: tuple[int, ...] = (1, 4, 32)
    framing: float = 0.25
    laws: int = 40

    def __post_init__(self) -> None:
        if self.seeds < 2:
            raise UsageError(f"study.seeds is {self.seeds}; give 2 or more, or chance could not be told from effect.")
        if len(set(self.compute)) < 2 or min(self.compute) < 1:
            raise UsageError(f"study.compute is {list(self.compute)}; give two or more different multiples from 1 on.")
        if self.laws < 3:
            raise UsageError(f"study.laws is {self.laws}; give 3 or more: one of each kind outside the ranges.")
        if not 0 < self.framing <= 1:
            raise UsageError(f"study.framing is {self.framing:g}; give a share of the steps above 0, up to 1.")


@dataclass(frozen=True)
class Recipe:
    """One complete configuration, from raw clips to judged checkpoints.

    `compute` says on what it is trained, `study` how studies vary it, `captions` who describes its clips, `validation`
    what its dataset must be as a whole, `gate` what its model has to show to be deployed, `drift` when requests start
    its training again; the rest, what is learned and how it is judged.

    Raises:
        UsageError: if its parts do not fit together.
    """

    name: str
    ingest: IngestConfig
    captioner: CaptionerTraining
    autoencoder: AutoencoderTraining
    transformer: TransformerTraining
    sampling: Sampling
    evaluation: EvaluationPlan = EvaluationPlan()
    gate: GatePlan = GatePlan()
    compute: Compute = ONE_PROCESS
    study: StudyPlan = StudyPlan()
    captions: CaptionConfig = CAPTIONS
    validation: ValidationConfig = VALIDATION
    drift: DriftConfig = DRIFT

    def __post_init__(self) -> None:
        vae, dit = self.autoencoder.model, self.transformer.model
        if vae.latent_channels != dit.latent_channels:
            raise UsageError(
                f"the recipe {self.name} does not fit together: the autoencoder makes latents of {vae.latent_channels} "
                f"channels, and the transformer takes {dit.latent_channels}; set both latent_channels alike."
            )
        try:
            self.ingest.check(self.grid)
        except UsageError as error:
            raise UsageError(f"the recipe {self.name} does not fit together: ingest.{error}") from error

    @property
    def grid(self) -> Grid:
        """The sizes and lengths of clips that the recipe's model takes."""
        return self.autoencoder.model.grid(self.transformer.model.patch_size)
