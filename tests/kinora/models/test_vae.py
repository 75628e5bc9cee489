"""The autoencoder is causal, has the stated shapes, and starts as the best linear one, whatever its levels."""

from importlib import import_module

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from kinora.config import from_dict, to_dict
from kinora.errors import KinoraError, UsageError
from kinora.models.autoencoder import AUTOENCODERS, Autoencoder, load_autoencoder
from kinora.models.vae import BASE, HIGH_COMPRESSION, VAE, Level, VAEConfig, to_blocks
from kinora.models.vae.network import Down, Up
from kinora.models.vae.pca import principal_components
from kinora.models.vae.rearrange import from_depth, to_depth

SMALL = VAEConfig(latent_channels=6, width=8, encoder_blocks=2, decoder_blocks=2)
LEVELS = VAEConfig(
    latent_channels=6,
    spatial=8,
    width=16,
    encoder_blocks=1,
    decoder_blocks=2,
    finer=(
        Level(spatial=2, temporal=1, width=4, encoder_blocks=1, decoder_blocks=1),
        Level(spatial=4, temporal=2, width=8, encoder_blocks=1, decoder_blocks=1),
    ),
)


def with_random_weights(config: VAEConfig) -> VAE:
    """A fresh model is linear, which would hide what looks ahead in time."""
    torch.manual_seed(0)
    model = VAE(config).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return model


@pytest.fixture
def model() -> VAE:
    return with_random_weights(SMALL)


@pytest.fixture(params=[SMALL, LEVELS], ids=["one level", "three levels"])
def any_model(request) -> VAE:
    return with_random_weights(request.param)


def video(frames: int, height: int, width: int, count: int = 2) -> torch.Tensor:
    return torch.rand(count, 3, frames, height, width, generator=torch.Generator().manual_seed(frames)) * 2 - 1


@pytest.mark.parametrize(("frames", "height", "width"), [(1, 32, 32), (17, 32, 32), (9, 24, 40), (5, 40, 24)])
def test_latents_and_reconstructions_have_the_stated_shape(any_model, frames, height, width):
    clip, side = video(frames, height, width), any_model.config.spatial
    mean, log_variance = any_model.encode(clip)
    assert mean.shape == log_variance.shape == (2, 6, 1 + (frames - 1) // 4, height // side, width // side)
    assert any_model.decode(mean).shape == clip.shape


@torch.no_grad()
def test_the_latent_of_an_image_is_the_first_latent_of_every_video_that_starts_with_it(any_model):
    clip = video(17, 24, 40)
    torch.testing.assert_close(any_model.encode(clip[:, :, :1])[0], any_model.encode(clip)[0][:, :, :1])


@torch.no_grad()
def test_encoder_and_decoder_never_look_ahead(any_model):
    clip = video(17, 16, 16)
    changed = clip.clone()
    changed[:, :, 9:] = -changed[:, :, 9:]  # the fourth and fifth latents
    latent, latent_changed = any_model.encode(clip)[0], any_model.encode(changed)[0]
    torch.testing.assert_close(latent[:, :, :3], latent_changed[:, :, :3])
    assert (latent[:, :, 3:] - latent_changed[:, :, 3:]).abs().amax(dim=(1, 2, 3, 4)).min() > 0.01
    both = any_model.decode(torch.stack([latent[0], latent_changed[0]]))
    torch.testing.assert_close(both[0, :, :9], both[1, :, :9])
    assert (both[0, :, 9:] - both[1, :, 9:]).abs().max() > 0.01


def test_cells_hold_the_values_that_they_are_cut_from():
    x = torch.randn(2, 7, 8, 12, 5)  # [B, T, H, W, C]
    cells = to_depth(x, 3, 4)
    assert cells.shape == (2, 3, 2, 3, 5 * 3 * 4 * 4)
    torch.testing.assert_close(cells[1, 2, 1, 2].reshape(5, 3, 4, 4), x[1, 4:7, 4:8, 8:12].movedim(-1, 0))
    torch.testing.assert_close(cells[1, 0, 1, 2].reshape(5, 3, 4, 4)[:, 1], x[1, 0, 4:8, 8:12].movedim(-1, 0))
    torch.testing.assert_close(from_depth(cells, 3, 4), x)
    torch.testing.assert_close(to_depth(x[:, 1:], 3, 4, starts=False), cells[:, 1:])
    torch.testing.assert_close(from_depth(cells[:, 1:], 3, 4, starts=False), x[:, 1:])


@torch.no_grad()
def test_a_network_of_one_level_is_the_formula_that_it_is_described_by(model):
    clip = video(9, 16, 24)
    blocks = to_blocks(clip, SMALL)  # [B, t, h, w, D]
    x = model.encoder.stem(blocks)
    for block in model.encoder.levels.blocks:
        y = x / x.square().mean(-1, keepdim=True).add(torch.finfo(x.dtype).eps).sqrt()
        kernel = block.space.weight.view(8, 3, 3, 8)
        padded = F.pad(y, (0, 0, 1, 1, 1, 1))
        y = block.space.bias + sum(
            padded[:, :, i : i + 4, j : j + 6] @ kernel[:, i, j].T for i in range(3) for j in range(3)
        )
        y = F.silu(y)
        before = torch.cat([torch.zeros_like(y[:, :1]), y[:, :-1]], dim=1)
        x = x + block.out(F.silu(block.time(torch.cat([before, y], dim=-1))))
    x = x / x.square().mean(-1, keepdim=True).add(torch.finfo(x.dtype).eps).sqrt()
    moments = model.encoder.linear(blocks) + model.encoder.head(x)
    torch.testing.assert_close(model.encode(clip)[0], moments.movedim(-1, 1)[:, :6], rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_shortcuts_between_levels_average_and_repeat_channels():
    down, up = Down(*LEVELS.levels[1:]), Up(*LEVELS.levels[1:])
    for parameter in (*down.parameters(), *up.parameters()):
        torch.nn.init.zeros_(parameter)
    x = torch.randn(1, 4, 4, 6, 8)  # cells of level 4 x 4 x 2, eight channels; two frames x 2 x 2 of them make one
    coarse = down(x, starts=False)
    assert coarse.shape == (1, 2, 2, 3, 16)
    for channel in range(16):  # 8 channels x 8 cells in 16 groups of four: the cells of one frame and one channel
        frames = x[:, channel % 2 :: 2, :, :, channel // 2]  # [1, 2, 4, 6]
        torch.testing.assert_close(coarse[..., channel], frames.reshape(1, 2, 2, 2, 3, 2).mean((3, 5)))
    torch.testing.assert_close(down(up(coarse, starts=False), starts=False), coarse)


def test_the_named_shapes_compress_as_they_say():
    assert (BASE.spatial, BASE.temporal, BASE.latent_channels) == (8, 4, 16)
    assert (HIGH_COMPRESSION.spatial, HIGH_COMPRESSION.temporal, HIGH_COMPRESSION.latent_channels) == (32, 8, 128)
    for config in (VAEConfig(), BASE, HIGH_COMPRESSION):
        assert from_dict(VAEConfig, to_dict(config)) == config


def test_levels_that_do_not_fit_each_other_are_refused():
    level = Level(spatial=4, temporal=2, width=8, encoder_blocks=1, decoder_blocks=1)
    with pytest.raises(UsageError, match="must divide the next"):
        VAEConfig(spatial=6, finer=(level,))
    with pytest.raises(UsageError, match="widths that do"):
        VAEConfig(spatial=8, width=24, finer=(level,))


@torch.no_grad()
@pytest.mark.parametrize("config", [SMALL, LEVELS], ids=["one level", "three levels"])
def test_a_fresh_model_is_the_best_linear_autoencoder_of_its_blocks(config):
    clips = video(9, 16, 16, count=8).cumsum(2).cumsum(3) / 40  # correlated, as real pixels are
    model = VAE(config)
    blocks = to_blocks(clips, config).flatten(0, 3)
    model.initialise_from_pca(blocks)
    latents = model.encode(clips)[0]
    decoded = model.decoder.linear(latents.movedim(1, -1)).flatten(0, 3)

    centred = (blocks - blocks.mean(0)).numpy()
    singular = np.linalg.svd(centred, compute_uv=False)  # an independent formula for the least possible error
    assert ((decoded - blocks) ** 2).sum().item() == pytest.approx((singular[6:] ** 2).sum(), rel=1e-3)
    values = latents.movedim(1, -1).flatten(0, 3)
    torch.testing.assert_close(values.std(0), torch.ones(6), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(values.mean(0), torch.zeros(6), rtol=1e-3, atol=1e-3)


def test_axes_of_large_blocks_are_found_by_sampling(monkeypatch):
    blocks = torch.randn(400, 6, generator=torch.Generator().manual_seed(0)) @ torch.randn(6, 64) + 3
    exact = principal_components(blocks, 4)
    monkeypatch.setattr("kinora.models.vae.pca.LARGEST_EXACT", 32)
    centre, axes, scale = principal_components(blocks, 4)
    torch.testing.assert_close(centre, exact[0])
    torch.testing.assert_close(scale, exact[2], rtol=1e-3, atol=1e-3)
    torch.testing.assert_close((axes.T @ exact[1]).abs(), torch.eye(4), rtol=1e-2, atol=1e-2)


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


@torch.no_grad()
def test_in_bfloat16_it_says_the_same_and_returns_float32(any_model, monkeypatch):
    """As on hardware that multiplies bfloat16, which is emulated here: at least 50 dB from float32."""
    clip = video(9, 32, 32).cumsum(3).cumsum(4) / 20
    any_model.initialise_from_pca(to_blocks(clip, any_model.config).flatten(0, 3))
    for name, parameter in any_model.named_parameters():
        if not name.startswith(("encoder.linear", "decoder.linear")):
            parameter.mul_(0.2)  # as after training, which adds details to the linear path
    any_model.latent_mean.fill_(0.3)
    latent = any_model.latents_of(clip)
    decoded = any_model.video_of(latent)
    assert decoded.std() > 0.1

    monkeypatch.setattr("kinora.models.autoencoder.compute_dtype", lambda: torch.bfloat16)
    quick = any_model.for_inference()
    assert {parameter.dtype for parameter in quick.parameters()} == {torch.bfloat16}
    assert quick.latent_mean.dtype is torch.float32
    for found, wanted in ((quick.latents_of(clip), latent), (quick.video_of(latent), decoded)):
        assert found.dtype is torch.float32
        error, peak = (found - wanted).square().mean(), wanted.max() - wanted.min()
        assert 10 * torch.log10(peak**2 / error) >= 50


def test_it_compiles_as_one_graph_and_learns_the_same():
    clip, any_model = video(5, 8, 8), with_random_weights(LEVELS)

    def loss(model: VAE) -> torch.Tensor:
        mean, log_variance = model.encode(clip)
        return model.decode(mean).square().mean() + log_variance.mean()

    gradients = []
    for function in (loss, torch.compile(loss, backend="eager", fullgraph=True)):
        any_model.zero_grad()
        torch.autograd.backward(function(any_model))
        gradients.append({name: parameter.grad for name, parameter in any_model.named_parameters()})
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-3, atol=1e-4)
