"""The whole pipeline in seconds, for tests: every step does its work, and nothing is learned well."""

from kinora.data.ingest.config import IngestConfig, SimulatedClips
from kinora.diffusion.sampler import Sampling
from kinora.models.captioner import CaptionerConfig
from kinora.models.dit import DiTConfig
from kinora.models.vae import VAEConfig
from kinora.recipes.recipe import EvaluationPlan, Recipe
from kinora.training.autoencoder_trainer import AutoencoderTraining
from kinora.training.captioner import CaptionerTraining
from kinora.training.compute import Compute
from kinora.training.transformer import TransformerTraining
from kinora.worlds import WorldsConfig


def smoke() -> Recipe:
    """A few clips, a few steps, small networks."""
    return Recipe(
        name="smoke",
        ingest=IngestConfig(
            worlds=WorldsConfig(frames=(13,), sizes=((32, 32), (40, 24)), held_out=32),
            simulated=SimulatedClips(videos=48, images=16),
            max_side=40,
            max_frames=13,
            max_seconds=4.0,
        ),
        captioner=CaptionerTraining(
            model=CaptionerConfig(channels=16, width=64, grid=2), steps=10, batch_size=8, examples=32
        ),
        autoencoder=AutoencoderTraining(
            model=VAEConfig(width=32, encoder_blocks=1, decoder_blocks=1), steps=20, pixels_per_step=2 * 13 * 32 * 32
        ),
        transformer=TransformerTraining(
            model=DiTConfig(latent_channels=8, width=64, depth=2),
            steps=30,
            tokens_per_step=512,
            tokens_per_pack=256,
            warmup_steps=5,
            ema_decay=0.9,
            save_every=10,
        ),
        sampling=Sampling(steps=6, guidance=1.0),
        evaluation=EvaluationPlan(prompts=4, decision_prompts=6, shards=2),
        compute=Compute(processes=2),
    )
