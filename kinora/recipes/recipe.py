"""A recipe is one named, complete configuration: everything that decides what a run of the pipeline makes."""

from dataclasses import dataclass

from kinora.data.ingest import IngestConfig
from kinora.diffusion.sampler import Sampling
from kinora.training.captioner import CaptionerTraining
from kinora.training.dit import DiTTraining
from kinora.training.vae import VAETraining


@dataclass(frozen=True)
class EvaluationPlan:
    """How checkpoints are judged: `prompts` held-out prompts, drawn with `seed`, one clip each.

    The gate pairs the same prompts and seeds of two checkpoints, so `seed` changes only when a new set is meant.
    """

    prompts: int = 64
    seed: int = 20261


@dataclass(frozen=True)
class Recipe:
    """One complete configuration, from raw clips to judged checkpoints."""

    name: str
    ingest: IngestConfig
    captioner: CaptionerTraining
    autoencoder: VAETraining
    transformer: DiTTraining
    sampling: Sampling
    evaluation: EvaluationPlan = EvaluationPlan()
