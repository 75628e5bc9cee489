"""Solvers: how far a step goes along the path, from the network's estimate of the clean data.

With the path of `kinora.diffusion.path`, a step from time t to s that takes the estimate x0 as constant is

    x_s = (s / t) x_t + (1 - s / t) x0 = x_t + (s - t) v,        v = (x_t - x0) / t,

which is Euler's step, and also DPM-Solver++'s of the first order. The others are of the second order: they also use the
estimate of the step before, and cost nothing more. Every token has a time of its own.
"""

import torch
from torch import Tensor

from kinora.errors import UsageError

SMALLEST = 1e-6  # what time 0 counts as where it divides: such tokens stay as they are


class Solver:
    """Takes steps; begin each sampling with a new one."""

    def step(self, x_ND: Tensor, estimate_ND: Tensor, now_N1: Tensor, after_N1: Tensor) -> Tensor:
        """Return the tokens at the times `after`, from tokens and estimates at `now`; where both are equal, nothing
        changes."""
        raise NotImplementedError

    def move(self, source_N: Tensor) -> None:
        """Follow tokens that moved: token n is now what token `source[n]` was, or a new one where that is -1."""


class Euler(Solver):
    """First order; shrinks the spread of its samples."""

    def step(self, x_ND: Tensor, estimate_ND: Tensor, now_N1: Tensor, after_N1: Tensor) -> Tensor:
        """Take a step; see `Solver.step`."""
        return torch.lerp(estimate_ND, x_ND, after_N1 / now_N1.clamp_min(SMALLEST))


class MultistepSolver(Solver):
    """Keeps what the step before used, and its times; a token without one has the time infinity."""

    def __init__(self) -> None:
        self.previous_ND: Tensor | None = None
        self.before_N1: Tensor | None = None

    def remembered(self, value_ND: Tensor, now_N1: Tensor) -> tuple[Tensor, Tensor]:
        """Return the last step's value and times, and keep this one's."""
        previous, before = self.previous_ND, self.before_N1
        self.previous_ND, self.before_N1 = value_ND, now_N1
        if previous is None or before is None:
            return value_ND, torch.full_like(now_N1, torch.inf)
        return previous, before

    def move(self, source_N: Tensor) -> None:
        """Follow tokens that moved; see `Solver.move`."""
        if self.previous_ND is not None and self.before_N1 is not None:
            self.previous_ND = self.previous_ND[source_N]
            self.before_N1 = torch.where(source_N[:, None] < 0, torch.inf, self.before_N1[source_N])


class AdamsBashforth(MultistepSolver):
    """Second order in time: the velocity is a line through the last two (the two-step Adams-Bashforth method)."""

    def step(self, x_ND: Tensor, estimate_ND: Tensor, now_N1: Tensor, after_N1: Tensor) -> Tensor:
        """Take a step; see `Solver.step`."""
        velocity_ND = (x_ND - estimate_ND) / now_N1.clamp_min(SMALLEST)
        previous_ND, before_N1 = self.remembered(velocity_ND, now_N1)
        length_N1 = after_N1 - now_N1
        part_N1 = torch.where(before_N1 > now_N1, length_N1 / (2 * (now_N1 - before_N1)), 0.0)
        return x_ND + length_N1 * torch.lerp(velocity_ND, previous_ND, -part_N1)


class DPMSolver(MultistepSolver):
    """DPM-Solver++ (2M), https://arxiv.org/abs/2211.01095, algorithm 2: the estimate is a line in the half logarithm of
    the signal-to-noise ratio, lambda = log((1 - t) / t). First order from time 1 and to time 0, where that is infinite.
    """

    def step(self, x_ND: Tensor, estimate_ND: Tensor, now_N1: Tensor, after_N1: Tensor) -> Tensor:
        """Take a step; see `Solver.step`."""
        previous_ND, before_N1 = self.remembered(estimate_ND, now_N1)
        before, now, after = (-torch.logit(t, eps=SMALLEST) for t in (before_N1, now_N1, after_N1))
        inside = (before_N1 < 1) & (before_N1 > now_N1) & (after_N1 > 0)
        part_N1 = torch.where(inside, (after - now) / (2 * (now - before)), 0.0)  # 1 / 2r of the paper
        return torch.lerp(torch.lerp(estimate_ND, previous_ND, -part_N1), x_ND, after_N1 / now_N1.clamp_min(SMALLEST))


SOLVERS: dict[str, type[Solver]] = {"euler": Euler, "adams": AdamsBashforth, "dpm": DPMSolver}


def check_solver(name: str) -> None:
    """Refuse a name that is not in `SOLVERS`.

    Raises:
        UsageError: if it is not.
    """
    if name not in SOLVERS:
        raise UsageError(f"there is no solver '{name}'; choose from {', '.join(SOLVERS)}.")
