"""The batches of transformer training: clips packed together with everything that is drawn for them.

What is drawn for a clip is a function of (seed, step, its place in the step), whoever computes it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from kinora.data.latents import LatentDataset
from kinora.data.packing import Layout, layout_of, patch_grid, patchify
from kinora.diffusion.conditioning import conditioning_mask, draw_conditioning_frames
from kinora.diffusion.path import sample_times, shift_time

if TYPE_CHECKING:
    from kinora.training.transformer import TransformerTraining

HELD_OUT = 128  # clips that the held-out loss is measured on, at most
HELD_OUT_STEP = 2**32 - 1  # stands for the step where held-out clips' draws are made: no training reaches it


@dataclass(frozen=True)
class TokenClip:
    """A clip ready to be packed: patch tokens `[L, D]`, its grid, latent frames a second, its caption."""

    tokens: Tensor
    grid: tuple[int, int, int]
    rate: float
    caption: str


@dataclass(frozen=True)
class Batch:
    """One pack: what `TrainingStep.forward` takes."""

    clean: Tensor  # [N, D]
    layout: Layout
    conditioning_mask: Tensor  # [N] bool
    times: Tensor  # [S]
    noise: Tensor  # [N, D]
    captions: list[str]  # [S], empty where dropped


class Batches:
    """The packs of a run's steps. Each is a function of (seed, step, pack) alone: a resumed run meets the same ones."""

    def __init__(self, clips: list[TokenClip], config: "TransformerTraining"):
        videos = [clip for clip in clips if clip.grid[0] > 1]
        images = [clip for clip in clips if clip.grid[0] == 1] or [first_frame(clip) for clip in videos]
        budget = config.tokens_per_pack
        image_budget = round(budget * config.image_share) if videos else budget
        self.pools = [(images, image_budget), (videos, budget - image_budget)]
        self.config = config

    def at(self, step: int, pack: int) -> Batch:
        """Return a pack (0, 1, ...) of a step (0, 1, ...)."""
        config = self.config
        generator = clip_generator(config.seed, step, -1 - pack)
        clips = [clip for pool, budget in self.pools for clip in draw(pool, budget, generator)]
        places = [(pack << 32) + number for number in range(len(clips))]
        return make_batch(clips, config, step, places, config.conditioning_share, config.caption_dropout)


def clip_generator(seed: int, step: int, place: int) -> torch.Generator:
    """Return the generator of one clip's draws: that at `place` (0, 1, ...) of a step (0, 1, ...)."""
    state = np.random.SeedSequence([number % 2**64 for number in (seed, step, place)]).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(state[0]))


def make_batch(
    clips: Sequence[TokenClip],
    config: "TransformerTraining",
    step: int,
    places: Sequence[int],
    conditioning_share: float,
    caption_dropout: float,
) -> Batch:
    """Pack clips with the times, noise, conditioning frames and dropped captions of their places in a step."""
    layout = layout_of([clip.grid for clip in clips], [clip.rate for clip in clips])
    times, frames, kept, noise = [], [], [], []
    for clip, place in zip(clips, places, strict=True):
        generator = clip_generator(config.seed, step, place)
        times.append(sample_times(1, generator, config.time_logit_mean, config.time_logit_std))
        frames.append(draw_conditioning_frames(clip.grid[0], generator, conditioning_share))
        kept.append(bool(torch.rand(1, generator=generator) >= caption_dropout))
        noise.append(torch.randn(clip.tokens.shape, generator=generator))
    order = layout.order
    return Batch(
        torch.cat([clips[i].tokens for i in order]).float(),
        layout,
        conditioning_mask(layout, frames),
        shift_time(torch.cat([times[i] for i in order]), config.time_shift),
        torch.cat([noise[i] for i in order]),
        [clips[i].caption if kept[i] else "" for i in order],
    )


def held_out_batches(clips: Sequence[TokenClip], config: "TransformerTraining") -> list[Batch]:
    """Return at most `HELD_OUT` clips in packs of the training's size, the same times and noise at every call.

    Every caption is kept and no frame is a conditioning frame, so that the loss is of text to video alone.
    """
    some = clips[:: max(1, len(clips) // HELD_OUT)][:HELD_OUT]
    batches, place = [], 0
    for group in _groups(some, config):
        batches.append(make_batch(group, config, HELD_OUT_STEP, range(place, place + len(group)), 0.0, 0.0))
        place += len(group)
    return batches


def _groups(clips: Sequence[TokenClip], config: "TransformerTraining") -> Iterator[list[TokenClip]]:
    budget, group = config.tokens_per_pack, list[TokenClip]()
    for clip in clips:
        if group and sum(len(c.tokens) for c in [*group, clip]) > budget:
            yield group
            group = []
        group.append(clip)
    if group:
        yield group


def draw(pool: list[TokenClip], budget: int, generator: torch.Generator) -> list[TokenClip]:
    """Draw clips, with replacement, until their tokens reach the budget (at least one, if the budget is not 0)."""
    clips: list[TokenClip] = []
    while pool and budget > 0:
        clip = pool[int(torch.randint(len(pool), (1,), generator=generator))]
        if clips and len(clip.tokens) > budget:
            break
        clips.append(clip)
        budget -= len(clip.tokens)
    return clips


def first_frame(clip: TokenClip) -> TokenClip:
    """Return the first latent frame of a clip as an image, which is a video of one frame."""
    _, rows, columns = clip.grid
    return TokenClip(clip.tokens[: rows * columns], (1, rows, columns), clip.rate, clip.caption)


def token_clips(dataset: LatentDataset, patch: int) -> list[TokenClip]:
    """Read every latent of a dataset as tokens."""
    clips = []
    for index in range(len(dataset)):
        clip = dataset[index]
        grid = patch_grid(clip.latent.shape, patch)
        clips.append(TokenClip(patchify(clip.latent, patch), grid, clip.fps / dataset.config["temporal"], clip.caption))
    return clips
