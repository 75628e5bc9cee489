"""Solvers against data whose ideal estimate is known: a Gaussian, and a mixture of two.

    python -m benchmarks.solvers

UniPC (https://arxiv.org/abs/2302.04867, order 2, B2(h), data prediction) stands here and not in the library, which has
no use for it beside Adams-Bashforth.
"""

import math
from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

from kinora.diffusion.schedule import times_from
from kinora.diffusion.solvers import SOLVERS

SPREAD, SHIFT, COUNT = 0.3, 2.0, 4000
MODES, MODE_SPREAD = (-1.0, 1.0), 0.1
Estimate = Callable[[Tensor, float], Tensor]
NAMES = {"euler": "Euler", "dpm": "DPM-Solver++ (2M)", "unipc": "UniPC", "adams": "Adams-Bashforth"}


def gaussian(x: Tensor, t: float) -> Tensor:
    """Return E[x0 | x_t] of data with mean 0 and deviation `SPREAD`."""
    kept = SPREAD**2 * (1 - t)
    return kept / (kept * (1 - t) + t**2) * x


def mixture(x: Tensor, t: float) -> Tensor:
    """Return E[x0 | x_t] of data around `MODES` with deviation `MODE_SPREAD`, as many around each."""
    a, variance = 1 - t, (1 - t) ** 2 * MODE_SPREAD**2 + t**2
    weights = torch.softmax(torch.stack([-((x - a * mode) ** 2) / (2 * variance) for mode in MODES]), dim=0)
    means = torch.stack([mode + MODE_SPREAD**2 * a / variance * (x - a * mode) for mode in MODES])
    return (weights * means).sum(dim=0)


def solved(name: str, estimate: Estimate, x: Tensor, steps: int) -> Tensor:
    """Return where a solver takes noise."""
    times = times_from(1.0, steps, SHIFT).double().tolist()
    if name == "unipc":
        return unipc(estimate, x, times)
    solver = SOLVERS[name]()
    for now, after in pairwise(times):
        x = solver.step(x, estimate(x, now), *(torch.full_like(x, t) for t in (now, after)))
    return x


def unipc(estimate: Estimate, x: Tensor, times: list[float]) -> Tensor:
    """Return where UniPC's predictor and corrector of order 2 take noise; first order where lambda is infinite."""
    known: list[tuple[Tensor, float]] = []  # estimates and the half logarithms of their signal-to-noise ratios
    before = x
    for step, (now, after) in enumerate(pairwise(times)):
        model, current = estimate(x, now), log_ratio(now)
        if step and known[-1][1] > -math.inf:
            x = corrected(known, model, current, before, times[step - 1], now)
        known.append((model, current))
        before, target = x, log_ratio(after)
        x = after / now * x + (1 - after / now) * model
        if len(known) > 1 and known[-2][1] > -math.inf and target < math.inf:
            slope = (known[-2][0] - model) / ((known[-2][1] - current) / (target - current))
            x = x - (1 - after) * math.expm1(current - target) * 0.5 * slope
    return x


def corrected(
    known: list[tuple[Tensor, float]], model: Tensor, current: float, before: Tensor, last: float, now: float
) -> Tensor:
    """Return the last step taken again, with the estimate at its end."""
    first, ratio = known[-1]
    h = ratio - current  # minus the step in lambda
    phi = math.expm1(h)
    change = 0.5 * (model - first)
    if len(known) > 1 and known[-2][1] > -math.inf:
        r = (known[-2][1] - ratio) / -h
        sides = torch.tensor([(phi / h - 1) / phi, 2 * ((phi / h - 1) / h - 0.5) / phi], dtype=torch.float64)
        shares = torch.linalg.solve(torch.tensor([[1.0, 1.0], [r, 1.0]], dtype=torch.float64), sides)
        change = shares[0] * (known[-2][0] - first) / r + shares[1] * (model - first)
    return now / last * before - (1 - now) * phi * (first + change)


def log_ratio(t: float) -> float:
    """Return lambda, log((1 - t) / t)."""
    return math.log((1 - t) / t) if 0 < t < 1 else math.inf if t <= 0 else -math.inf


def measure() -> str:
    """Return the comparison as Markdown."""
    # Quantiles instead of draws: the flow keeps their order, so nothing here is chance.
    noise = torch.special.ndtri((torch.arange(COUNT, dtype=torch.float64) + 0.5) / COUNT)
    exact = solved("euler", mixture, noise, 4000)
    lines = [
        "## Solvers\n",
        f"Spread of samples of a Gaussian whose true one is {SPREAD:.3f}, and of one of two modes whose true one is "
        f"{MODE_SPREAD:.3f} with the mean distance from where 4000 steps lead; shift {SHIFT:g}, ideal estimates.\n",
        "| | steps | Gaussian | mode | distance |",
        "|---|---:|---:|---:|---:|",
    ]
    for steps in (10, 25, 50):
        for name, title in NAMES.items():
            spread = solved(name, gaussian, noise, steps).std() / noise.std()
            samples = solved(name, mixture, noise, steps)
            mode, distance = samples[samples > 0].std(), (samples - exact).abs().mean()
            lines.append(f"| {title} | {steps} | {spread:.4f} | {mode:.4f} | {distance:.4f} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(measure())
