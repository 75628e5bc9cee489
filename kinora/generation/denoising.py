"""From noise to latents: clips of any sizes and tasks, packed together window by window.

Axes: z latent channels; t, h, w latent frames, rows and columns; N tokens of all clips.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from kinora.data.packing import Grid3, patch_grid, patchify, unpatchify
from kinora.diffusion.sampler import Denoiser, Sampling, Start, sample
from kinora.diffusion.windows import Window, cut, packs_of
from kinora.models.world_model import WorldModel

TOKENS_AT_ONCE = 8192  # windows are packed together up to about so many tokens, twice that with guidance


@dataclass(frozen=True, eq=False)
class Sketch:
    """What one clip is sampled from.

    prompt, negative: sentences, as they are.
    rate: latent frames a second.
    noise: `[z, t, h, w]`.
    clean: `[z, t, h, w]`, the values of what is given, and what sampling begins from where `strength` is below 1.
    given: bool `[t, rows, columns]`, which patches are given.
    strength: the time from which what is not given is sampled: 1 is noise alone.
    context: the time of what is given.
    first: latent frames of the clip before these.
    loop: whether the last latent frame leads into the first.
    correct: returns a better estimate `[z, t, h, w]` for one, where single pixels are known; None where none are.
    """

    prompt: str
    negative: str
    rate: float
    noise: Tensor
    clean: Tensor
    given: Tensor
    strength: float = 1.0
    context: float = 0.0
    first: int = 0
    loop: bool = False
    correct: Callable[[Tensor], Tensor] | None = None


OnLatents = Callable[[int, int, Callable[[], list[Tensor]]], None]


def sample_latents(
    model: WorldModel,
    sketches: Sequence[Sketch],
    sampling: Sampling,
    window: Grid3,
    device: torch.device,
    on_step: OnLatents | None = None,
) -> list[Tensor]:
    """Return the latent `[z, t, h, w]` of each sketch.

    Args:
        model: the transformer and the text encoder.
        sketches: what to sample.
        sampling: how.
        window: latent frames, rows and columns of patches that the model looks at together, at most.
        device: where to.
        on_step: called with steps done, steps in all and what returns the latents as they are estimated.
    """
    patch = model.dit.config.patch_size
    grids = [patch_grid(sketch.noise.shape, patch) for sketch in sketches]
    whole = Whole(grids, patch, device)
    windows = [windows_of(sketch, grid, window) for sketch, grid in zip(sketches, grids, strict=True)]
    packs = packs_of(grids, [sketch.rate for sketch in sketches], windows, TOKENS_AT_ONCE)
    sentences = [sketch.prompt for sketch in sketches] + [sketch.negative for sketch in sketches]
    given_N = torch.cat([sketch.given.flatten() for sketch in sketches]).to(device)
    denoiser = Denoiser(
        model.dit,
        model.text_encoder,
        model.text_encoder.prepare(sentences),
        [pack.to(device) for pack in packs],
        given_N,
        sampling,
    )
    start = Start(
        whole.tokens([sketch.noise for sketch in sketches]),
        whole.tokens([sketch.clean for sketch in sketches]),
        given_N,
        whole.frames,
        whole.clips,
        torch.tensor([sketch.context for sketch in sketches], device=device),
    )
    counts = [grid[0] * grid[1] * grid[2] for grid in grids]
    columns = [sampling.times(count, one.strength) for count, one in zip(counts, sketches, strict=True)]
    times = torch.stack(columns, dim=1).to(device)[:, whole.clips]

    def corrected(tokens: Tensor) -> Tensor:
        latents = whole.latents(tokens)
        pairs = zip(latents, sketches, strict=True)
        return whole.tokens([z if one.correct is None else one.correct(z) for z, one in pairs])

    def told(done: int, steps: int, estimate: Tensor) -> None:
        if on_step is not None:
            on_step(done, steps, lambda: whole.latents(estimate))

    needed = any(sketch.correct is not None for sketch in sketches)
    tokens = sample(denoiser, start, times, correct=corrected if needed else None, on_step=told)
    return whole.latents(tokens)


class Whole:
    """All tokens of several clips, one clip after another."""

    def __init__(self, grids: Sequence[Grid3], patch: int, device: torch.device):
        self.grids, self.patch, self.device = grids, patch, device
        lengths = torch.tensor([t for t, _, _ in grids])
        areas = torch.tensor([rows * columns for _, rows, columns in grids])
        self.clips = torch.arange(len(grids)).repeat_interleave(lengths).to(device)  # of each latent frame
        frames = torch.arange(int(lengths.sum())).repeat_interleave(areas.repeat_interleave(lengths))
        self.frames = frames.to(device)  # of each token

    def tokens(self, latents: Sequence[Tensor]) -> Tensor:
        """Return the tokens `[N, D]` of latents `[z, t, h, w]`, on the device."""
        return torch.cat([patchify(latent.to(self.device), self.patch) for latent in latents])

    def latents(self, tokens: Tensor) -> list[Tensor]:
        """Return the latents `[z, t, h, w]` of tokens `[N, D]`."""
        pieces = torch.split(tokens, [t * rows * columns for t, rows, columns in self.grids])
        return [unpatchify(piece, grid, self.patch) for piece, grid in zip(pieces, self.grids, strict=True)]


def windows_of(sketch: Sketch, grid: Grid3, window: Grid3) -> list[Window]:
    """Cut a sketch of `grid` into windows, without those of which all is given."""
    _, rows, columns = grid
    if rows * columns <= 2 * window[1] * window[2]:  # not much larger than usual: the model sees it as a whole
        window = (window[0], rows, columns)
    found = cut(grid, window, sketch.loop, sketch.first)

    def is_free(one: Window) -> bool:
        part = sketch.given[list(one.frames), one.rows.start : one.rows.stop, one.columns.start : one.columns.stop]
        return not bool(part.all())

    return [one for one in found if is_free(one)]
