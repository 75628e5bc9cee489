"""Streams and tiles give what the whole clip gives at once, in memory that does not grow; loops have no beginning."""

from itertools import accumulate

import pytest
import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode

from kinora.errors import KinoraError
from kinora.models.autoencoder import Autoencoder
from kinora.models.vae import BASE, HIGH_COMPRESSION, VAE, Level, VAEConfig
from kinora.models.vae.tiling import cut, decoder_margin, decoder_memory, encoder_margin

ONE_LEVEL = VAEConfig(latent_channels=6, width=8, encoder_blocks=2, decoder_blocks=3)
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


@pytest.fixture(params=[ONE_LEVEL, LEVELS], ids=["one level", "three levels"])
def model(request) -> VAE:
    """A model whose every weight is random, and whose latents are neither centred nor of unit variance."""
    torch.manual_seed(0)
    model = VAE(request.param).eval().requires_grad_(False)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    model.latent_mean.normal_()
    model.latent_std.uniform_(0.5, 2)
    return model


def video(frames: int, height: int, width: int, count: int = 1) -> torch.Tensor:
    return torch.rand(count, 3, frames, height, width, generator=torch.Generator().manual_seed(frames)) * 2 - 1


def at_once(model: VAE, clip: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    mean = model.encode(clip)[0]
    return model.normalise(mean), model.decode(mean, tuple(clip.shape[2:]))


@pytest.mark.parametrize("pixels_at_once", [4 * 16 * 20, 2 * 4 * 32 * 48, 10**9], ids=["tiles", "parts", "whole"])
@pytest.mark.parametrize("chunks", [[1, 24], [25], [3, 1, 14, 7], [1] * 22], ids=str)
def test_a_stream_gives_what_the_whole_clip_gives(model, chunks, pixels_at_once):
    clip = video(sum(chunks), 32, 44)  # the width, and some of the lengths, are off the grid
    latent, decoded = at_once(model, clip)
    ends = list(accumulate(chunks))
    frames = [clip[:, :, end - count : end] for count, end in zip(chunks, ends, strict=True)]
    streamed = torch.cat(list(model.encode_stream(frames, pixels_at_once)), dim=2)
    torch.testing.assert_close(streamed, latent, rtol=1e-4, atol=1e-4)

    parts = list(model.decode_stream(latent.split(3, dim=2), tuple(clip.shape[2:]), pixels_at_once))
    torch.testing.assert_close(torch.cat(parts, dim=2), decoded, rtol=1e-4, atol=1e-4)
    if pixels_at_once < 4 * 32 * 48:
        assert parts[0].shape[2] == 1  # the first frame alone
        assert all(part.shape[2] <= 4 for part in parts)


@pytest.mark.parametrize("size", [(1, 16, 16), (3, 17, 30), (6, 60, 21)])
def test_any_clip_comes_back_at_its_own_size(model, size):
    clip = video(*size, count=2)
    latent = model.latents_of(clip)
    assert latent.shape[2:] == model.config.latent_shape(*size)
    assert model.video_of(latent, size).shape == clip.shape


def test_a_stream_without_frames_is_refused(model):
    with pytest.raises(KinoraError, match="no frames"):
        list(model.encode_stream([]))
    with pytest.raises(KinoraError, match="no frames"):
        list(model.encode_stream([video(0, 16, 16)]))


def test_a_tile_is_as_wide_as_the_network_looks_and_no_wider(model):
    """One changed pixel, or latent, changes the frame as far as the margins say and no further."""
    config = model.config
    side, middle = config.spatial, 20
    clip = video(1, 41 * side, 2 * side)
    changed = clip.clone()
    changed[..., middle * side : (middle + 1) * side, :] *= -1
    reached = (model.encode(clip)[0] != model.encode(changed)[0]).any(-1).flatten(0, 2).any(0).nonzero()
    assert middle - reached.min() == reached.max() - middle == encoder_margin(config.levels)
    latent = torch.randn(1, 6, 1, 41, 2)
    other = latent.clone()
    other[..., middle, :] *= -1
    rows = (model.decode(latent) != model.decode(other)).any(-1).flatten(0, 2).any(0).nonzero() // side
    assert middle - rows.min() == rows.max() - middle == decoder_margin(config.levels)


@pytest.mark.parametrize(("height", "width", "most"), [(7, 5, 6), (1, 1, 0), (10, 3, 100), (4, 9, 1)])
def test_tiles_cover_a_frame_once(height, width, most):
    tiles, seen = cut(height, width, most, margin=2), torch.zeros(height, width)
    for tile in tiles:
        rows, columns = tile.kept()
        seen[rows, columns] += 1
        outer_rows, outer_columns = tile.outer()
        inner_rows, inner_columns = tile.inner()
        assert torch.equal(torch.arange(height)[outer_rows][inner_rows], torch.arange(height)[rows])
        assert torch.equal(torch.arange(width)[outer_columns][inner_columns], torch.arange(width)[columns])
        assert (rows.stop - rows.start) * (columns.stop - columns.start) <= max(1, most)
    assert (seen == 1).all()


@pytest.mark.parametrize("count", [1, 3, 9])
def test_a_loop_rotated_by_one_latent_is_the_rotated_video(model, count):
    latent = torch.randn(1, 6, count, 3, 4)
    loop = model.loop_of(latent)
    assert loop.shape == (1, 3, 4 * count, 3 * model.config.spatial, 4 * model.config.spatial)
    for pixels_at_once in (4 * 16 * 16, 10**9):
        rotated = model.loop_of(latent.roll(1, dims=2), pixels_at_once)
        torch.testing.assert_close(rotated, loop.roll(4, dims=2), rtol=1e-4, atol=1e-4)
    # Far from the beginning, any video of the same latents over and over is the loop.
    rounds = 1 + -(-decoder_memory(model.config.levels) // count)
    long = model.video_of(latent.repeat(1, 1, rounds + 1, 1, 1))
    torch.testing.assert_close(loop, long[:, :, -4 * count :], rtol=1e-4, atol=1e-4)


def test_an_autoencoder_that_knows_no_loops_says_so():
    with pytest.raises(KinoraError, match="'vae' cannot decode a loop"):
        Autoencoder(ONE_LEVEL).loop_of(torch.zeros(1, 6, 2, 2, 2))


@pytest.mark.parametrize("pixels_at_once", [4 * 16 * 16, 10**9], ids=["tiles", "whole"])
def test_what_comes_from_the_cpu_goes_to_the_device_of_the_weights(model, pixels_at_once):
    """The meta device stands for a GPU: tensors of two devices in one sum are refused."""
    model.to("meta")
    latents = list(model.encode_stream(video(9, 24, 17).split(4, dim=2), pixels_at_once))
    shape = (1, 6, 1, 3, 3)
    videos = list(model.decode_stream([torch.zeros(shape), torch.zeros(shape)], (4, 20, 17), pixels_at_once))
    loop = model.loop_of(torch.zeros(shape), pixels_at_once)
    assert {part.device.type for part in (*latents, *videos, loop)} == {"meta"}


class LiveMemory(TorchDispatchMode):
    """Finds the greatest sum of the bytes of all tensors that are alive at a time, weights aside, on any device."""

    def __init__(self, model: VAE):
        super().__init__()
        self.weights = {parameter.untyped_storage()._cdata for parameter in model.parameters()}
        self.live, self.sum, self.peak = {}, 0, 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        made = function(*args, **(kwargs or {}))
        for tensor in made if isinstance(made, (tuple, list)) else [made]:
            if isinstance(tensor, torch.Tensor):
                storage = tensor.untyped_storage()
                key = storage._cdata
                if key not in self.weights and (key not in self.live or self.live[key][0].expired()):
                    self.live[key] = StorageWeakRef(storage), storage.nbytes()
                    self.sum += storage.nbytes()  # an upper bound, until those that are gone are looked for
        if self.sum > self.peak:
            self.live = {key: (ref, size) for key, (ref, size) in self.live.items() if not ref.expired()}
            self.sum = sum(size for _, size in self.live.values())
            self.peak = max(self.peak, self.sum)
        return made


def peak_of_a_stream(model: VAE, frames: int, height: int, width: int, device: str) -> int:
    """Return the bytes of tensors, besides weights, when frames are read, encoded, decoded and thrown away in turn."""
    chunks = (torch.zeros(1, 3, 4, height, width, device=device) for _ in range(frames // 4))
    with LiveMemory(model) as memory:
        for _ in model.decode_stream(model.encode_stream(chunks, 4 * height * width), None, 4 * height * width):
            pass
    return memory.peak


def test_a_minute_takes_the_memory_of_a_second(model):
    second, minute = (peak_of_a_stream(model, seconds * 8, 16, 16, "cpu") for seconds in (1, 60))
    assert minute < 1.1 * second


@pytest.mark.parametrize("config", [BASE, HIGH_COMPRESSION], ids=["base", "high compression"])
@pytest.mark.parametrize(("size", "gibibytes"), [((65, 1080, 1920), 2.25), ((17, 2048, 2048), 3.75)], ids=str)
def test_large_clips_have_the_stated_shapes_and_stay_within_memory(config, size, gibibytes):
    """On the meta device, which computes shapes and no values: bytes of float32 activations when decoding."""
    with torch.device("meta"):
        model = VAE(config).requires_grad_(False)
    frames, height, width = size
    latent = torch.empty(1, config.latent_channels, *config.latent_shape(*size), device="meta")
    assert latent.shape[2:] == (
        1 + (frames - 1) // config.temporal,
        -(-height // config.spatial),
        -(-width // config.spatial),
    )
    with LiveMemory(model) as memory:
        for part in model.decode_stream([latent], size):
            assert part.shape[3:] == (height, width)
            frames -= part.shape[2]
            del part
    assert frames == 0
    assert memory.peak < gibibytes * 2**30
    assert model.latents_of(torch.empty(1, 3, *size, device="meta")).shape == latent.shape
