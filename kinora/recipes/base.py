"""A model worth a cluster: half a billion parameters on clips of real footage, on eight GPUs or more.

No training of it has been run. `kinora plan --recipe base` says what it takes.
"""

from kinora.data.ingest.config import IngestConfig
from kinora.diffusion.sampler import Sampling
from kinora.models.dit import DiTConfig
from kinora.models.text_encoder import TextEncoderConfig
from kinora.models.vae import BASE
from kinora.recipes.recipe import EvaluationPlan, Recipe
from kinora.training.autoencoder_trainer import AutoencoderTraining
from kinora.training.captioner import CaptionerTraining
from kinora.training.compute import Compute
from kinora.training.transformer import TransformerTraining
from kinora.worlds import WorldsConfig

DEPTH = 26
PACK = 2 * 17 * 32 * 32  # two of the longest clips: 17 latent frames of 32 x 32 patches


def base() -> Recipe:
    """Images and clips of up to 512 pixels and 65 frames, in 16 latent channels at a 256th of the pixels."""
    return Recipe(
        name="base",
        ingest=IngestConfig(
            worlds=WorldsConfig(sizes=((128, 128), (160, 96), (96, 160)), frames=(17, 33), held_out=160),
            max_side=512,
            max_frames=65,
            fps=16.0,
        ),
        captioner=CaptionerTraining(steps=20_000, batch_size=128, examples=50_000),
        autoencoder=AutoencoderTraining(model=BASE, steps=200_000, pixels_per_step=8 * 17 * 256 * 256),
        transformer=TransformerTraining(
            model=DiTConfig(
                latent_channels=BASE.latent_channels,
                width=1280,
                depth=DEPTH,
                heads=20,
                cross_attention_blocks=tuple(range(0, DEPTH, 4)),
                text_width=512,
            ),
            text=TextEncoderConfig(width=512, depth=4, heads=8, max_words=128),
            steps=100_000,
            tokens_per_step=64 * PACK,
            tokens_per_pack=PACK,
            learning_rate=2e-4,
            muon_learning_rate=5e-3,
            warmup_steps=2000,
            ema_decay=0.9999,
            time_logit_mean=0.0,
            time_shift=3.0,
            checkpoints=5,
            save_every=1000,
            validate_every=1000,
        ),
        sampling=Sampling(steps=40, guidance=4.0),
        evaluation=EvaluationPlan(),
        compute=Compute(processes=8, compile=True),
    )
