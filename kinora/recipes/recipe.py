"""A recipe is one named, complete configuration: everything that decides what a run of the pipeline makes."""

from dataclasses import dataclass

from kinora.captioning.writers import CaptionConfig
from kinora.data.drift import DriftConfig
from kinora.data.grid import Grid
from kinora.data.ingest.config import IngestConfig
from kinora.data.validation_config import ValidationConfig
from kinora.diffusion.sampler import Sampling
from kinora.errors import UsageError
from kinora.training.autoencoder_trainer import AutoencoderTraining
from kinora.training.captioner import CaptionerTraining
from kinora.training.compute import Compute
from kinora.training.transformer import TransformerTraining

ONE_PROCESS, CAPTIONS, VALIDATION, DRIFT = Compute(), CaptionConfig(), ValidationConfig(), DriftConfig()


@dataclass(frozen=True)
class EvaluationPlan:
    """How checkpoints are judged: `prompts` held-out prompts, drawn with `seed`, one clip each.

    The gate pairs the same prompts and seeds of two checkpoints, so `seed` changes only when a new set is meant.
    """

    prompts: int = 64
    seed: int = 20261


@dataclass(frozen=True)
class StudyPlan:
    """How the studies that train several transformers vary a recipe.

    seeds: trainings of each setting, alike but for `transformer.seed`: they show what is chance.
    compute: how many times the least compute each setting of `scaling_study` takes; the most takes all of the recipe's
        `transformer.steps`.
    framing: the share of `transformer.steps` that each training of `framing_study` takes.

    Raises:
        UsageError: if there is nothing to compare.
    """

    seeds: int = 2
    compute: tuple[int, ...] = (1, 4, 32)
    framing: float = 0.25

    def __post_init__(self) -> None:
        if self.seeds < 2:
            raise UsageError(f"study.seeds is {self.seeds}; give 2 or more, or chance could not be told from effect.")
        if len(set(self.compute)) < 2 or min(self.compute) < 1:
            raise UsageError(f"study.compute is {list(self.compute)}; give two or more different multiples from 1 on.")
        if not 0 < self.framing <= 1:
            raise UsageError(f"study.framing is {self.framing:g}; give a share of the steps above 0, up to 1.")


@dataclass(frozen=True)
class Recipe:
    """One complete configuration, from raw clips to judged checkpoints.

    `compute` says on what it is trained, `study` how studies vary it, `captions` who describes its clips, `validation`
    what its dataset must be as a whole, `drift` when requests start its training again; the rest, what is learned and
    how it is judged.

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
