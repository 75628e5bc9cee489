"""Tiles: frames that are too large to be worked on in one go, cut so that no seam can be seen.

Every tile is taken with a margin as wide as the network looks around itself (its receptive field), and the margin is
cut off again. At the edges of the frame a tile has no margin, and the convolutions' zeros are where they are without
tiles. What is left is what the whole frame gives, up to rounding.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from kinora.models.vae.config import Level


@dataclass(frozen=True)
class Tile:
    """A rectangle of latents: what it is worked on with, and what of it is kept, as rows and columns of the frame."""

    rows: slice
    columns: slice
    kept_rows: slice
    kept_columns: slice

    def inner(self, scale: int = 1) -> tuple[slice, slice]:
        """Return what is kept, counted from the tile's own corner, where a latent is `scale` wide."""
        rows, columns = _shifted(self.kept_rows, self.rows.start), _shifted(self.kept_columns, self.columns.start)
        return _scaled(rows, scale), _scaled(columns, scale)

    def kept(self, scale: int = 1) -> tuple[slice, slice]:
        """Return what is kept, counted from the frame's corner, where a latent is `scale` wide."""
        return _scaled(self.kept_rows, scale), _scaled(self.kept_columns, scale)

    def outer(self, scale: int = 1) -> tuple[slice, slice]:
        """Return what is worked on, counted from the frame's corner, where a latent is `scale` wide."""
        return _scaled(self.rows, scale), _scaled(self.columns, scale)


def cut(height: int, width: int, most: int, margin: int) -> list[Tile]:
    """Cut a frame of latents into as few, as square tiles as keep `most` latents or fewer each; 1 at least."""
    down = across = 1
    while (size := -(-height // down) * -(-width // across)) > max(1, most):
        if size == 1:
            break
        if -(-height // down) >= -(-width // across):
            down += 1
        else:
            across += 1
    return [
        Tile(_widened(rows, margin, height), _widened(columns, margin, width), rows, columns)
        for rows in _spans(height, down)
        for columns in _spans(width, across)
    ]


def encoder_margin(levels: Sequence[Level]) -> int:
    """Return how many latents to each side an encoder looks: a block looks one cell of its level further."""
    reach = levels[-1].encoder_blocks
    for fine, coarse in list(pairwise(levels))[::-1]:
        reach = reach * (coarse.spatial // fine.spatial) + fine.encoder_blocks
    return -(-reach * levels[0].spatial // levels[-1].spatial)


def decoder_margin(levels: Sequence[Level]) -> int:
    """Return how many latents to each side a decoder looks."""
    reach = levels[0].decoder_blocks
    for fine, coarse in pairwise(levels):
        reach = -(-reach * fine.spatial // coarse.spatial) + coarse.decoder_blocks
    return reach


def decoder_memory(levels: Sequence[Level]) -> int:
    """Return how many latent frames back a decoder looks: a block looks at the one before."""
    reach = levels[0].decoder_blocks
    for fine, coarse in pairwise(levels):
        reach = -(-reach * fine.temporal // coarse.temporal) + coarse.decoder_blocks
    return reach


def _spans(length: int, parts: int) -> Iterator[slice]:
    step = -(-length // parts)
    for start in range(0, length, step):
        yield slice(start, min(length, start + step))


def _widened(span: slice, margin: int, length: int) -> slice:
    return slice(max(0, span.start - margin), min(length, span.stop + margin))


def _shifted(span: slice, start: int) -> slice:
    return slice(span.start - start, span.stop - start)


def _scaled(span: slice, scale: int) -> slice:
    return slice(span.start * scale, span.stop * scale)
