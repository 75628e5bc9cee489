"""The recipe of the model that comes with the package: every simulated world, lit and textured, with moving cameras."""

from kinora.data.ingest.config import IngestConfig, SimulatedClips
from kinora.diffusion.sampler import Sampling
from kinora.models.captioner import CaptionerConfig
from kinora.models.dit import DiTConfig
from kinora.models.text_encoder import TextEncoderConfig
from kinora.models.vae import VAEConfig
from kinora.recipes.recipe import EvaluationPlan, GatePlan, Recipe
from kinora.training.autoencoder_trainer import AutoencoderTraining
from kinora.training.captioner import CaptionerTraining
from kinora.training.compute import Compute
from kinora.training.transformer import TransformerTraining
from kinora.worlds import WorldsConfig

LATENT_CHANNELS = 12
PACK = 2560  # tokens: ten clips of 7 latent frames of 48 x 48 pixels
CAMERAS = ("pans right", "pans left", "zooms in")


def reference() -> Recipe:
    """One to three things in eight worlds, at 40 to 64 pixels for 2 or 3 seconds; larger clips are learned in windows.

    One thing in half of the clips of worlds that leave it open, three in one of six; one camera in five moves.
    """
    return Recipe(
        name="reference",
        ingest=IngestConfig(
            worlds=WorldsConfig(
                worlds=("uniform", "ballistics", "collision", "occlusion", "shatter", "painter", "orbit", "game"),
                sizes=((48, 48), (48, 48), (64, 40), (40, 64)),
                fine_sizes=((96, 64), (64, 96), (128, 128)),
                fine_share=0.06,
                frames=(17, 25),
                fps=8.0,
                objects=(1, 1, 1, 2, 2, 3),
                cameras=("still",) * 4 * len(CAMERAS) + CAMERAS,
                look="shaded",
                held_out=96,
            ),
            simulated=SimulatedClips(videos=30000, images=4000, captioned=1.0),
            max_side=64,
            max_frames=25,
            fps=8.0,
        ),
        captioner=CaptionerTraining(
            # Where there are two things they are small: at 32 pixels their shapes are mistaken.
            model=CaptionerConfig(frames=8, side=48, changes=32, grid=4, max_words=64),
            steps=1000,
        ),
        autoencoder=AutoencoderTraining(
            model=VAEConfig(latent_channels=LATENT_CHANNELS),
            steps=2000,
            pixels_per_step=4 * 17 * 64 * 64,
            crop_side=64,
        ),
        transformer=TransformerTraining(
            model=DiTConfig(
                latent_channels=LATENT_CHANNELS,
                width=256,
                depth=6,
                heads=8,
                cross_attention_blocks=(1, 3),
                text_width=64,
            ),
            text=TextEncoderConfig(max_words=40),
            window=(0, 8, 8),
            steps=6000,
            tokens_per_step=4 * PACK,
            tokens_per_pack=PACK,
            image_share=0.2,
            later_share=0.1,
            conditioning_share=0.25,
            forcing_share=0.1,
            muon_learning_rate=0.006,
            learning_rate=1.2e-3,
            ema_decay=0.998,
            time_logit_std=1.1,
            time_shift=1.5,
            checkpoints=5,
            save_every=200,
            validate_every=500,
        ),
        sampling=Sampling(steps=25, guidance=3.0, shift=3.0),
        evaluation=EvaluationPlan(prompts=24, decision_prompts=72),
        gate=GatePlan(margin=0.15),
        compute=Compute(processes=2),
    )
