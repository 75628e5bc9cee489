"""Autoencoders of diffusers give what their makers' own pipelines give, and fit wherever ours does."""

import json
import shutil

import diffusers
import pytest
import torch
from diffusers import LTXPipeline

from kinora.errors import KinoraError, UsageError
from kinora.models.autoencoder import load_autoencoder
from kinora.models.hf_autoencoder import CLASSES, HFAutoencoder

NAMES = ("wan", "cogvideox", "ltx", "ltx_timed", "hunyuan")


def video(*size, count=1):
    return torch.rand(count, 3, *size, generator=torch.Generator().manual_seed(0)) * 2 - 1


def theirs(folder):
    name = json.loads((folder / "config.json").read_text())["_class_name"]
    return getattr(diffusers, name).from_pretrained(folder, low_cpu_mem_usage=False).eval()


def pipeline_latent(network, mean):
    """Return what the pipelines of diffusers give their transformer, each by its own formula."""
    if isinstance(network, diffusers.AutoencoderKLWan):  # pipeline_wan_i2v.py, prepare_latents
        inverse = 1.0 / torch.tensor(network.config.latents_std).view(1, -1, 1, 1, 1)
        return (mean - torch.tensor(network.config.latents_mean).view(1, -1, 1, 1, 1)) * inverse
    if isinstance(network, diffusers.AutoencoderKLLTXVideo):
        return LTXPipeline._normalize_latents(mean, network.latents_mean, network.latents_std, 1.0)
    return mean * network.config.scaling_factor  # pipeline_cogvideox_video2video.py, pipeline_hunyuan_video_i2v.py


@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_latents_and_clips_are_those_of_the_makers_pipeline(hf_autoencoder, name):
    folder = hf_autoencoder(name)
    ours, network = HFAutoencoder.from_pretrained(f"hf:{folder}"), theirs(folder)
    clip = video(17, 64, 96)
    mean = network.encode(clip).latent_dist.mode()
    expected = pipeline_latent(network, mean)
    torch.testing.assert_close(ours.latents_of(clip), expected)
    time = {"temb": torch.zeros(1)} if name == "ltx_timed" else {}  # decode_timestep and its noise are 0 by default
    decoded = network.decode(mean, **time).sample
    torch.testing.assert_close(ours.video_of(expected, (17, 64, 96)), decoded, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [(1, 64, 64), (5, 33, 64), (13, 64, 40)])
def test_any_size_comes_back_as_large_as_it_was(hf_autoencoder, name, size):
    model = HFAutoencoder.from_pretrained(f"hf:{hf_autoencoder(name)}")
    latent = model.latents_of(video(*size, count=2))
    assert latent.shape == (2, model.config.latent_channels, *model.config.latent_shape(*size))
    assert model.video_of(latent, size).shape == (2, 3, *size)


@pytest.mark.parametrize("name", ["wan", "ltx"])  # the others normalise over all frames together
def test_the_first_latent_is_that_of_the_first_frame_alone(hf_autoencoder, name):
    model = HFAutoencoder.from_pretrained(f"hf:{hf_autoencoder(name)}")
    clip = video(9, 64, 64)
    torch.testing.assert_close(model.latents_of(clip)[:, :, :1], model.latents_of(clip[:, :, :1]))


@pytest.mark.parametrize("name", NAMES)
def test_a_saved_one_stands_alone(hf_autoencoder, name, tmp_path):
    source = tmp_path / "source"
    shutil.copytree(hf_autoencoder(name), source)
    model = HFAutoencoder.from_pretrained(f"hf:{source}")
    model.save(tmp_path / "ours")
    shutil.rmtree(source)
    again = load_autoencoder(tmp_path / "ours")
    assert again.config == model.config
    assert {file.name for file in (tmp_path / "ours").iterdir()} == {"model.safetensors", "config.json"}
    torch.testing.assert_close(again.latents_of(video(5, 64, 64)), model.latents_of(video(5, 64, 64)))


def test_it_computes_in_the_type_of_its_weights(hf_autoencoder):
    model = HFAutoencoder.from_pretrained(f"hf:{hf_autoencoder('wan')}")
    expected = model.latents_of(video(5, 64, 64))
    for parameter in model.parameters():
        parameter.data = parameter.data.bfloat16()
    latent = model.latents_of(video(5, 64, 64))
    assert latent.dtype is torch.float32
    torch.testing.assert_close(latent, expected, atol=0.1, rtol=0.1)


def test_a_pipeline_s_folder_is_read_at_its_autoencoder(hf_autoencoder, tmp_path):
    shutil.copytree(hf_autoencoder("wan"), tmp_path / "vae")
    (tmp_path / "model_index.json").write_text("{}")
    assert HFAutoencoder.from_pretrained(f"hf:{tmp_path}").config.network_class == "AutoencoderKLWan"


def test_a_name_is_found_in_the_local_cache_without_the_hub(hf_autoencoder, tmp_path, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(KinoraError, match="the hub does not give org/tiny"):
        HFAutoencoder.from_pretrained("hf:org/tiny")
    repository, commit = tmp_path / "models--org--tiny", 40 * "a"
    shutil.copytree(hf_autoencoder("wan"), repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    for name in ("hf:org/tiny", "hf:org/tiny@main"):
        assert HFAutoencoder.from_pretrained(name).config.pretrained == name


def test_what_cannot_be_used_is_refused_in_a_sentence(hf_autoencoder, tmp_path):
    for source in ("Wan-AI/Wan2.1", "hf:"):
        with pytest.raises(UsageError, match="names no model"):
            HFAutoencoder.from_pretrained(source)
    with pytest.raises(KinoraError, match="there is no folder"):
        HFAutoencoder.from_pretrained(f"hf:{tmp_path}/nothing")
    with pytest.raises(KinoraError, match=r"has no config\.json"):
        HFAutoencoder.from_pretrained(f"hf:{tmp_path}")
    (tmp_path / "config.json").write_text('{"_class_name": "AutoencoderKL"}')
    with pytest.raises(KinoraError, match=f"'AutoencoderKL' is no .*{next(iter(CLASSES))}"):
        HFAutoencoder.from_pretrained(f"hf:{tmp_path}")


def test_pickled_weights_are_refused(hf_autoencoder, tmp_path):
    shutil.copy(hf_autoencoder("wan") / "config.json", tmp_path)
    torch.save(theirs(hf_autoencoder("wan")).state_dict(), tmp_path / "diffusion_pytorch_model.bin")
    with pytest.raises(KinoraError, match="cannot be read"):
        HFAutoencoder.from_pretrained(f"hf:{tmp_path}")


def test_a_configuration_that_is_not_that_of_the_weights_is_refused(hf_autoencoder, tmp_path):
    shutil.copytree(hf_autoencoder("wan"), tmp_path / "wan")
    config = json.loads((tmp_path / "wan" / "config.json").read_text())
    (tmp_path / "wan" / "config.json").write_text(json.dumps({**config, "scale_factor_spatial": 16}))
    with pytest.raises(KinoraError, match="by its configuration"):
        HFAutoencoder.from_pretrained(f"hf:{tmp_path / 'wan'}")
