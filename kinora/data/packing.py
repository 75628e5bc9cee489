"""Packing: latents of any size, shape and length as one sequence of patches, with nothing padded.

Axes: z latent channels; t, h, w latent frames, rows and columns; p side of a patch; S segments (a clip or a window of
one); N tokens of all segments together; D = z*p*p values of a token. "Patchify ... native sizes" follows NaViT,
https://arxiv.org/abs/2307.06304.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from kinora.errors import KinoraError

REFERENCE_RATE = 2.0  # latent frames a second that make one unit of the time axis: 8 fps, compressed 4 times
SIDE = 8.0  # units of place in the shorter side of a frame
REFERENCE_SIDE = 4  # patches of the shorter side, where the fineness is 0
COORDINATES = 6

Grid3 = tuple[int, int, int]  # latent frames, rows and columns of patches


@dataclass(frozen=True)
class Segment:
    """What one packed sequence of patches shows: a clip, or a window of one.

    grid: its (latent frames, rows, columns) of patches.
    rate: latent frames a second; an image has none.
    start: latent frames of the clip before it. At 0 its first latent is that of a first frame.
    place: (top, left) of the window, in patches.
    frame: (rows, columns) of the whole frame; None where the segment is all of it.
    """

    grid: Grid3
    rate: float
    start: int = 0
    place: tuple[int, int] = (0, 0)
    frame: tuple[int, int] | None = None


@dataclass(frozen=True)
class Layout:
    """Where the tokens of a packed sequence come from. F is the number of latent frames of all segments.

    positions: `[N, 6]`, which are the same for the same scene at any size: time (units of half a second); row and
        column from the middle of the frame (eighths of its shorter side); both as a fraction of the frame (-1..1);
        fineness (how often the shorter side doubles from `REFERENCE_SIDE` patches on).
    frames: `[N]` latent frame of each token, counted through the pack.
    frame_segments: `[F]` segment of each latent frame.
    segments: `[N]` segment of each token, ascending.
    cu_seq: `int32 [S + 1]`, the first token of each segment, and N.
    longest: tokens of the longest segment.
    grids: (t, rows, columns) of patches of each segment; those of equal length stand side by side.
    order: `order[s]` is the place, among the latents given to `pack`, of segment `s`.
    """

    positions: Tensor
    frames: Tensor
    frame_segments: Tensor
    segments: Tensor
    cu_seq: Tensor
    longest: int
    grids: tuple[Grid3, ...]
    order: tuple[int, ...]

    def condition_rows(self, conditioning_mask_N: Tensor) -> Tensor:
        """Return each token's row in a table of `F + S` conditions: its latent frame's, or, of given tokens, that of
        its segment."""
        return torch.where(conditioning_mask_N, len(self.frame_segments) + self.segments, self.frames)

    def condition_times(self, times_S: Tensor, context_S: Tensor | None = None) -> Tensor:
        """Return the times `[F + S]` of all conditions where each segment has one: `context_S` of its given tokens, 0
        if None."""
        context = torch.zeros_like(times_S) if context_S is None else context_S
        return torch.cat([times_S[self.frame_segments], context])

    def to(self, device: torch.device | str) -> "Layout":
        """Return the layout on a device; from page-locked memory the copy does not wait."""
        return replace(self, **{name: getattr(self, name).to(device, non_blocking=True) for name in TENSORS})

    def pin_memory(self) -> "Layout":
        """Return the layout in page-locked memory."""
        return replace(self, **{name: getattr(self, name).pin_memory() for name in TENSORS})


TENSORS = ("positions", "frames", "frame_segments", "segments", "cu_seq")  # of a layout


def layout_of(segments: Sequence[Segment]) -> Layout:
    """Lay out segments, those of equal length side by side."""
    order = sorted(range(len(segments)), key=lambda i: (-_length(segments[i].grid), segments[i].grid, i))
    ordered = [segments[i] for i in order]
    positions = torch.cat([_positions(segment) for segment in ordered])
    grids = [segment.grid for segment in ordered]
    frame_segments = torch.arange(len(grids)).repeat_interleave(torch.tensor([t for t, _, _ in grids]))
    areas = torch.tensor([rows * columns for _, rows, columns in grids])[frame_segments]
    lengths = [_length(grid) for grid in grids]
    return Layout(
        positions,
        torch.arange(len(frame_segments)).repeat_interleave(areas),
        frame_segments,
        torch.arange(len(grids)).repeat_interleave(torch.tensor(lengths)),
        F.pad(torch.tensor(lengths).cumsum(0), (1, 0)).int(),
        max(lengths),
        tuple(grids),
        tuple(order),
    )


def repeated(layout: Layout, times: int) -> Layout:
    """Return the layout of the same segments packed several times over, one round after another."""
    rounds, count = range(times), len(layout.segments)
    return Layout(
        layout.positions.repeat(times, 1),
        torch.cat([layout.frames + n * len(layout.frame_segments) for n in rounds]),
        torch.cat([layout.frame_segments + n * len(layout.grids) for n in rounds]),
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


def patch_grid(shape: Sequence[int], patch: int) -> Grid3:
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


def unpatchify(tokens: Tensor, grid: Grid3, patch: int) -> Tensor:
    """Turn tokens `[t*rows*columns, z*p*p]` back into a latent `[z, t, h, w]`."""
    t, rows, columns = grid
    z = tokens.shape[1] // patch**2
    cut = tokens.reshape(t, rows, columns, z, patch, patch)
    return cut.permute(3, 0, 1, 4, 2, 5).reshape(z, t, rows * patch, columns * patch)


def _length(grid: Grid3) -> int:
    return grid[0] * grid[1] * grid[2]


def _positions(segment: Segment) -> Tensor:
    t, rows, columns = segment.grid
    of_rows, of_columns = segment.frame or (rows, columns)
    top, left = segment.place
    still = t == 1 and not segment.start  # an image has no rate
    time = torch.zeros(1) if still else (segment.start + torch.arange(t)) * (REFERENCE_RATE / segment.rate)
    row = top + torch.arange(rows) - (of_rows - 1) / 2
    column = left + torch.arange(columns) - (of_columns - 1) / 2
    patches = torch.stack(torch.meshgrid(time, row, column, indexing="ij"), dim=-1).reshape(-1, 3)
    shorter = min(of_rows, of_columns)
    fineness = torch.full((len(patches), 1), math.log2(shorter / REFERENCE_SIDE))
    fractions = 2 * patches[:, 1:] / torch.tensor([of_rows, of_columns])
    return torch.cat([patches[:, :1], patches[:, 1:] * (SIDE / shorter), fractions, fineness], dim=1)
