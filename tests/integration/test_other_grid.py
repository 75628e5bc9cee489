"""A recipe whose autoencoder compresses otherwise, 8 pixels and 2 frames a latent, goes through every step."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from kinora import recipes
from kinora.data.clips import ClipDataset
from kinora.data.grid import Grid
from kinora.data.ingest.config import SimulatedClips
from kinora.data.ingest.dataset import ingest
from kinora.data.latents import LatentDataset
from kinora.data.validation import validate
from kinora.diffusion.sampler import Sampling
from kinora.errors import UsageError
from kinora.generation import GenerationRequest, VideoGenerator
from kinora.media import write_video
from kinora.models.text_encoder import TextEncoderConfig
from kinora.models.vae import VAE, Level, VAEConfig
from kinora.models.world_model import WorldModel
from kinora.recipes.recipe import Recipe
from kinora.training.autoencoder import train_autoencoder
from kinora.training.latents import encode_latents
from kinora.worlds import WorldsConfig

WORDS = ("<pad>", "<unknown>", "a", "red", "circle")


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    """The smoke recipe on a grid of 16 pixels and 2 frames, its autoencoder with two levels."""
    smoke = recipes.get("smoke")
    level = Level(spatial=4, temporal=1, width=8, encoder_blocks=1, decoder_blocks=1)
    vae = VAEConfig(spatial=8, temporal=2, width=8, encoder_blocks=1, decoder_blocks=1, finer=(level,))
    worlds = WorldsConfig(frames=(7, 15), sizes=((32, 32), (48, 16)), held_out=8)
    return replace(
        smoke,
        name="coarse",
        ingest=replace(
            smoke.ingest,
            worlds=worlds,
            simulated=SimulatedClips(videos=8, images=2, captioned=1.0),
            max_side=48,
            max_frames=15,
        ),
        autoencoder=replace(smoke.autoencoder, model=vae, steps=2),
    )


def test_worlds_and_files_are_ingested_on_it_and_generated_on_it(recipe, tmp_path):
    assert recipe.grid == Grid(16, 2)
    footage = tmp_path / "footage"
    footage.mkdir()
    rng = np.random.default_rng(0)
    write_video(footage / "a.mp4", np.repeat(rng.integers(0, 255, (14, 30, 90, 3), np.uint8), 2, axis=0), 8)
    files, figures = _valid(str(footage), recipe, tmp_path / "files")
    assert set(zip(files.clips["width"], files.clips["height"], strict=True)) == {(48, 16)}
    assert files.clips["frames"].tolist() == [15, 13]
    assert files.grid == recipe.grid

    clips, figures = _valid("worlds", recipe, tmp_path / "worlds")
    assert figures["failed_validation"] == 0
    train_autoencoder(clips, tmp_path / "vae", recipe.autoencoder)
    encode_latents(clips, clips.clips, tmp_path / "vae", tmp_path / "latents")
    latents = LatentDataset.open(tmp_path / "latents")
    shapes = set(map(tuple, latents.shapes().tolist()))
    assert {clip.latent.shape[1:] for clip in latents} == shapes
    assert (8, 4, 4) in shapes  # 15 frames of 32x32

    torch.manual_seed(0)
    world = WorldModel(recipe.transformer.model, TextEncoderConfig(WORDS))
    generator = VideoGenerator(VAE.load(tmp_path / "vae"), world, Sampling(steps=1))
    request = GenerationRequest("a red circle", 48, 16, 7)
    assert generator.generate([request])[0].shape == (7, 16, 48, 3)
    off_the_grid = replace(request, width=41, frames=6)
    assert generator.generate([off_the_grid])[0].shape == (6, 16, 41, 3)
    with pytest.raises(UsageError, match="multiple of 2"):
        generator.generate([replace(request, loop=True)])


def test_a_recipe_that_does_not_fit_says_what(recipe):
    smoke = recipes.get("smoke")
    with pytest.raises(UsageError, match=r"coarse does not fit together: ingest\.worlds\.sizes has 40 .* of 16"):
        replace(recipe, ingest=replace(smoke.ingest, max_side=48, max_frames=15))
    with pytest.raises(UsageError, match=r"ingest\.max_frames has 16 frames.* of 2: 3, 5, 7"):
        replace(recipe, ingest=replace(recipe.ingest, max_frames=16))
    narrow = replace(recipe.autoencoder.model, latent_channels=4)
    with pytest.raises(UsageError, match="4 channels, and the transformer takes 8"):
        replace(recipe, autoencoder=replace(recipe.autoencoder, model=narrow))


def _valid(source: str, recipe: Recipe, out) -> tuple[ClipDataset, dict[str, float]]:
    dataset = ingest(source, out / "clips", recipe.ingest, recipe.grid)
    valid, _, figures = validate(dataset, out / "valid")
    return valid, figures
