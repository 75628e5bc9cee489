"""Exponential moving average of weights: what is evaluated, kept and served."""

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
        torch._foreach_lerp_(list(self.weights.values()), present, 1 - decay)

    def state_dict(self) -> dict[str, int | dict[str, Tensor]]:
        """Return all that a resumed run needs."""
        return {"updates": self.updates, "weights": self.weights}

    def load_state_dict(self, state: dict) -> None:
        """Take up where `state_dict` left off."""
        self.updates = state["updates"]
        for name, weight in self.weights.items():
            weight.copy_(state["weights"][name])
