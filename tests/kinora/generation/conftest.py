"""A small video generator with random weights."""

import pytest
import torch

from kinora.diffusion.sampler import Sampling
from kinora.generation import VideoGenerator
from kinora.models.dit import DiTConfig
from kinora.models.text_encoder import TextEncoderConfig
from kinora.models.vae import VAE, VAEConfig
from kinora.models.world_model import WorldModel, load_world_model, save_world_model


@pytest.fixture(scope="session")
def model_folders(tmp_path_factory):
    """Folders of an autoencoder, a transformer checkpoint and a (pretended) captioner."""
    torch.manual_seed(0)
    root = tmp_path_factory.mktemp("models")
    VAE(VAEConfig(latent_channels=4, width=8, encoder_blocks=1, decoder_blocks=1)).save(root / "vae")
    words = ("<pad>", "<unknown>", "a", "red", "blue", "circle", "square", "moves", "on", "grey", "background")
    text, dit = TextEncoderConfig(words, width=16, heads=2), DiTConfig(latent_channels=4, width=16, depth=1, heads=2)
    model = WorldModel(dit, text)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    save_world_model(root / "dit", dict(model.named_parameters()), dit, text)
    (root / "captioner").mkdir()
    (root / "captioner" / "config.json").write_text("{}")
    return root


@pytest.fixture
def generator(model_folders):
    """The models above, computing in float32, in a few steps."""
    made = VideoGenerator(VAE.load(model_folders / "vae"), load_world_model(model_folders / "dit"), Sampling(steps=4))
    made.model.float()
    return made
