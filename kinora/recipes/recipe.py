"""A recipe is one named, complete configuration: everything that decides what a run of the pipeline makes."""

from dataclasses import dataclass

from kinora.data.grid import Grid
from kinora.data.ingest import IngestConfig
from kinora.diffusion.sampler import Sampling
from kinora.errors import UsageError
from kinora.training.autoencoder_trainer import AutoencoderTraining
from kinora.training.captioner import CaptionerTraining
from kinora.training.compute import Compute
from kinora.training.transformer import TransformerTraining

ONE_PROCESS = Compute()


@dataclass(frozen=True)
class EvaluationPlan:
    """How checkpoints are judged: `prompts` held-out prompts, drawn with `seed`, one clip each.

    The gate pairs the same prompts and seeds of two checkpoints, so `seed` changes only when a new set is meant.
    """

    prompts: int = 64
    seed: int = 20261


@dataclass(frozen=True)
class Recipe:
    """One complete configuration, from raw clips to judged checkpoints.

    `compute` says on what it is trained; the rest, what is learned and how it is judged.

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
