"""A small video generator with random weights."""

import pytest

from kinora.diffusion.sampler import Sampling
from kinora.generation import VideoGenerator
from kinora.models.vae import VAE
from kinora.models.world_model import load_world_model


@pytest.fixture
def generator(model_folders):
    """The models above, computing in float32, in a few steps."""
    made = VideoGenerator(VAE.load(model_folders / "vae"), load_world_model(model_folders / "dit"), Sampling(steps=4))
    made.model.float()
    return made
