"""The recipe of `make demo`: one thing in a small world, learned from nothing in minutes on two CPU cores."""

from kinora.data.ingest.config import IngestConfig, SimulatedClips
from kinora.diffusion.sampler import Sampling
from kinora.models.dit import DiTConfig
from kinora.recipes.recipe import EvaluationPlan, GatePlan, Recipe
from kinora.training.autoencoder_trainer import AutoencoderTraining
from kinora.training.captioner import CaptionerTraining
from kinora.training.compute import Compute
from kinora.training.transformer import TransformerTraining
from kinora.worlds import WorldsConfig


def tiny() -> Recipe:
    """One object in six colours and three shapes, on three backgrounds, in twelve motions, at about 32 pixels."""
    return Recipe(
        name="tiny",
        ingest=IngestConfig(
            worlds=WorldsConfig(
                worlds=("uniform", "ballistics"),
                motions=("right", "left", "up", "down", "fall", "thrown right", "thrown left", "thrown up"),
                sizes=((32, 32), (40, 24), (24, 40)),
                frames=(9, 17),
                fps=8.0,
            ),
            simulated=SimulatedClips(videos=2400, images=900),
            max_side=40,
            max_frames=17,
            fps=8.0,
        ),
        captioner=CaptionerTraining(),
        autoencoder=AutoencoderTraining(steps=900),
        transformer=TransformerTraining(
            model=DiTConfig(latent_channels=8),
            steps=2200,
            tokens_per_step=2560,
            tokens_per_pack=1280,
            image_share=0.25,
            conditioning_share=0.2,
            muon_learning_rate=0.01,
            time_logit_mean=0.5,
        ),
        sampling=Sampling(steps=25, guidance=2.0),
        evaluation=EvaluationPlan(prompts=16, decision_prompts=48),
        gate=GatePlan(margin=0.2),
        compute=Compute(processes=2),
    )
