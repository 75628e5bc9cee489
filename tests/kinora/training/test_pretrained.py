"""A pretrained autoencoder and a frozen text encoder take the place of ours in every step."""

import shutil
from dataclasses import replace

import pytest
import torch

from kinora.config import read_json
from kinora.data.ingest.config import IngestConfig, SimulatedClips
from kinora.data.ingest.dataset import ingest
from kinora.data.latents import LatentDataset
from kinora.diffusion.sampler import Sampling
from kinora.errors import KinoraError, UsageError
from kinora.generation import ClipFormat, GenerationRequest, VideoGenerator
from kinora.models.autoencoder import load_autoencoder
from kinora.models.dit import DiTConfig
from kinora.models.hf_text_encoder import FrozenTextEncoder
from kinora.models.text_encoder import TextEncoderConfig
from kinora.models.vae import VAEConfig
from kinora.training.autoencoder import train_autoencoder
from kinora.training.autoencoder_trainer import AutoencoderTraining
from kinora.training.batches import Batches
from kinora.training.latents import encode_latents
from kinora.training.transformer import TransformerTraining, resolve, train_transformer
from kinora.worlds import WorldsConfig

WORLDS = WorldsConfig(worlds=("uniform",), sizes=((32, 32), (48, 32)), frames=(9,), held_out=60, seed=5)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return ingest(
        "worlds", tmp_path_factory.mktemp("worlds") / "clips", IngestConfig(WORLDS, SimulatedClips(videos=10, images=4))
    )


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


def test_a_transformer_is_trained_with_both_and_makes_clips(packed, hf_text_encoder, dataset, tmp_path):
    """While it trains, the text encoder is not there: the latents hold what it made of the captions."""
    source, away = tmp_path / "t5", tmp_path / "away"
    shutil.copytree(hf_text_encoder("t5"), source)
    text = TextEncoderConfig(kind="hf", pretrained=f"hf:{source}", max_words=12)
    captions = dataset.clips[["clip_id"]].assign(caption="A red circle moves.", short_caption="A red circle.")
    encode_latents(dataset, captions, packed.path, tmp_path / "latents", text)
    source.rename(away)
    latents = LatentDataset.open(tmp_path / "latents")
    config = TransformerTraining(
        model=DiTConfig(latent_channels=4, width=16, depth=1, heads=2), text=text, steps=2, checkpoints=2,
        tokens_per_step=96, tokens_per_pack=48, warmup_steps=1, samples=2, save_every=10,
    )  # fmt: skip
    sampling = Sampling(steps=2)
    trained = train_transformer(latents, tmp_path / "dit", config, autoencoder=packed.path, sampling=sampling)
    folders = packed.path, trained.path / trained.checkpoints[-1]
    assert (folders[1] / "text_encoder.safetensors").stat().st_size < 10_000
    with pytest.raises(KinoraError, match="there is no folder"):
        VideoGenerator.load(*folders, sampling, ClipFormat())
    away.rename(source)
    generator = VideoGenerator.load(*folders, sampling, ClipFormat())
    (clip,) = generator.generate([GenerationRequest("a red circle", 48, 32, 9, 8.0, 0)])
    assert clip.shape == (9, 32, 48, 3)
    with pytest.raises(UsageError, match="the prompt has 13 tokens, and this model reads 12"):
        generator("a red circle " * 4)


def test_batches_hold_the_kept_texts_and_zeros_where_they_are_dropped(packed, hf_text_encoder, dataset, tmp_path):
    text = TextEncoderConfig(kind="hf", pretrained=f"hf:{hf_text_encoder('clip')}", max_words=12)
    captions = dataset.clips[["clip_id"]].assign(caption="a red circle", short_caption="a")
    encode_latents(dataset, captions, packed.path, tmp_path / "latents", text)
    latents = LatentDataset.open(tmp_path / "latents").of_split("train")
    config = TransformerTraining(
        text=text, tokens_per_step=96, tokens_per_pack=48, caption_dropout=0.5, model=DiTConfig(latent_channels=4)
    )
    resolved = resolve(config, latents)
    assert resolved.text.width == resolved.model.text_width == 16
    (expected,) = FrozenTextEncoder(text.pretrained, 12).encode(["a red circle"])
    texts = torch.cat([batch.text for step in range(20) for batch in Batches(latents, resolved).packs(step)])
    dropped = (texts == 0).flatten(1).all(1)
    assert 0.2 < dropped.float().mean() < 0.8
    kept = texts[~dropped]
    torch.testing.assert_close(kept, expected.expand_as(kept), atol=0.02, rtol=0.02)  # kept in bfloat16
    for other in (replace(text, max_words=11), replace(text, pretrained="hf:another")):
        with pytest.raises(KinoraError, match=r"holds those of .*; encode the clips again"):
            resolve(replace(config, text=other), latents)
