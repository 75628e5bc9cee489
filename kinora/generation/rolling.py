"""Videos of any length, in a window that slides: finished frames leave it at one end while new noise enters at the
other, and in between every latent frame is noisier than the one before it (Diffusion Forcing, arXiv:2407.01392).

Axes: z latent channels; t, h, w latent frames, rows and columns. "Forward" order is the order in which latent frames
are made; backward in time, it is turned round where the network sees it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from kinora.data.packing import Grid3, patch_grid
from kinora.diffusion.sampler import Denoiser, Sampling, Start, advance, begin
from kinora.diffusion.schedule import staircase
from kinora.diffusion.solvers import SOLVERS
from kinora.diffusion.windows import packs_of
from kinora.generation.denoising import TOKENS_AT_ONCE, OnLatents, Sketch, Whole, sample_latents, windows_of
from kinora.models.world_model import WorldModel

CONTEXT_TIME = 0.1  # hides small faults of what goes on, which would grow from window to window


@dataclass(frozen=True, eq=False)
class Roll:
    """What goes on, and how far.

    prompt, negative: sentences, as they are.
    rate: latent frames a second.
    shape: (z, h, w) of a latent frame.
    count: new latent frames.
    history: `[z, t, h, w]`, what there is, in the order of time; t may be 0.
    noise: draws the noise.
    backward: whether the new frames come before the history, in the end the clip's first.
    """

    prompt: str
    negative: str
    rate: float
    shape: tuple[int, int, int]
    count: int
    history: Tensor
    noise: torch.Generator
    backward: bool = False


@dataclass(frozen=True)
class Plan:
    """How a window of `length` latent frames is used: `context` finished ones at most; a frame leaves every `lag`
    rounds, and takes `steps`, a multiple of it."""

    length: int
    context: int
    lag: int
    steps: int

    @classmethod
    def of(cls, length: int, steps: int) -> "Plan":
        """Return the plan for a window of a model's usual length."""
        length = max(2, length)
        context = min(length - 1, max(2, length // 3))
        lag = -(-steps // (length - context))
        return cls(length, context, lag, lag * (length - context))

    @property
    def active(self) -> int:
        """Latent frames in the making."""
        return self.length - self.context

    def parts(self, held: int, count: int) -> Iterator[tuple[int, int, bool]]:
        """Yield (context, new, whether the window slides) of each part in which `count` latent frames are made after
        `held` ones: windows at once to begin with, and where all that is left fits one."""
        while count:
            if held >= self.context and count > self.active:
                yield self.context, count, True
                return
            context = min(held, max(self.length - count, self.context))
            new = min(count, self.length - context)
            yield context, new, False
            held, count = held + new, count - new

    def rounds(self, held: int, count: int, steps: int) -> int:
        """Return how many steps that takes, where a window at once takes `steps`."""
        return sum(self.steps + (new - 1) * self.lag if slides else steps for _, new, slides in self.parts(held, count))


def roll(
    model: WorldModel,
    wish: Roll,
    sampling: Sampling,
    window: Grid3,
    device: torch.device,
    on_step: OnLatents | None = None,
) -> Iterator[Tensor]:
    """Yield new latent frames `[z, 1, h, w]` as they are finished: forward in time, or backward.

    The arguments are those of `sample_latents`. No more than a window and the history that it sees is held.
    """
    plan = Plan.of(window[0], sampling.steps)
    history = wish.history.flip(1) if wish.backward else wish.history
    held, left = history.shape[1], wish.count
    total, done = plan.rounds(held, left, sampling.steps), 0

    def told(offset: int) -> OnLatents:
        def tell(step: int, _: int, latents: Callable[[], list[Tensor]]) -> None:
            if on_step is not None:
                on_step(offset + step, total, latents)

        return tell

    for context, new, slides in plan.parts(held, left):
        kept = history[:, history.shape[1] - context :]
        if slides:
            yield from _slide(model, wish, kept, (held, left), plan, sampling, window, device, told(done))
            return
        sketch = _at_once(model, wish, kept, (held, left), new)
        made = sample_latents(model, [sketch], sampling, window, device, told(done))[0].cpu()
        made = made.flip(1)[:, context:] if wish.backward else made[:, context:]
        yield from torch.split(made, 1, dim=1)
        history = torch.cat([kept, made], dim=1)
        held, left, done = held + new, left - new, done + sampling.steps


def _at_once(model: WorldModel, wish: Roll, kept: Tensor, progress: tuple[int, int], new: int) -> Sketch:
    """Return what is sampled in one go: `new` latent frames beside the kept ones."""
    held, left = progress
    context = kept.shape[1]
    z, h, w = wish.shape
    noise = _noise(wish, context + new)
    clean = torch.cat([kept, torch.zeros(z, new, h, w)], dim=1)
    if wish.backward:
        noise, clean = noise.flip(1), clean.flip(1)
    _, rows, columns = patch_grid((z, 1, h, w), model.dit.config.patch_size)
    places = torch.arange(context + new)
    is_given = places >= new if wish.backward else places < context
    given = is_given[:, None, None].expand(-1, rows, columns)
    first = left - new if wish.backward else held - context
    time = CONTEXT_TIME if context > 1 else 0.0  # a single given frame is a person's image
    return Sketch(wish.prompt, wish.negative, wish.rate, noise, clean, given, context=time, first=first)


def _slide(
    model: WorldModel,
    wish: Roll,
    kept: Tensor,
    progress: tuple[int, int],
    plan: Plan,
    sampling: Sampling,
    window: Grid3,
    device: torch.device,
    on_step: OnLatents,
) -> Iterator[Tensor]:
    """Yield the rest of the latent frames from a window that slides, one at a time.

    All that is kept between them is the window, in the order of making: finished frames, then those in the making.
    """
    held, left = progress
    context = plan.context
    rounds = replace(sampling, steps=plan.steps)
    solver = SOLVERS[sampling.solver]()
    noise = _noise(wish, context + plan.active)
    x, clean = noise.clone(), torch.cat([kept, torch.zeros_like(noise[:, context:])], dim=1)
    view: _View | None = None
    step = 0
    for number in range(left):  # the frame that is finished next
        active = min(plan.active, left - number)
        earliest = left - number - active if wish.backward else held + number - context
        if view is None or view.key != (active, earliest == 0):
            view = _View(model, wish, context, (active, earliest == 0), rounds, window, device)
        start = view.start(noise, clean)
        now_ND = view.tokens(x)
        given_ND = begin(start, torch.zeros(context + active, device=device))
        assert start.given_N is not None
        x_ND = torch.where(start.given_N[:, None], given_ND, now_ND)
        last = plan.steps + number * plan.lag
        for turn in range(last - plan.lag if number else 0, last):
            now_F, after_F = (view.times(plan, turn + n, number) for n in (0, 1))
            x_ND, estimate_ND = advance(view.denoiser, solver, start, x_ND, now_F, after_F)
            step += 1
            on_step(step, 0, partial(view.seen, estimate_ND))
        x = view.latent(x_ND).cpu()
        finished = x[:, context : context + 1]
        yield finished
        more = number + active < left
        fresh = _noise(wish, 1) if more else noise[:, :0]
        clean = torch.cat([clean[:, 1:context], finished, torch.zeros_like(x[:, context + 1 :]), 0 * fresh], dim=1)
        noise, x = torch.cat([noise[:, 1:], fresh], dim=1), torch.cat([x[:, 1:], fresh], dim=1)
        solver.move(view.moved(more))


class _View:
    """A window as the network sees it: in the order of time, `context` finished frames beside `active` ones."""

    def __init__(
        self,
        model: WorldModel,
        wish: Roll,
        context: int,
        key: tuple[int, bool],
        sampling: Sampling,
        window: Grid3,
        device: torch.device,
    ):
        self.key, self.context, self.backward, self.device = key, context, wish.backward, device
        active, is_first = key
        self.frames = context + active
        z, h, w = wish.shape
        grid = patch_grid((z, self.frames, h, w), model.dit.config.patch_size)
        self.area = grid[1] * grid[2]
        self.whole = Whole([grid], model.dit.config.patch_size, device)
        is_given = self._in_time(torch.arange(self.frames) < context)
        given = is_given[:, None, None].expand(-1, grid[1], grid[2])
        self.given_N = given.flatten().to(device)
        zeros = torch.zeros(z, self.frames, h, w)
        sketch = Sketch(wish.prompt, wish.negative, wish.rate, zeros, zeros, given, first=0 if is_first else 1)
        windows = windows_of(sketch, grid, (self.frames, *window[1:]))
        packs = [pack.to(device) for pack in packs_of([grid], [wish.rate], [windows], TOKENS_AT_ONCE)]
        prompts = model.text_encoder.prepare([wish.prompt, wish.negative])
        self.denoiser = Denoiser(model.dit, model.text_encoder, prompts, packs, self.given_N, sampling)
        self._times = sampling.times(self.frames * self.area)

    def _in_time(self, values: Tensor, axis: int = 0) -> Tensor:
        return values.flip(axis) if self.backward else values

    def tokens(self, latent: Tensor) -> Tensor:
        """Return the tokens of latents in the order of making."""
        return self.whole.tokens([self._in_time(latent, 1)])

    def latent(self, tokens: Tensor) -> Tensor:
        """Return the latents, in the order of making, of tokens."""
        return self._in_time(self.whole.latents(tokens)[0], 1)

    def seen(self, tokens: Tensor) -> list[Tensor]:
        """Return the latents in the order of time."""
        return self.whole.latents(tokens)

    def start(self, noise: Tensor, clean: Tensor) -> Start:
        """Return what is given in the window."""
        time = torch.full((1,), CONTEXT_TIME, device=self.device)
        tokens = self.tokens(noise), self.tokens(clean)
        return Start(*tokens, self.given_N, self.whole.frames, self.whole.clips, time)

    def times(self, plan: Plan, turn: int, number: int) -> Tensor:
        """Return the times `[F]` in a round, where the first active frame is that of this number."""
        frames = range(number, number + self.frames - self.context)
        active = staircase(self._times, frames, plan.lag, turn)
        times = torch.cat([torch.full((self.context,), CONTEXT_TIME), active])
        return self._in_time(times).to(self.device)

    def moved(self, more: bool) -> Tensor:
        """Return where each token of the next window was in this one, which loses its first frame and, where there is
        `more`, gains one."""
        frames = torch.arange(1, self.frames)
        frames = torch.cat([frames, torch.tensor([-1])]) if more else frames
        places = torch.where(frames < 0, -1, self.frames - 1 - frames) if self.backward else frames
        tokens = self._in_time(places)[:, None] * self.area + torch.arange(self.area)
        return tokens.clamp_min(-1).flatten().to(self.device)


def _noise(wish: Roll, frames: int) -> Tensor:
    """Draw the noise of latent frames one by one, `[z, t, h, w]`."""
    z, h, w = wish.shape
    return torch.cat([torch.randn(z, 1, h, w, generator=wish.noise) for _ in range(frames)], dim=1)
