"""Sampling: steps along the learned path from noise to data, with classifier-free guidance.

Axes: N tokens of all clips, D values of a token, F latent frames of all clips, C clips; of a pack of windows M tokens,
f latent frames, S windows.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from kinora.data.packing import Layout, repeated
from kinora.diffusion.path import add_noise, shift_time
from kinora.diffusion.schedule import times_from
from kinora.diffusion.solvers import SOLVERS, Solver, check_solver
from kinora.diffusion.windows import Pack
from kinora.errors import UsageError
from kinora.models.dit import Context, DiT
from kinora.models.text_encoder import Text, TextEncoder

MOST_STEPS, MOST_GUIDANCE = 1000, 100.0
MOST_CACHED_TOKENS = 2**17  # of all packs; the contexts of more are computed anew at every step


@dataclass(frozen=True)
class Sampling:
    """How clips are sampled.

    steps: of the solver, from noise.
    solver: "adams" (Adams-Bashforth), "dpm" (DPM-Solver++ 2M) or "euler"; see `kinora.diffusion.solvers`.
    guidance: 1 is none; above, estimates move away from those without the prompt (arXiv:2207.12598).
    guidance_interval: the times, least and greatest, between which there is guidance (arXiv:2404.07724).
    guidance_rescale: 0 to 1, how far the spread of guided estimates becomes that of those with the prompt, equation 16
        of arXiv:2305.08891.
    shift: above 1 spends more of the steps near noise.
    shift_tokens: where it is above 0, the shift is for clips of so many tokens, and grows with the square root of their
        number (arXiv:2403.03206, section 5.3.2).

    Raises:
        UsageError: if a value is out of range.
    """

    steps: int = 25
    guidance: float = 2.0
    shift: float = 2.0
    solver: str = "adams"
    guidance_interval: tuple[float, float] = (0.0, 1.0)
    guidance_rescale: float = 0.0
    shift_tokens: int = 0

    def __post_init__(self) -> None:
        check_solver(self.solver)
        numbers = 1 <= self.steps <= MOST_STEPS and 0 <= self.guidance <= MOST_GUIDANCE and 0 < self.shift < math.inf
        if not numbers or self.shift_tokens < 0:
            raise UsageError(
                f"sampling with {self.steps} steps, a guidance of {self.guidance:g} and a shift of {self.shift:g} "
                f"cannot be; give 1 to {MOST_STEPS:,} steps, a guidance from 0 to {MOST_GUIDANCE:g}, a shift above 0."
            )
        low, high = self.guidance_interval
        if not 0 <= low <= high <= 1 or not 0 <= self.guidance_rescale <= 1:
            raise UsageError(
                f"a guidance between the times {low:g} and {high:g}, rescaled by {self.guidance_rescale:g}, cannot be; "
                "give numbers from 0 to 1."
            )

    def times(self, tokens: int = 0, start: float = 1.0) -> Tensor:
        """Return the `steps + 1` times from `start` down to 0 for a clip of so many tokens."""
        more = (tokens / self.shift_tokens) ** 0.5 if tokens and self.shift_tokens else 1.0
        return times_from(start, self.steps, self.shift * more)

    def time_of(self, strength: float) -> float:
        """Return the time at which a share `strength` of the steps from noise is left, which is where an edit begins.

        As wide a range of strengths as of steps then makes a difference: by time, most of it would change little.
        """
        return float(shift_time(torch.tensor(strength), self.shift))


@dataclass
class Denoiser:
    """Estimates the clean tokens of all clips from noisy ones, window by window.

    dit, text_encoder: the model.
    prompts: what `text_encoder.prepare` made of one prompt for each clip, and then of one negative prompt for each: of
        nothing, as a rule.
    packs: the windows of all clips.
    given_N: which tokens are given; None where none is.
    sampling: says how to guide.
    """

    dit: DiT
    text_encoder: TextEncoder
    prompts: Tensor
    packs: Sequence[Pack]
    given_N: Tensor | None
    sampling: Sampling
    _text: Text = field(init=False)
    _contexts: dict[tuple[int, bool], Context] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._text = self.text_encoder(self.prompts)
        self._cached = sum(len(pack.layout.segments) for pack in self.packs) <= MOST_CACHED_TOKENS

    def estimate(self, x_ND: Tensor, times_F: Tensor, context_C: Tensor) -> Tensor:
        """Return the estimate `[N, D]`, float32, at the times of all latent frames and of the given tokens of every
        clip. Tokens that are in no window keep their values."""
        if len(self.packs) == 1 and self.packs[0].tokens is None:
            return self._pack_estimate(0, x_ND, times_F, context_C)
        total_ND, weight_N1 = torch.zeros_like(x_ND), torch.zeros_like(x_ND[:, :1])
        for number, pack in enumerate(self.packs):
            assert pack.tokens is not None
            estimate_MD = self._pack_estimate(number, x_ND[pack.tokens], times_F[pack.frames], context_C)
            total_ND.index_add_(0, pack.tokens, estimate_MD * pack.weights)
            weight_N1.index_add_(0, pack.tokens, pack.weights)
        return torch.where(weight_N1 > 0, total_ND / weight_N1, x_ND)

    def _pack_estimate(self, number: int, x_MD: Tensor, times_f: Tensor, context_C: Tensor) -> Tensor:
        pack, sampling = self.packs[number], self.sampling
        low, high = sampling.guidance_interval
        guided_f = (times_f >= low) & (times_f <= high)
        always = sampling.guidance_interval == (0.0, 1.0)
        guided = sampling.guidance != 1 and (always or bool(guided_f.any()))
        context, times_S = self._context(number, guided), context_C[pack.clips]
        if not guided:
            return self.dit.estimate(x_MD, torch.cat([times_f, times_S]), context).float()
        times_R = torch.cat([times_f, times_f, times_S, times_S])
        conditional, unconditional = self.dit.estimate(x_MD.repeat(2, 1), times_R, context).float().chunk(2)
        scale_M1 = torch.where(guided_f, sampling.guidance, 1.0)[pack.layout.frames][:, None]
        estimate_MD = torch.lerp(unconditional, conditional, scale_M1)
        if sampling.guidance_rescale:
            estimate_MD = rescaled(estimate_MD, conditional, pack.layout, sampling.guidance_rescale)
        return estimate_MD

    def _context(self, number: int, guided: bool) -> Context:
        """Return the context of a pack, of the clips and, where `guided`, once more without their prompts."""
        if (number, guided) in self._contexts:
            return self._contexts[number, guided]
        pack, text = self.packs[number], self._text
        layout, place = pack.layout, pack.clips
        given = torch.zeros_like(layout.segments, dtype=torch.bool) if self.given_N is None else self.given_N
        given = given if pack.tokens is None or self.given_N is None else given[pack.tokens]
        if guided:
            layout, given = repeated(layout, 2), given.repeat(2)
            place = torch.cat([place, place + len(self.prompts) // 2])
        context = self.dit.context(layout, given, Text(text.words[place], text.mask[place], text.pooled[place]))
        if self._cached:
            self._contexts[number, guided] = context
        return context


def rescaled(guided_MD: Tensor, conditional_MD: Tensor, layout: Layout, share: float) -> Tensor:
    """Return guided estimates of which each window has, to a `share`, the spread of the estimate with its prompt."""
    ratio_S = spread(conditional_MD, layout) / spread(guided_MD, layout).clamp_min(1e-6)
    return guided_MD * (1 + share * (ratio_S - 1))[layout.segments][:, None]


def spread(tokens_MD: Tensor, layout: Layout) -> Tensor:
    """Return the standard deviation `[S]` of all values of each segment."""
    count_S = layout.cu_seq.diff().float()
    moments = []
    for power in (1, 2):
        sums = tokens_MD.new_zeros(len(count_S)).index_add_(0, layout.segments, tokens_MD.pow(power).mean(dim=1))
        moments.append(sums / count_S)
    return (moments[1] - moments[0].square()).clamp_min(0).sqrt()


@dataclass(frozen=True)
class Start:
    """Where sampling begins, and what of it is given.

    noise_ND: standard normal noise.
    clean_ND: the clean values of given tokens, and of those that begin at a time below 1; None where there are none.
    given_N: which tokens are given; None where none is.
    frames_N: the latent frame of each token, counted through all clips.
    clips_F: the clip of each latent frame.
    context_C: the time of the given tokens of each clip: a little noise hides that they may be generated themselves.
    """

    noise_ND: Tensor
    clean_ND: Tensor | None
    given_N: Tensor | None
    frames_N: Tensor
    clips_F: Tensor
    context_C: Tensor


OnEstimate = Callable[[int, int, Tensor], None]
Correction = Callable[[Tensor], Tensor]


@torch.inference_mode()
def sample(
    denoiser: Denoiser,
    start: Start,
    times: Tensor,
    *,
    correct: Correction | None = None,
    on_step: OnEstimate | None = None,
) -> Tensor:
    """Generate tokens `[N, D]`, in float32 whatever the network computes in.

    Args:
        denoiser: the network, with its windows.
        start: noise and what is known.
        times: `[steps + 1, F]` the times of every latent frame, never increasing.
        correct: returns a better estimate for one, where pixels are known that no token has to itself.
        on_step: called with steps done, steps in all and the estimate of the clean tokens, after every step.
    """
    solver = SOLVERS[denoiser.sampling.solver]()
    x_ND = begin(start, times[0])
    for step in range(len(times) - 1):
        x_ND, estimate_ND = advance(denoiser, solver, start, x_ND, times[step], times[step + 1], correct)
        if on_step is not None:
            on_step(step + 1, len(times) - 1, estimate_ND)
    if start.given_N is not None and start.clean_ND is not None:
        x_ND = torch.where(start.given_N[:, None], start.clean_ND, x_ND)
    return x_ND


def begin(start: Start, times_F: Tensor) -> Tensor:
    """Return the tokens at the first times: noise, noised clean values, and given tokens at the time of the context."""
    if start.clean_ND is None:
        return start.noise_ND.float()
    times_N = times_F[start.frames_N]
    if start.given_N is not None:
        times_N = torch.where(start.given_N, start.context_C[start.clips_F][start.frames_N], times_N)
    return add_noise(start.clean_ND.float(), start.noise_ND.float(), times_N[:, None])


def advance(
    denoiser: Denoiser,
    solver: Solver,
    start: Start,
    x_ND: Tensor,
    now_F: Tensor,
    after_F: Tensor,
    correct: Correction | None = None,
) -> tuple[Tensor, Tensor]:
    """Take one step; return the tokens after it, and the estimate of the clean ones that it went by."""
    estimate_ND = denoiser.estimate(x_ND, now_F, start.context_C)
    now_N1, after_N1 = now_F[start.frames_N][:, None], after_F[start.frames_N][:, None]
    if start.given_N is not None and start.clean_ND is not None:
        given_N1 = start.given_N[:, None]
        estimate_ND = torch.where(given_N1, start.clean_ND, estimate_ND)
        after_N1 = torch.where(given_N1, now_N1, after_N1)
    if correct is not None:
        estimate_ND = correct(estimate_ND)
    return solver.step(x_ND, estimate_ND, now_N1, after_N1), estimate_ND


@torch.inference_mode()
def sample_prompts(
    dit: DiT, text_encoder: TextEncoder, prompts: Tensor, layout: Layout, noise_ND: Tensor, sampling: Sampling
) -> Tensor:
    """Generate the clips of a layout from their prompts alone: tokens `[N, D]`; `prompts` are in the layout's order."""
    clips = len(layout.grids)
    start = Start(noise_ND, None, None, layout.frames, layout.frame_segments, noise_ND.new_zeros(clips))
    times = torch.stack([sampling.times(count) for count in layout.cu_seq.diff().tolist()], dim=1)  # [steps + 1, S]
    prompts = torch.cat([prompts, torch.zeros_like(prompts)])  # zero is no text
    denoiser = Denoiser(dit, text_encoder, prompts, [Pack.whole(layout)], None, sampling)
    return sample(denoiser, start, times.to(noise_ND.device)[:, layout.frame_segments])
