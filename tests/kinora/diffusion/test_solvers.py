"""Solvers against data whose ideal estimate is known, on every token's own times."""

from itertools import pairwise

import pytest
import torch

from kinora.diffusion.path import shift_time
from kinora.diffusion.solvers import SOLVERS, AdamsBashforth, Solver
from kinora.errors import UsageError

SPREAD = 0.3


def ideal(x, t):
    """E[x0 | x_t] for data that are normal with mean 0 and deviation `SPREAD`."""
    kept = SPREAD**2 * (1 - t)
    return kept / (kept * (1 - t) + t**2) * x


def spread(solver: Solver, steps: int, shift: float = 2.0) -> float:
    """Sample by the quantiles of the noise: the flow keeps their order, so the result has no chance in it."""
    x = torch.special.ndtri(torch.linspace(0.0005, 0.9995, 1000))[:, None]
    scale = float(x.std())
    times = shift_time(torch.linspace(1, 0, steps + 1), shift)
    for now, after in pairwise(times):
        x = solver.step(x, ideal(x, now), now.expand(1000, 1), after.expand(1000, 1))
    return float(x.std()) / scale


@pytest.mark.parametrize(
    ("name", "least", "most"), [("euler", 0.262, 0.266), ("adams", 0.294, 0.3), ("dpm", 0.294, 0.3)]
)
def test_the_spread_of_a_gaussian_after_25_steps(name, least, most):
    assert least < spread(SOLVERS[name](), 25) < most


@pytest.mark.parametrize(("name", "order"), [("euler", 1), ("adams", 2)])
def test_twice_the_steps_divide_the_error_by_two_to_the_order(name, order):
    errors = [abs(spread(SOLVERS[name](), steps, 1.0) - SPREAD) for steps in (50, 100)]
    assert errors[0] / errors[1] == pytest.approx(2**order, rel=0.25)


@pytest.mark.parametrize("name", SOLVERS)
def test_tokens_on_their_own_times_do_not_meddle(name):
    """Two tokens in one state, one waiting while the other moves, are the same two alone."""
    times = shift_time(torch.linspace(1, 0, 7), 2.0)
    late = torch.cat([times[:1].expand(3), times])  # waits for three steps
    early = torch.cat([times, times[-1:].expand(3)])  # is done three steps before

    def run(columns):
        x, solver = torch.full((len(columns), 1), 1.3), SOLVERS[name]()
        for step in range(9):
            now, after = (torch.stack([c[step + n] for c in columns])[:, None] for n in (0, 1))
            x = solver.step(x, ideal(x, now), now, after)
        return x

    together = run([early, late])
    torch.testing.assert_close(together, torch.cat([run([early]), run([late])]))
    torch.testing.assert_close(together[0], together[1])
    assert together.isfinite().all()


def test_a_solver_follows_tokens_that_move():
    x, t, s = torch.tensor([[1.0], [2.0]]), torch.full((2, 1), 0.8), torch.full((2, 1), 0.6)
    moved, plain = AdamsBashforth(), AdamsBashforth()
    x = moved.step(x, ideal(x, t), t, s)
    plain.step(x, ideal(x, t), t, s)
    moved.move(torch.tensor([1, -1]))
    new = torch.stack([x[1], torch.tensor([5.0])])
    after = moved.step(new, ideal(new, s), s, s - 0.2)
    fresh = AdamsBashforth().step(new[1:], ideal(new[1:], s[1:]), s[1:], s[1:] - 0.2)
    torch.testing.assert_close(after[1:], fresh)  # a new token has no past
    assert not torch.isclose(after[0], AdamsBashforth().step(new, ideal(new, s), s, s - 0.2)[0])


def test_an_unknown_solver_is_named_with_those_that_are_there():
    from kinora.diffusion.sampler import Sampling

    with pytest.raises(UsageError, match="no solver 'heun'; choose from euler, adams, dpm"):
        Sampling(solver="heun")
    with pytest.raises(UsageError, match="sampling with 0 steps"):
        Sampling(steps=0)
    with pytest.raises(UsageError, match="from 0 to 1"):
        Sampling(guidance_interval=(0.5, 0.2))
