"""Exponential moving average of weights: what is evaluated, kept and served."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class EMA:
    """A float32 average of a module's parameters, by name.

    Early on the average follows the weights closely, `decay` is reached after about `10 / (1 - decay)` updates.
    """

    def __init__(self, module: nn.Module, decay: float):
        self.decay, self.updates = decay, 0
        self.weights = {name: p.detach().float().clone() for name, p in module.named_parameters()}

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        """Move the average towards the module's present weights."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        present = [p.detach().float() for p in module.parameters()]
        # The module may have moved to another device since the average began.
        self.weights = {n: w.to(p.device) for (n, w), p in zip(self.weights.items(), present, strict=True)}
        torch._foreach_lerp_(list(self.weights.values()), present, 1 - decay)

    def restore(self, updates: int, weights: dict[str, Tensor]) -> None:
        """Take up where an average after so many updates left off."""
        self.updates = updates
        for name, weight in self.weights.items():
            weight.copy_(weights[name])

    @contextmanager
    def applied_to(self, module: nn.Module) -> Iterator[None]:
        """Give the module the averaged weights for a while; its own come back bit by bit."""
        parameters = dict(module.named_parameters())
        own = {name: parameter.detach().clone() for name, parameter in parameters.items()}
        with torch.no_grad():
            for name, parameter in parameters.items():
                parameter.copy_(self.weights[name])
        try:
            yield
        finally:
            with torch.no_grad():
                for name, parameter in parameters.items():
                    parameter.copy_(own[name])
