"""Packing: latents of any size, shape and length as one sequence of patches, with nothing padded.

Axes: z latent channels; t, h, w latent frames, rows and columns; p side of a patch; S segments (one a clip);
N tokens of all segments together; D = z*p*p values of a token. "Patchify ... native sizes" follows NaViT,
https://arxiv.org/abs/2307.06304.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from kinora.errors import KinoraError

REFERENCE_RATE = 2.0  # latent frames a second that make one unit of the time axis: 8 fps, compressed 4 times


@dataclass(frozen=True)
class Layout:
    """Where the tokens of a packed sequence come from.

    positions: `[N, 5]`: time (units of half a second), row, column (patches from the middle of the frame), and
        row and column as a fraction of the frame (-1..1).
    frames: `[N]` latent frame of each token.
    segments: `[N]` segment of each token, ascending.
    cu_seq: `int32 [S + 1]`, the first token of each segment, and N.
    longest: tokens of the longest segment.
    grids: (t, rows, columns) of patches of each segment; those of equal length stand side by side.
    order: `order[s]` is the place, among the latents given to `pack`, of segment `s`.
    """

    positions: Tensor
    frames: Tensor
    segments: Tensor
    cu_seq: Tensor
    longest: int
    grids: tuple[tuple[int, int, int], ...]
    order: tuple[int, ...]

    def to(self, device: torch.device | str) -> "Layout":
        """Return the layout on a device; from page-locked memory the copy does not wait."""
        return replace(self, **{name: getattr(self, name).to(device, non_blocking=True) for name in TENSORS})

    def pin_memory(self) -> "Layout":
        """Return the layout in page-locked memory."""
        return replace(self, **{name: getattr(self, name).pin_memory() for name in TENSORS})


TENSORS = ("positions", "frames", "segments", "cu_seq")  # of a layout


def layout_of(grids: Sequence[tuple[int, int, int]], rates: Sequence[float]) -> Layout:
    """Lay out segments of patch grids (t, rows, columns), at `rates` latent frames a second, equal lengths together."""
    order = sorted(range(len(grids)), key=lambda i: (-_length(grids[i]), grids[i], i))
    ordered = [grids[i] for i in order]
    positions = torch.cat([_positions(grids[i], rates[i]) for i in order])
    frames = torch.cat([torch.arange(t).repeat_interleave(rows * columns) for t, rows, columns in ordered])
    lengths = [_length(grid) for grid in ordered]
    segments = torch.arange(len(grids)).repeat_interleave(torch.tensor(lengths))
    cu_seq = F.pad(torch.tensor(lengths).cumsum(0), (1, 0)).int()
    return Layout(positions, frames, segments, cu_seq, max(lengths), tuple(ordered), tuple(order))


def repeated(layout: Layout, times: int) -> Layout:
    """Return the layout of the same segments packed several times over, one round after another."""
    rounds, count = range(times), len(layout.segments)
    return Layout(
        layout.positions.repeat(times, 1),
        layout.frames.repeat(times),
        torch.cat([layout.segments + n * len(layout.grids) for n in rounds]),
        torch.cat([layout.cu_seq[:1], *(layout.cu_seq[1:] + n * count for n in rounds)]),
        layout.longest,
        layout.grids * times,
        tuple(place + n * len(layout.order) for n in rounds for place in layout.order),
    )


def pack(latents: Sequence[Tensor], layout: Layout, patch: int) -> Tensor:
    """Cut latents `[z, t, h, w]` into patches and lay them out as tokens `[N, D]`."""
    return torch.cat([patchify(latents[i], patch) for i in layout.order])


def unpack(tokens: Tensor, layout: Layout, patch: int) -> list[Tensor]:
    """Turn tokens `[N, D]` back into latents `[z, t, h, w]`, in the order in which they were given to `pack`."""
    latents: list[Tensor] = [tokens] * len(layout.order)
    pieces = torch.split(tokens, [_length(grid) for grid in layout.grids])
    for place, grid, piece in zip(layout.order, layout.grids, pieces, strict=True):
        latents[place] = unpatchify(piece, grid, patch)
    return latents


def patch_grid(shape: Sequence[int], patch: int) -> tuple[int, int, int]:
    """Return the patch grid (t, rows, columns) of a latent of shape (z, t, h, w).

    Raises:
        KinoraError: if the sides are no multiples of the patch.
    """
    _, frames, height, width = shape
    if height % patch or width % patch:
        raise KinoraError(
            f"a latent of {width}x{height} does not divide into patches of {patch}x{patch}; "
            f"give clips whose sides are multiples of {patch} latent pixels."
        )
    return frames, height // patch, width // patch


def patchify(latent: Tensor, patch: int) -> Tensor:
    """Turn a latent `[z, t, h, w]` into tokens `[t*(h/p)*(w/p), z*p*p]`, time first, then rows, then columns."""
    z = latent.shape[0]
    t, rows, columns = patch_grid(latent.shape, patch)
    cut = latent.reshape(z, t, rows, patch, columns, patch)
    return cut.permute(1, 2, 4, 0, 3, 5).reshape(t * rows * columns, z * patch * patch)


def unpatchify(tokens: Tensor, grid: tuple[int, int, int], patch: int) -> Tensor:
    """Turn tokens `[t*rows*columns, z*p*p]` back into a latent `[z, t, h, w]`."""
    t, rows, columns = grid
    z = tokens.shape[1] // patch**2
    cut = tokens.reshape(t, rows, columns, z, patch, patch)
    return cut.permute(3, 0, 1, 4, 2, 5).reshape(z, t, rows * patch, columns * patch)


def _length(grid: tuple[int, int, int]) -> int:
    return grid[0] * grid[1] * grid[2]


def _positions(grid: tuple[int, int, int], rate: float) -> Tensor:
    t, rows, columns = grid
    time = torch.arange(t) * (REFERENCE_RATE / rate) if t > 1 else torch.zeros(1)  # an image has no rate
    row, column = torch.arange(rows) - (rows - 1) / 2, torch.arange(columns) - (columns - 1) / 2
    place = torch.stack(torch.meshgrid(time, row, column, indexing="ij"), dim=-1).reshape(-1, 3)
    return torch.cat([place, 2 * place[:, 1:2] / rows, 2 * place[:, 2:3] / columns], dim=1)
