"""Windows: a latent that is too long or too large for one look, or that is a circle in time, is cut into windows that
overlap. Each is estimated by itself, as a segment that knows its place in the whole, and the estimates are blended
(MultiDiffusion, https://arxiv.org/abs/2302.08113).

Axes: N tokens of all clips, one clip after another, each by latent frame, row and column of patches; F latent frames of
all clips; M tokens, f latent frames and S windows of a pack.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from kinora.data.packing import Grid3, Layout, Segment, layout_of

OVERLAP = 0.25  # of a window's length that the next one shares, at least


@dataclass(frozen=True)
class Window:
    """Part of a clip: the numbers of its latent frames, rows and columns of patches.

    start: latent frames of the clip before it, as the network is told; 0 only where it has the first frame's latent.
    """

    frames: tuple[int, ...]
    rows: range
    columns: range
    start: int = 0

    @property
    def grid(self) -> Grid3:
        """Its latent frames, rows and columns."""
        return len(self.frames), len(self.rows), len(self.columns)


@dataclass(frozen=True)
class Pack:
    """Windows that are estimated in one go.

    layout: of them.
    tokens: `[M]` which of all tokens they hold; None where they are all tokens in their order.
    frames: `[f]` which of all latent frames they hold.
    clips: `[S]` which clip each is of.
    weights: `[M, 1]` what an estimate counts beside those of other windows of the same token.
    """

    layout: Layout
    tokens: Tensor | None
    frames: Tensor
    clips: Tensor
    weights: Tensor

    @classmethod
    def whole(cls, layout: Layout) -> "Pack":
        """Return the pack of all segments of a layout, whose tokens are all there are, each a clip of its own."""
        device = layout.segments.device
        frames = torch.arange(len(layout.frame_segments), device=device)
        weights = torch.ones(len(layout.segments), 1, device=device)
        return cls(layout, None, frames, torch.arange(len(layout.grids), device=device), weights)

    def to(self, device: torch.device | str) -> "Pack":
        """Return the pack on a device."""
        tokens = None if self.tokens is None else self.tokens.to(device)
        rest = (side.to(device) for side in (self.frames, self.clips, self.weights))
        return Pack(self.layout.to(device), tokens, *rest)


def cut(grid: Grid3, size: Grid3, loop: bool = False, first: int = 0) -> list[Window]:
    """Cut a clip of `grid` into windows of at most `size`; `first` latent frames lie before it.

    In a `loop` the latent frames are a circle. Windows begin at several places of it, so that where one ends others
    have their middle; none has a first frame's latent.
    """
    frames, rows, columns = (min(most, length) for most, length in zip(size, grid, strict=True))
    across = [(r, c) for r in spans(grid[1], rows) for c in spans(grid[2], columns)]
    if not loop:
        # A model knows no later place than those of the clips that it was trained on.
        return [Window(tuple(f), r, c, min(first + f.start, 1)) for f in spans(grid[0], frames) for r, c in across]
    count = -(-grid[0] // max(1, frames // 2))
    starts = [round(n * grid[0] / count) for n in range(count)]  # a circle turned by one of these has the same windows
    turns = [tuple((first + n) % grid[0] for n in range(frames)) for first in starts]
    return [Window(turn, r, c, 1) for turn in turns for r, c in across]


def spans(length: int, size: int) -> list[range]:
    """Return ranges of `size` that cover `length` evenly, with at least `OVERLAP` of each shared with the next."""
    if size >= length:
        return [range(length)]
    stride = max(1, int(size * (1 - OVERLAP)))
    count = -(-(length - size) // stride)
    return [range(first, first + size) for first in (round(n * (length - size) / count) for n in range(count + 1))]


def packs_of(
    grids: Sequence[Grid3], rates: Sequence[float], windows: Sequence[Sequence[Window]], tokens_at_once: int
) -> list[Pack]:
    """Pack the windows of clips, up to about `tokens_at_once` together.

    Args:
        grids: of the clips.
        rates: latent frames a second of each.
        windows: of each.
        tokens_at_once: tokens of a pack at most, unless a window alone has more.
    """
    token, frame = 0, 0  # the first ones of a clip
    found: list[tuple[int, Segment, Tensor, Tensor, Tensor]] = []
    for clip, ((t, rows, columns), rate) in enumerate(zip(grids, rates, strict=True)):
        for window in windows[clip]:
            place = (window.rows.start, window.columns.start)
            segment = Segment(window.grid, rate, window.start, place, (rows, columns))
            f, r, c = (torch.tensor(axis) for axis in (window.frames, window.rows, window.columns))
            index = token + (f[:, None, None] * rows + r[:, None]) * columns + c
            weight = _hat(len(f))[:, None, None] * _hat(len(r))[:, None] * _hat(len(c))
            found.append((clip, segment, index.flatten(), frame + f, weight.flatten()))
        token, frame = token + t * rows * columns, frame + t
    packs: list[Pack] = []
    first, held = 0, 0
    for last in range(len(found) + 1):
        size = len(found[last][2]) if last < len(found) else tokens_at_once + 1
        if last > first and held + size > tokens_at_once:
            packs.append(_pack(found[first:last]))
            first, held = last, 0
        held += size
    return packs


def _pack(windows: Sequence[tuple[int, Segment, Tensor, Tensor, Tensor]]) -> Pack:
    layout = layout_of([window[1] for window in windows])
    ordered = [windows[place] for place in layout.order]
    clips, _, tokens, frames, weights = zip(*ordered, strict=True)
    return Pack(layout, torch.cat(tokens), torch.cat(frames), torch.tensor(clips), torch.cat(weights)[:, None])


def _hat(length: int) -> Tensor:
    """Return weights that rise from the ends of a window to its middle."""
    places = torch.arange(length, dtype=torch.float32)
    return torch.minimum(places + 1, length - places)
