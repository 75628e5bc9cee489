"""Encoding and decoding of streams, in bounded memory: parts of a few latent frames, and tiles of large frames.

Between parts the network keeps the last frame that entered each of its time convolutions, so that the whole is what it
would be in one go.
"""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from kinora.errors import KinoraError
from kinora.models.autoencoder import Size, crop, pad_to_grid
from kinora.models.vae.config import VAEConfig
from kinora.models.vae.tiling import Tile, cut, decoder_margin, decoder_memory, encoder_margin

if TYPE_CHECKING:
    from kinora.models.vae.network import VAE, Past


@torch.no_grad()
def encode(model: "VAE", chunks: Iterable[Tensor], pixels_at_once: int) -> Iterator[Tensor]:
    """Yield normalised latents; see `VAE.encode_stream`."""
    config, tiles = model.config, list[Tile]()
    pasts: list[Past] = []
    for number, frames in enumerate(_parts(chunks, config, pixels_at_once)):
        video = pad_to_grid(frames.to(model.latent_mean.device), config, starts=number == 0)
        if not tiles:
            tiles = _tiles(video, config, pixels_at_once, encoder_margin(config.levels))
            pasts = [[None] * len(model.encoder.levels.blocks) for _ in tiles]
        means: list[Tensor] = []
        for tile, past in zip(tiles, pasts, strict=True):
            rows, columns = tile.outer(config.spatial)
            moments = model.encode_part(video[..., rows, columns], past, starts=number == 0)
            rows, columns = tile.inner()
            means.append(moments[:, : config.latent_channels, :, rows, columns].float())
        yield model.normalise(_joined(means, tiles, 1))


@torch.no_grad()
def decode(model: "VAE", chunks: Iterable[Tensor], size: Size | None, pixels_at_once: int) -> Iterator[Tensor]:
    """Yield the video; see `VAE.decode_stream`."""
    done = 0
    for video in _decoded(model, chunks, pixels_at_once, starts=True):
        left = None if size is None else (max(0, size[0] - done), size[1], size[2])
        cropped = crop(video, left)
        done += cropped.shape[2]
        if cropped.shape[2]:
            yield cropped


@torch.no_grad()
def decode_loop(model: "VAE", latent: Tensor, pixels_at_once: int) -> Tensor:
    """Return the video of a loop of latents; see `VAE.loop_of`."""
    memory, temporal = decoder_memory(model.config.levels), model.config.temporal
    before = latent[:, :, [frame % latent.shape[2] for frame in range(-memory, 0)]]
    parts: list[Tensor] = []
    skipped = 0  # frames that only fill the decoder's memory
    for video in _decoded(model, [before, latent], pixels_at_once, starts=False):
        skip = min(video.shape[2], memory * temporal - skipped)
        skipped += skip
        parts.append(video[:, :, skip:])
    return torch.cat(parts, dim=2)


def _decoded(model: "VAE", chunks: Iterable[Tensor], pixels_at_once: int, starts: bool) -> Iterator[Tensor]:
    config, tiles = model.config, list[Tile]()
    pasts: list[Past] = []
    for chunk in chunks:
        for part in torch.split(chunk, _latents_at_once(chunk, config, pixels_at_once, config.spatial), dim=2):
            latent = model.denormalise(part.to(model.latent_mean.device).float())
            if not tiles:
                tiles = _tiles(latent, config, pixels_at_once, decoder_margin(config.levels), config.spatial)
                pasts = [[None] * len(model.decoder.levels.blocks) for _ in tiles]
            videos: list[Tensor] = []
            for tile, past in zip(tiles, pasts, strict=True):
                rows, columns = tile.outer()
                video = model.decode_part(latent[..., rows, columns], past, starts)
                rows, columns = tile.inner(config.spatial)
                videos.append(video[..., rows, columns].float())
            yield _joined(videos, tiles, config.spatial)
            starts = False


def _parts(chunks: Iterable[Tensor], config: VAEConfig, pixels_at_once: int) -> Iterator[Tensor]:
    """Yield frames `[B, 3, n, H, W]` that make whole latent frames, as far as there are frames.

    Raises:
        KinoraError: if there are none.
    """
    held: list[Tensor] = []
    count, first = 0, 1  # frames held; 1 as long as the first frame, which makes a latent alone, is still to come
    for chunk in chunks:
        held.append(chunk)
        count += chunk.shape[2]
        latents = _latents_at_once(chunk, config, pixels_at_once)
        while count >= (wanted := first + (latents - first) * config.temporal):
            frames = torch.cat(held, dim=2) if len(held) > 1 else held[0]
            yield frames[:, :, :wanted]
            held, count, first = [frames[:, :, wanted:]], count - wanted, 0
    if count:
        yield torch.cat(held, dim=2)
    elif first:
        raise KinoraError("A clip of no frames cannot be encoded; give some.")


def _latents_at_once(x: Tensor, config: VAEConfig, pixels_at_once: int, scale: int = 1) -> int:
    """Return how many latent frames are worked on in one go, where a cell of x is `scale` pixels wide."""
    pixels = x.shape[0] * x.shape[3] * x.shape[4] * scale**2 * config.temporal
    return max(1, pixels_at_once // max(1, pixels))


def _tiles(x: Tensor, config: VAEConfig, pixels_at_once: int, margin: int, scale: int = 1) -> list[Tile]:
    """Cut frames of x, on the grid, where a cell of x is `scale` pixels wide."""
    most = pixels_at_once // (x.shape[0] * config.temporal * config.spatial**2)
    cells = config.spatial // scale
    return cut(x.shape[3] // cells, x.shape[4] // cells, most, margin)


def _joined(parts: list[Tensor], tiles: list[Tile], scale: int) -> Tensor:
    """Put what is kept of every tile in its place."""
    if len(tiles) == 1:
        return parts[0]
    rows, columns = tiles[-1].kept(scale)
    whole = parts[0].new_empty((*parts[0].shape[:3], rows.stop, columns.stop))
    for part, tile in zip(parts, tiles, strict=True):
        rows, columns = tile.kept(scale)
        whole[..., rows, columns] = part
    return whole
