"""Optimizers: Muon for the matrices between hidden layers, Adam for all other weights.

Muon: https://kellerjordan.github.io/posts/muon. AdamW: https://arxiv.org/abs/1711.05101.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from kinora.training.config import TrainingConfig
from kinora.training.muon import Muon
from kinora.training.ranks import Ranks


@dataclass(frozen=True)
class ParameterSplit:
    """A model's parameters: matrices between hidden layers, other matrices and kernels, and vectors."""

    hidden: list[nn.Parameter]
    matrices: list[nn.Parameter]
    vectors: list[nn.Parameter]


def split_parameters(model: nn.Module, hidden: str) -> ParameterSplit:
    """Split parameters; the names of matrices between hidden layers match the regular expression `hidden`."""
    split = ParameterSplit([], [], [])
    for name, parameter in model.named_parameters():
        if parameter.ndim == 2 and re.search(hidden, name):
            split.hidden.append(parameter)
        elif parameter.ndim >= 2:
            split.matrices.append(parameter)
        else:
            split.vectors.append(parameter)
    return split


def build_optimizers(model: nn.Module, hidden: str, config: TrainingConfig) -> list[Optimizer]:
    """Return Muon and AdamW for one process; see `split_parameters` for `hidden`."""
    split = split_parameters(model, hidden)
    adam = [
        {"params": split.matrices, "use_muon": False, "weight_decay": config.weight_decay},
        {"params": split.vectors, "use_muon": False, "weight_decay": 0.0},
    ]
    return [
        Muon(
            [{"params": split.hidden, "use_muon": True}],
            lr=config.muon_learning_rate,
            weight_decay=config.weight_decay,
        ),
        torch.optim.AdamW(adam, lr=config.learning_rate, betas=config.betas, fused=True),
    ]


def set_learning_rates(groups: Iterable[dict[str, Any]], config: TrainingConfig, rate: float) -> None:
    """Set the learning rates of parameter groups, each of which says whether it is Muon's (`use_muon`)."""
    for group in groups:
        group["lr"] = rate * (config.muon_learning_rate if group["use_muon"] else config.learning_rate)


def take_step(
    model: nn.Module, optimizers: Sequence[Optimizer], loss: Tensor, config: TrainingConfig, rate: float
) -> Tensor:
    """Take one step down the gradient of `loss`, clipped as `config` says, at `rate` of the learning rates.

    Of several ranks each gives its part of the loss: the gradient is that of the sum.

    Returns the norm of the gradient before it was clipped.
    """
    torch.autograd.backward(loss)
    Ranks().add_up([weight.grad for weight in model.parameters() if weight.grad is not None])
    norm = nn.utils.clip_grad_norm_(model.parameters(), config.max_gradient_norm)
    for optimizer in optimizers:
        set_learning_rates(optimizer.param_groups, config, rate)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return norm
