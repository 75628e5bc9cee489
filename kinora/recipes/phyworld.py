"""The recipe of PhyWorld's question: balls whose speeds and sizes lie in given ranges, learned from first frames alone.

After Kang et al., "How Far is Video Generation from World Model: A Physical Law Perspective" (arXiv:2411.02385). Their
frame is 10 units wide and ours 1, so that lengths and speeds are a tenth of theirs: radii of 0.7 to 1.4 and speeds of
1 to 4 units a second, 32 frames at 10 a second. Ours has 33, which is what an autoencoder of 4 frames a latent takes.
What is given is the first 5 frames (theirs: 3), the fewest of two latents: with one, no speed can be seen.
"""

from kinora.data.ingest.config import IngestConfig, SimulatedClips
from kinora.diffusion.sampler import Sampling
from kinora.models.captioner import CaptionerConfig
from kinora.models.dit import DiTConfig
from kinora.models.vae import VAEConfig
from kinora.recipes.recipe import EvaluationPlan, GatePlan, Recipe
from kinora.training.autoencoder_trainer import AutoencoderTraining
from kinora.training.captioner import CaptionerTraining
from kinora.training.compute import Compute
from kinora.training.transformer import TransformerTraining
from kinora.worlds import WorldsConfig


def phyworld() -> Recipe:
    """Even motion, level throws and head-on collisions at 32 pixels, all in one model that two cores can train."""
    return Recipe(
        name="phyworld",
        ingest=IngestConfig(
            worlds=WorldsConfig(
                worlds=("uniform", "ballistics", "collision"),
                motions=("right", "thrown right", "collide"),
                radii=((0.07, 0.14),),
                speeds=((0.1, 0.4),),
                colours=("red", "blue", "green", "yellow"),
                shapes=("circle",),
                backgrounds=("black",),
                sizes=((32, 32),),
                frames=(33,),
                fps=10.0,
                held_out=3,
            ),
            simulated=SimulatedClips(videos=3000, images=0, captioned=1.0),
            max_side=32,
            max_frames=33,
            fps=10.0,
        ),
        # Every clip has the simulator's caption, and what is measured is given no words.
        captioner=CaptionerTraining(
            model=CaptionerConfig(channels=16, width=64, grid=2), steps=10, batch_size=8, examples=32
        ),
        autoencoder=AutoencoderTraining(
            model=VAEConfig(latent_channels=8), steps=1200, pixels_per_step=6 * 33 * 32 * 32, crop_frames=33
        ),
        transformer=TransformerTraining(
            model=DiTConfig(latent_channels=8),
            steps=3000,
            tokens_per_step=2 * 1296,
            tokens_per_pack=1296,  # nine clips of 9 latent frames of 4 x 4 patches
            image_share=0.0,
            later_share=0.0,
            conditioning_share=0.9,
            given_first=2,
            context_noise=0.0,
            forcing_share=0.0,
            caption_dropout=0.8,
            muon_learning_rate=0.01,
            time_logit_mean=0.5,
            checkpoints=2,
        ),
        sampling=Sampling(steps=25, guidance=1.0),
        evaluation=EvaluationPlan(prompts=1, decision_prompts=2),
        gate=GatePlan(margin=0.2),
        compute=Compute(processes=2),
    )
