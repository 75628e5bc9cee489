"""The batches of transformer training: clips packed together with everything that is drawn for them.

What is drawn for a clip is a function of (seed, step, its place in the step), whoever computes it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from kinora.captioning.writers import CaptionMix
from kinora.data.latents import LatentClip, LatentDataset
from kinora.data.packing import Layout, Segment, layout_of, patch_grid, patchify
from kinora.data.planner import Pack, Planner, check_lengths, deal, spread
from kinora.diffusion.conditioning import draw_given, draw_times, given_tokens
from kinora.models.text_encoder import PAD, UNKNOWN, TextEncoderConfig, word_ids

if TYPE_CHECKING:
    from kinora.training.transformer import TransformerTraining

HELD_OUT = 128  # clips that the held-out loss is measured on, at most
TEXT = 1  # tells the draw of a clip's text from all else that is drawn for it
USUAL = CaptionMix()
HELD_OUT_STEP = 2**32 - 1  # stands for the step where held-out clips' draws are made: no training reaches it


@dataclass(frozen=True)
class TokenClip:
    """A clip ready to be packed: patch tokens `[t, rows, columns, D]`, latent frames a second, its prepared caption."""

    tokens: Tensor
    rate: float
    text: Tensor  # token ids `[M]`, or of a frozen encoder `[1 + M, W]`


@dataclass(frozen=True)
class Batch:
    """One pack: what `TrainingStep.forward` takes.

    tokens, free: how many there are, and how many of them the loss is over, those that are not given. Both are 0 where
        the batch only keeps a process in step with others, which have a pack more: it counts for nothing.
    """

    clean: Tensor  # [N, D]
    layout: Layout
    conditioning_mask: Tensor  # [N] bool
    times: Tensor  # [F + S], see `Layout.condition_times`
    noise: Tensor  # [N, D]
    text: Tensor  # prepared captions [S, M, ...], zero where dropped
    tokens: int
    free: int

    def to(self, device: torch.device | str) -> "Batch":
        """Return the batch on a device; from pinned memory the copy does not wait."""
        moved = {name: getattr(self, name).to(device, non_blocking=True) for name in TENSORS}
        return replace(self, layout=self.layout.to(device), **moved)

    def pin_memory(self) -> "Batch":
        """Return the batch in page-locked memory, from which a GPU copies while it computes."""
        return replace(
            self, layout=self.layout.pin_memory(), **{name: getattr(self, name).pin_memory() for name in TENSORS}
        )


TENSORS = ("clean", "conditioning_mask", "times", "noise", "text")  # of a batch, besides its layout's


class Batches:
    """The packs of a run's steps, each a function of (configuration, data, step): a resumed run meets the same ones.

    `mix` says with which of its texts a clip is learned.

    Raises:
        KinoraError: if there are no clips, or one is longer than a pack.
    """

    def __init__(self, latents: LatentDataset, config: "TransformerTraining", mix: CaptionMix = USUAL):
        self.latents, self.config, self.mix = latents, config, mix
        self.planner = Planner(
            windowed(patch_grids(latents, config.model.patch_size), config.window),
            tokens_per_pack=config.tokens_per_pack,
            packs_per_step=config.packs,
            image_share=config.image_share,
            attention_length=6 * config.model.width,
            seed=config.seed,
            name=latents.name,
        )

    def packs(self, step: int) -> list[Batch]:
        """Read all packs of a step (0, 1, ...), one after another."""
        return [self.read(step, pack) for pack in self.planner.packs(step)]

    def of_receiver(self, first: int, receiver: int, receivers: int) -> Iterator[list[Callable[[], Batch]]]:
        """Yield, for step `first` (0, 1, ...) and all after it, what reads the packs that fall to one of `receivers`.

        All receivers have equally many: where there are too few, the cheapest pack of the step is added, for nothing.
        """
        for step in range(first, self.config.steps):
            packs = self.planner.packs(step)
            hands = deal(packs, receivers)
            idle = max(map(len, hands)) - len(hands[receiver])
            cheapest = min(packs, key=lambda pack: pack.cost)
            yield [
                *(partial(self.read, step, pack) for pack in hands[receiver]),
                *[partial(self.read, step, cheapest, counts=False)] * idle,
            ]

    def read(self, step: int, pack: Pack, *, counts: bool = True) -> Batch:
        """Read a pack of a step, with all that is drawn for it; in pinned memory where there is a GPU."""
        config = self.config
        places = zip(pack.clips, pack.places, strict=True)
        texts = [draw_text(self.latents.texts(clip), self.mix, config.seed, step, place) for clip, place in places]
        clips = read_clips(self.latents, pack, config, texts)
        batch = make_batch(clips, config, step, pack.places)
        batch = batch if counts else replace(batch, tokens=0, free=0)
        return batch.pin_memory() if torch.cuda.is_available() else batch


class HeldOut:
    """At most `HELD_OUT` clips in packs of the training's size, the same times and noise at every call.

    All sizes and lengths are among them. Every caption is kept and nothing is given, so that the loss is of text to
    video alone. They are read anew each time: nothing of them stays in memory.

    Raises:
        KinoraError: if a clip is longer than a pack.
    """

    def __init__(self, latents: LatentDataset, config: "TransformerTraining"):
        self.latents = latents
        self.config = replace(
            config,
            conditioning_share=0.0,
            forcing_share=0.0,
            later_share=0.0,
            caption_dropout=0.0,
            unknown_words=0.0,
            seed=0,  # trainings of any seed are measured alike
        )
        grids = windowed(patch_grids(latents, config.model.patch_size), config.window)
        lengths = grids.prod(axis=1)
        check_lengths(lengths, config.tokens_per_pack, latents.name)
        chosen = representatives(grids, HELD_OUT)
        self.shapes = sorted({(t, rows, columns) for t, rows, columns in grids[chosen].tolist()})
        some = [int(lengths[clip]) for clip in chosen]
        members = spread(some, -(-sum(some) // config.tokens_per_pack), config.tokens_per_pack, 6 * config.model.width)
        self.packs = [
            Pack(tuple(chosen[i] for i in pack), (False,) * len(pack), tuple(pack), sum(some[i] for i in pack), 0.0)
            for pack in members
            if pack
        ]

    def __len__(self) -> int:
        return len(self.packs)

    def read(self, number: int) -> Batch:
        """Read one of the packs."""
        pack = self.packs[number]
        clips = read_clips(self.latents, pack, self.config)
        return make_batch(clips, self.config, HELD_OUT_STEP, pack.places)


def representatives(grids: npt.NDArray[np.int64], count: int) -> list[int]:
    """Choose at most `count` clips, from each size and length in turn, evenly from those that are alike."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for clip, grid in enumerate(map(tuple, grids.tolist())):
        groups.setdefault(grid, []).append(clip)
    turns = [group[:: max(1, len(group) // count)] for _, group in sorted(groups.items())]
    ranked = sorted((turn, number) for number, group in enumerate(turns) for turn in range(len(group)))
    return sorted(turns[number][turn] for turn, number in ranked[:count])


def patch_grids(latents: LatentDataset, patch: int) -> npt.NDArray[np.int64]:
    """Return the patch grids `[n, 3]` (latent frames, rows, columns) of all latents, without reading them."""
    shapes = latents.shapes().astype(np.int64)
    for shape in np.unique(shapes, axis=0).tolist():
        patch_grid((0, *shape), patch)  # refuses what does not divide
    return shapes // (1, patch, patch)


def windowed(grids: npt.NDArray[np.int64], window: tuple[int, int, int]) -> npt.NDArray[np.int64]:
    """Return the grids `[n, 3]` of what is learned at once of clips; `window` as in `TransformerTraining`."""
    limits = np.array([limit or np.iinfo(np.int64).max for limit in window])
    smaller: npt.NDArray[np.int64] = np.minimum(grids, limits)
    return smaller


def read_clips(
    latents: LatentDataset, pack: Pack, config: "TransformerTraining", texts: Sequence[str] | None = None
) -> list[TokenClip]:
    """Read the clips of a pack as tokens, with the texts named (`TEXTS`), or their captions."""
    clips, patch, token_ids = [], config.model.patch_size, config.text.token_ids()
    for clip, still in zip(latents.read(pack.clips, texts), pack.stills, strict=True):
        latent = clip.latent[:, :1] if still else clip.latent
        grid = patch_grid(latent.shape, patch)
        text = prepared_caption(clip, config.text, token_ids)
        clips.append(TokenClip(patchify(latent, patch).reshape(*grid, -1), clip.fps / latents.config["temporal"], text))
    return clips


def prepared_caption(clip: LatentClip, config: TextEncoderConfig, token_ids: Mapping[str, int]) -> Tensor:
    """Return a clip's caption as `TextEncoder.prepare` would, without the frozen encoder, if it is one.

    A clip without a caption has the empty sentence, which is no condition.
    """
    if config.kind == "words":
        return torch.tensor(word_ids(clip.caption, token_ids, config.max_words) or [PAD])
    if not clip.caption:
        return torch.zeros(2, config.width)  # the sentence, and a place for words
    assert clip.text is not None, "`resolve` looked whether it is there"
    return clip.text.float()


def draw_text(texts: Mapping[str, str], mix: CaptionMix, seed: int, step: int, place: int) -> str:
    """Return which of its texts the clip at `place` of a step is learned with; see `CaptionMix.choose`."""
    chance = np.random.default_rng([number % 2**64 for number in (seed, step, place, TEXT)])
    return mix.choose(texts, (chance.random(), chance.random()))


def clip_generator(seed: int, step: int, place: int) -> torch.Generator:
    """Return the generator of one clip's draws: that at `place` (0, 1, ...) of a step (0, 1, ...)."""
    state = np.random.SeedSequence([number % 2**64 for number in (seed, step, place)]).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(state[0]))


def make_batch(clips: Sequence[TokenClip], config: "TransformerTraining", step: int, places: Sequence[int]) -> Batch:
    """Pack clips with all that is drawn for their places in a step: windows, times, noise, what is given and how noisy
    that is, and what of the captions is dropped or unknown."""
    windows, segments, times, context, given, texts, noise = [], [], [], [], [], [], []
    for clip, place in zip(clips, places, strict=True):
        generator = clip_generator(config.seed, step, place)
        window, segment = draw_window(clip, config, generator)
        windows.append(window.flatten(0, 2))
        segments.append(segment)
        times.append(
            draw_times(
                segment.grid[0],
                generator,
                logit_mean=config.time_logit_mean,
                logit_std=config.time_logit_std,
                shift=config.time_shift,
                forcing_share=config.forcing_share,
            )
        )
        given.append(draw_given(segment.grid, generator, config.conditioning_share, config.given_first))
        noisy, amount = torch.rand(2, generator=generator).tolist()
        context.append(amount * config.context_noise if noisy < 0.5 else 0.0)
        kept = torch.rand(1, generator=generator) >= config.caption_dropout
        noise.append(torch.randn(windows[-1].shape, generator=generator))
        text = clip.text
        if config.text.kind == "words":
            unknown = torch.rand(len(text), generator=generator) < config.unknown_words
            text = torch.where(unknown & (text != PAD), UNKNOWN, text)
        texts.append(text * kept)
    layout = layout_of(segments)
    order, mask = layout.order, given_tokens(layout, given)
    return Batch(
        torch.cat([windows[i] for i in order]).float(),
        layout,
        mask,
        torch.cat([*(times[i] for i in order), torch.tensor([context[i] for i in order])]),
        torch.cat([noise[i] for i in order]),
        pad_sequence([texts[i] for i in order], batch_first=True),
        tokens=len(mask),
        free=len(mask) - int(mask.sum()),
    )


def draw_window(clip: TokenClip, config: "TransformerTraining", generator: torch.Generator) -> tuple[Tensor, Segment]:
    """Draw the window of a clip that is learned: its tokens, and where it stands.

    It lies anywhere in a larger clip. Of `config.later_share` of the other videos it leaves out the first latent, so
    that the model also knows clips that begin in the middle of something, with the latent of a later frame.
    """
    whole = clip.tokens.shape[:3]
    size = [min(length, limit or length) for length, limit in zip(whole, config.window, strict=True)]
    corner = [
        int(torch.randint(0, length - part + 1, (1,), generator=generator))
        for length, part in zip(whole, size, strict=True)
    ]
    later = float(torch.rand(1, generator=generator)) < config.later_share
    if later and size[0] == whole[0] > 2:
        corner[0], size[0] = 1, size[0] - 1
    window = clip.tokens
    for axis in range(3):
        window = window.narrow(axis, corner[axis], size[axis])
    start, top, left = corner
    frame = (whole[1], whole[2])
    return window, Segment((size[0], size[1], size[2]), clip.rate, start, (top, left), frame)
