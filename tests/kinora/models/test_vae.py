"""The autoencoder is causal, has the stated shapes, and starts as the best linear one."""

from importlib import import_module

import numpy as np
import pytest
import torch

from kinora.errors import KinoraError
from kinora.models.autoencoder import AUTOENCODERS, Autoencoder, load_autoencoder
from kinora.models.vae import VAE, VAEConfig, from_blocks, to_blocks

SMALL = VAEConfig(latent_channels=6, width=8, encoder_blocks=2, decoder_blocks=2)


@pytest.fixture
def model() -> VAE:
    """A model whose every weight is random: a fresh one is linear, which would hide what looks ahead in time."""
    torch.manual_seed(0)
    model = VAE(SMALL).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return model


def video(frames: int, height: int, width: int, count: int = 2) -> torch.Tensor:
    return torch.rand(count, 3, frames, height, width, generator=torch.Generator().manual_seed(frames)) * 2 - 1


@pytest.mark.parametrize(("frames", "height", "width"), [(1, 32, 32), (17, 32, 32), (9, 24, 40), (5, 40, 24)])
def test_latents_and_reconstructions_have_the_stated_shape(model, frames, height, width):
    clip = video(frames, height, width)
    mean, log_variance = model.encode(clip)
    assert mean.shape == log_variance.shape == (2, 6, 1 + (frames - 1) // 4, height // 4, width // 4)
    assert model.decode(mean).shape == clip.shape


@torch.no_grad()
def test_the_latent_of_an_image_is_the_first_latent_of_every_video_that_starts_with_it(model):
    clip = video(17, 24, 40)
    torch.testing.assert_close(model.encode(clip[:, :, :1])[0], model.encode(clip)[0][:, :, :1])


@torch.no_grad()
def test_encoder_and_decoder_never_look_ahead(model):
    clip = video(17, 16, 16)
    changed = clip.clone()
    changed[:, :, 9:] = -changed[:, :, 9:]  # the fourth and fifth latents
    latent, latent_changed = model.encode(clip)[0], model.encode(changed)[0]
    torch.testing.assert_close(latent[:, :, :3], latent_changed[:, :, :3])
    assert (latent[:, :, 3:] - latent_changed[:, :, 3:]).abs().amax(dim=(1, 2, 3, 4)).min() > 0.01
    both = model.decode(torch.stack([latent[0], latent_changed[0]]))
    torch.testing.assert_close(both[0, :, :9], both[1, :, :9])


def test_blocks_hold_the_pixels_that_they_are_cut_from():
    clip = video(9, 8, 12)
    blocks = to_blocks(clip, SMALL)  # [B, t, h, w, 3 * 4 * 4 * 4]
    assert blocks.shape == (2, 3, 2, 3, 192)
    block = blocks[1, 2, 1, 2].reshape(3, 4, 4, 4)
    torch.testing.assert_close(block, clip[1, :, 5:9, 4:8, 8:12])
    torch.testing.assert_close(from_blocks(blocks, SMALL), clip)


@torch.no_grad()
def test_a_fresh_model_is_the_best_linear_autoencoder_of_its_blocks():
    clips = video(9, 16, 16, count=8).cumsum(2).cumsum(3) / 40  # correlated, as real pixels are
    model = VAE(SMALL)
    blocks = to_blocks(clips, SMALL).flatten(0, 3)
    model.initialise_from_pca(blocks)
    latents = model.encode(clips)[0]
    decoded = model.decoder(latents.movedim(1, -1)).flatten(0, 3)

    centred = (blocks - blocks.mean(0)).numpy()
    singular = np.linalg.svd(centred, compute_uv=False)  # an independent formula for the least possible error
    assert ((decoded - blocks) ** 2).sum().item() == pytest.approx((singular[6:] ** 2).sum(), rel=1e-3)
    values = latents.movedim(1, -1).flatten(0, 3)
    torch.testing.assert_close(values.std(0), torch.ones(6), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(values.mean(0), torch.zeros(6), rtol=1e-3, atol=1e-3)


def test_normalise_is_undone(model):
    model.latent_mean.copy_(torch.arange(6.0))
    model.latent_std.copy_(torch.arange(1.0, 7.0))
    latent = torch.randn(2, 6, 3, 4, 4)
    torch.testing.assert_close(model.denormalise(model.normalise(latent)), latent)
    torch.testing.assert_close(model.normalise(latent)[:, 2], (latent[:, 2] - 2) / 3)


@torch.no_grad()
def test_a_saved_model_is_the_same_model(model, tmp_path):
    model.latent_std.fill_(3)
    model.save(tmp_path)
    loaded = VAE.load(tmp_path)
    clip = video(5, 8, 8)
    torch.testing.assert_close(loaded.decode(loaded.encode(clip)[0]), model.decode(model.encode(clip)[0]))
    assert loaded.config == SMALL
    assert loaded.latent_std[0] == 3


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(KinoraError, match="holds no autoencoder"):
        VAE.load(tmp_path)


@torch.no_grad()
@pytest.mark.parametrize("size", [(4, 32, 32), (6, 30, 32), (5, 17, 34), (3, 3, 1)])
def test_a_clip_off_the_grid_is_as_if_its_last_frame_row_and_column_were_repeated(model, size):
    clip = video(*size)
    frames, height, width = size
    times = torch.arange(1 + -(-(frames - 1) // 4) * 4).clamp(max=frames - 1)
    rows, columns = (torch.arange(-(-side // 4) * 4).clamp(max=side - 1) for side in (height, width))
    padded = clip[:, :, times][:, :, :, rows][:, :, :, :, columns]
    mean = model.encode(clip)[0]
    torch.testing.assert_close(mean, model.encode(padded)[0])
    assert model.config.latent_shape(*size) == mean.shape[2:]
    decoded = model.decode(mean, size)
    assert decoded.shape == clip.shape
    torch.testing.assert_close(decoded, model.decode(mean)[:, :, :frames, :height, :width])
    torch.testing.assert_close(model.video_of(model.latents_of(clip), size), decoded)


def test_a_clip_of_nothing_is_refused(model):
    with pytest.raises(KinoraError, match="0 frames"):
        model.encode(torch.zeros(1, 3, 0, 8, 8))


@pytest.mark.parametrize("kind", AUTOENCODERS)
def test_every_kind_is_loaded_by_the_name_in_its_folder(kind, model, tmp_path):
    module, name = AUTOENCODERS[kind]
    assert issubclass(getattr(import_module(module), name), Autoencoder)
    model.save(tmp_path)
    assert isinstance(load_autoencoder(tmp_path), VAE)


def test_an_unknown_kind_is_refused_with_the_list_of_those_there_are(model, tmp_path):
    model.save(tmp_path)
    (tmp_path / "config.json").write_text('{"model": {"kind": "wavelet"}}')
    with pytest.raises(KinoraError, match=r"wavelet.*known: vae"):
        load_autoencoder(tmp_path)
    with pytest.raises(KinoraError, match="holds no autoencoder"):
        load_autoencoder(tmp_path / "nothing")
