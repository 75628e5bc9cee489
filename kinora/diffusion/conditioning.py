"""One mask unifies the tasks: it says which tokens of a clip are given, and the rest is generated from them.

Given tokens are clean, or a little noisy and said to be, and are not part of the loss. Text to video and to image have
none; image to video has the first latent frame; extension the first or the last ones; a fill what is not missing.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from kinora.data.packing import Grid3, Layout
from kinora.diffusion.path import sample_times, shift_time


def draw_given(grid: Grid3, generator: torch.Generator, share: float, first: int = 0) -> Tensor:
    """Draw a task for training: which tokens are given, bool `[t, rows, columns]`.

    With probability `share` some are: whole latent frames (the first, the last, both ends, or any) or, in a quarter of
    the cases and of all images, what lies outside a box in space that goes through the whole clip. Never all. With
    `first` it is always so many first latent frames, of videos that are longer.
    """
    t, rows, columns = grid
    given = torch.zeros(grid, dtype=torch.bool)
    kind, drawn = torch.rand(2, generator=generator).tolist()
    if drawn >= share or t * rows * columns == 1:
        return given
    if first:
        given[: first if t > first else 0] = True
        return given
    if t == 1 or kind < 0.25:
        box = [_span(length, generator) for length in (rows, columns)]
        given[:] = True
        given[:, slice(*box[0]), slice(*box[1])] = False
        return given
    count = int(torch.randint(1, t, (1,), generator=generator))
    if kind < 0.5:
        given[: 1 if kind < 0.35 else count] = True
    elif kind < 0.65:
        given[-count:] = True
    elif kind < 0.8 and t > 2:
        before = int(torch.randint(1, t - 1, (1,), generator=generator))
        after = int(torch.randint(1, t - before, (1,), generator=generator))
        given[:before] = given[-after:] = True
    else:
        given[torch.randperm(t, generator=generator)[:count]] = True
    return given


def _span(length: int, generator: torch.Generator) -> tuple[int, int]:
    """Draw the (first, last + 1) of a part of `length`, which is all of it only where that is 1."""
    size = int(torch.randint(1, max(2, length), (1,), generator=generator))
    first = int(torch.randint(0, length - size + 1, (1,), generator=generator))
    return first, first + size


def draw_times(
    frames: int, generator: torch.Generator, *, logit_mean: float, logit_std: float, shift: float, forcing_share: float
) -> Tensor:
    """Draw the times `[t]` of a clip's latent frames: one for all or, with probability `forcing_share`, each its own.

    Those are in any order in one half of the cases, in the others the later frame is the noisier one, as in a window
    that slides over a long video (Diffusion Forcing, arXiv:2407.01392).
    """
    kind = float(torch.rand(1, generator=generator))
    times = shift_time(sample_times(frames, generator, logit_mean, logit_std), shift)
    if kind >= forcing_share:
        return times[:1].expand(frames)
    return times.sort().values if kind < forcing_share / 2 else times


def given_tokens(layout: Layout, given: Sequence[Tensor]) -> Tensor:
    """Return which tokens are given, bool `[N]`, from `[t, rows, columns]` of each clip in the order of `pack`."""
    return torch.cat([given[place].flatten() for place in layout.order])
