"""For the tests of the library: real files, and tiny models saved by diffusers."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from kinora.data.ingest import IngestConfig, ingest


@pytest.fixture(scope="session")
def footage(tmp_path_factory, real_videos, real_images) -> Path:
    """A folder with real videos, one of them captioned, and images."""
    folder = tmp_path_factory.mktemp("footage")
    (folder / "images").mkdir()
    for path in real_videos:
        (folder / path.name).symlink_to(path)
    for path in real_images:
        (folder / "images" / path.name).symlink_to(path)
    (folder / "carphone_pristine.txt").write_text("A man talks\n in a car. He is animated.\n")
    return folder


@pytest.fixture(scope="session")
def real_dataset(tmp_path_factory, footage):
    """The dataset of that folder."""
    return ingest(str(footage), tmp_path_factory.mktemp("dataset") / "clips", IngestConfig())


CHANNELS = (8, 8, 8, 8)


def _wan():
    from diffusers import AutoencoderKLWan

    statistics = {"latents_mean": [0.1, -0.2, 0.3, 0.4], "latents_std": [1.0, 2.0, 0.5, 4.0]}
    return AutoencoderKLWan(base_dim=8, z_dim=4, dim_mult=[1, 1, 1, 1], num_res_blocks=1, **statistics)


def _cogvideox():
    from diffusers import AutoencoderKLCogVideoX

    return AutoencoderKLCogVideoX(
        down_block_types=("CogVideoXDownBlock3D",) * 4,
        up_block_types=("CogVideoXUpBlock3D",) * 4,
        block_out_channels=CHANNELS,
        latent_channels=4,
        layers_per_block=1,
        norm_num_groups=4,
    )


def _ltx(**options):
    from diffusers import AutoencoderKLLTXVideo

    model = AutoencoderKLLTXVideo(
        latent_channels=4,
        block_out_channels=CHANNELS,
        decoder_block_out_channels=CHANNELS,
        layers_per_block=(1,) * 5,
        decoder_layers_per_block=(1,) * 5,
        **options,
    )
    model.latents_mean.copy_(torch.tensor([0.1, -0.2, 0.3, 0.4]))
    model.latents_std.copy_(torch.tensor([1.0, 2.0, 0.5, 4.0]))
    return model


def _ltx_timed():
    return _ltx(timestep_conditioning=True, decoder_inject_noise=(False,) * 5)


def _hunyuan():
    from diffusers import AutoencoderKLHunyuanVideo

    return AutoencoderKLHunyuanVideo(
        latent_channels=4, block_out_channels=CHANNELS, layers_per_block=1, norm_num_groups=4
    )


AUTOENCODERS = {"wan": _wan, "cogvideox": _cogvideox, "ltx": _ltx, "ltx_timed": _ltx_timed, "hunyuan": _hunyuan}


@pytest.fixture(scope="session")
def hf_autoencoder(tmp_path_factory) -> Callable[[str], Path]:
    """Return the folder of a tiny autoencoder of diffusers, by its name in `AUTOENCODERS`."""
    root = tmp_path_factory.mktemp("hf")

    def saved(name: str) -> Path:
        if not (root / name).exists():
            torch.manual_seed(0)
            AUTOENCODERS[name]().save_pretrained(root / name)
        return root / name

    return saved
