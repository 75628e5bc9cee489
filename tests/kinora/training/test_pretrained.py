"""A pretrained autoencoder is measured and packed, and everything after it works with it as with a trained one."""

import shutil
from dataclasses import replace

import pytest
import torch

from kinora.config import read_json
from kinora.data.latents import LatentDataset
from kinora.data.simulated import SimulatedClips, write_worlds
from kinora.diffusion.sampler import Sampling
from kinora.errors import UsageError
from kinora.generation import GenerationRequest, VideoGenerator
from kinora.models.autoencoder import load_autoencoder
from kinora.models.dit import DiTConfig
from kinora.models.vae import VAEConfig
from kinora.training.autoencoder import train_autoencoder
from kinora.training.autoencoder_trainer import AutoencoderTraining
from kinora.training.latents import encode_latents
from kinora.training.transformer import TransformerTraining, train_transformer
from kinora.worlds import WorldsConfig

WORLDS = WorldsConfig(worlds=("uniform",), sizes=((32, 32), (48, 32)), frames=(9,), held_out=60, seed=5)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write_worlds(WORLDS, SimulatedClips(videos=10, images=4), tmp_path_factory.mktemp("worlds") / "clips")


def training(folder) -> AutoencoderTraining:
    return AutoencoderTraining(model=VAEConfig(latent_channels=4, spatial=8), pretrained=f"hf:{folder}")


@pytest.fixture(scope="module")
def packed(hf_autoencoder, dataset, tmp_path_factory):
    """Wan's, packed; the folder that it was read from is gone."""
    source, out = tmp_path_factory.mktemp("source") / "wan", tmp_path_factory.mktemp("packed") / "vae"
    shutil.copytree(hf_autoencoder("wan"), source)
    result = train_autoencoder(dataset, out, training(source))
    shutil.rmtree(source)
    return result


@torch.no_grad()
def test_nothing_is_trained_and_the_reconstruction_is_measured(packed, hf_autoencoder):
    assert packed.metrics["steps"] == 0
    assert 0 < packed.metrics["psnr_video"] < 60
    assert (packed.path / "report.html").is_file()
    config = read_json(packed.path / "config.json")
    assert config["pretrained"].startswith("hf:")
    assert config["model"]["network_class"] == "AutoencoderKLWan"
    from diffusers import AutoencoderKLWan

    theirs = AutoencoderKLWan.from_pretrained(hf_autoencoder("wan"), low_cpu_mem_usage=False).state_dict()
    ours = load_autoencoder(packed.path).network.state_dict()
    assert all(torch.equal(ours[name], weight) for name, weight in theirs.items())


def test_another_shape_than_the_recipe_s_is_refused_with_the_settings(dataset, hf_autoencoder, tmp_path):
    wrong = replace(training(hf_autoencoder("ltx")), model=VAEConfig(latent_channels=4))
    wanted = r"set autoencoder\.model\.latent_channels=4 autoencoder\.model\.spatial=32 autoencoder\.model\.temporal=8"
    with pytest.raises(UsageError, match=wanted):
        train_autoencoder(dataset, tmp_path / "vae", wrong)


def test_a_transformer_is_trained_on_its_latents_and_makes_clips(packed, dataset, tmp_path):
    captions = dataset.clips[["clip_id"]].assign(caption="A red circle moves.", short_caption="A red circle.")
    encode_latents(dataset, captions, packed.path, tmp_path / "latents")
    latents = LatentDataset.open(tmp_path / "latents")
    config = TransformerTraining(
        model=DiTConfig(latent_channels=4, width=16, depth=1, heads=2), steps=2, checkpoints=2,
        tokens_per_step=96, tokens_per_pack=48, warmup_steps=1, samples=2, save_every=10,
    )  # fmt: skip
    sampling = Sampling(steps=2)
    trained = train_transformer(latents, tmp_path / "dit", config, autoencoder=packed.path, sampling=sampling)
    generator = VideoGenerator.load(packed.path, trained.path / trained.checkpoints[-1], sampling)
    (clip,) = generator.generate([GenerationRequest("a red circle", 48, 32, 9, 8.0, 0)])
    assert clip.shape == (9, 32, 48, 3)
