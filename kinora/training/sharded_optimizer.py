"""Muon and AdamW over the fragments that ZeRO gives a rank: one optimizer for all stages and any number of ranks.

Muon (https://kellerjordan.github.io/posts/muon) needs whole matrices. Its momentum is sharded like the masters; the
fragments of a matrix are sent to one rank, orthogonalised there, and sent back ("Distributed Muon", arXiv:2502.16982,
section 2.3). The matrices are shared out so that every rank has about as much to multiply.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.optim import Optimizer

from kinora.models.precision import compute_dtype
from kinora.training.config import TrainingConfig
from kinora.training.fragments import Fragment, Shapes, fragments, runs, view
from kinora.training.guard import GradientGuard
from kinora.training.muon import MOMENTUM, orthogonalise, update_scale
from kinora.training.optimizers import split_parameters

ADAM_EPSILON = 1e-8


@dataclass(frozen=True)
class Kinds:
    """Shapes of parameters by what trains them: Muon, AdamW with weight decay, AdamW without."""

    hidden: Shapes
    matrices: Shapes
    vectors: Shapes

    @classmethod
    def of(cls, model: nn.Module, hidden: str) -> "Kinds":
        """Sort a model's parameters before ZeRO cuts them; see `split_parameters` for `hidden`."""
        names = {id(parameter): name for name, parameter in model.named_parameters()}
        split = split_parameters(model, hidden)
        kinds = (split.hidden, split.matrices, split.vectors)
        return cls(*({names[id(p)]: tuple(p.shape) for p in kind} for kind in kinds))

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """All shapes, in the order in which the optimizer has the parameters."""
        return {
            name: tuple(shape) for name, shape in (*self.hidden.items(), *self.matrices.items(), *self.vectors.items())
        }


class ShardedOptimizer(Optimizer):
    """Clips the gradient of all ranks, then takes a step of Muon and AdamW on this rank's partition.

    DeepSpeed replaces the one group's parameters by the flat float32 partition, whose gradient is the mean over the
    ranks. A step that `GradientGuard` skips changes nothing.

    rate: the share of the learning rates in the next step, set by the trainer.
    states: `momentum` of Muon, `first` and `second` moments of AdamW; flat like the partition where they are used.
    updates: steps that were not skipped, a scalar tensor.
    kept: 1 if the last step was not skipped, else 0, a scalar tensor.
    norm: of the last gradient before clipping, a scalar tensor.
    """

    def __init__(self, model: nn.Module, kinds: Kinds, zero_stage: int, config: TrainingConfig, device: torch.device):
        parameters = dict(model.named_parameters())
        super().__init__([{"params": [parameters[name] for name in kinds.shapes], "lr": 0.0}], {})
        self.config, self.rate = config, 0.0
        rank, world = dist.get_rank(), dist.get_world_size()
        everyone = [fragments(kinds.shapes, zero_stage, other, world) for other in range(world)]
        self.fragments = everyone[rank]
        self.hidden = _named(self.fragments, kinds.hidden)
        self.muon = runs(self.hidden)
        decayed, others = (_named(self.fragments, names) for names in (kinds.matrices, kinds.vectors))
        self.adam = [(run, config.weight_decay) for run in runs(decayed)] + [(run, 0.0) for run in runs(others)]
        self.exchange = Exchange(kinds.hidden, [_named(parts, kinds.hidden) for parts in everyone], rank)
        self.guard = GradientGuard(config.max_gradient_norm, device)
        self.updates = torch.zeros((), dtype=torch.int64, device=device)
        self.kept, self.norm = torch.ones((), device=device), torch.zeros((), device=device)
        self.states: dict[str, list[Tensor]] = {
            "momentum": [torch.zeros(run.stop - run.start, device=device) for run in self.muon],
            "first": [torch.zeros(run.stop - run.start, device=device) for run, _ in self.adam],
            "second": [torch.zeros(run.stop - run.start, device=device) for run, _ in self.adam],
        }

    @torch.no_grad()
    def step(self, closure: object = None) -> None:  # type: ignore[override]
        """Take a step at `rate` of the learning rates. No `closure` is called. All ranks call this."""
        (master,) = self.param_groups[0]["params"]
        gradient = master.grad
        squares = [view(gradient, run).square().sum() for run in runs(self.fragments)]
        total = torch.stack(squares).sum() if squares else torch.zeros((), device=gradient.device)
        dist.all_reduce(total)
        self.norm = total.sqrt()
        self.kept, factor = self.guard.judge(self.norm)
        self.updates += self.kept.long()
        # What is not finite belongs to a step that is skipped, and would not vanish when multiplied by 0.
        gradient.nan_to_num_(0.0, 0.0, 0.0).mul_(factor)
        self._muon(master.detach(), gradient)
        self._adamw(master.detach(), gradient)

    def skip(self) -> None:
        """Count a step that DeepSpeed itself has left out, because its gradient was not finite."""
        self.norm = torch.full_like(self.norm, torch.inf)
        self.kept, _ = self.guard.judge(self.norm)

    def _muon(self, master: Tensor, gradient: Tensor) -> None:
        rate, kept = self.rate * self.config.muon_learning_rate, self.kept
        for run, momentum in zip(self.muon, self.states["momentum"], strict=True):
            momentum.lerp_(view(gradient, run), (1 - MOMENTUM) * kept)
            view(gradient, run).lerp_(momentum, MOMENTUM)  # Nesterov's
        self.exchange.orthogonalise(gradient, self.hidden)
        for run in self.muon:
            view(master, run).mul_(1 - rate * self.config.weight_decay * kept).sub_(view(gradient, run) * (rate * kept))

    def _adamw(self, master: Tensor, gradient: Tensor) -> None:
        rate, kept, (beta1, beta2) = self.rate * self.config.learning_rate, self.kept, self.config.betas
        updates = self.updates.clamp_min(1).double()
        bias1, bias2 = (1 - beta1**updates).float(), (1 - beta2**updates).float()
        states = zip(self.adam, self.states["first"], self.states["second"], strict=True)
        for (run, decay), first, second in states:
            first.lerp_(view(gradient, run), (1 - beta1) * kept)
            second.lerp_(view(gradient, run).square(), (1 - beta2) * kept)
            deviation = (second / bias2).sqrt_().add_(ADAM_EPSILON)
            view(master, run).mul_(1 - rate * decay * kept).sub_(first / bias1 / deviation * (rate * kept))

    def pieces(self) -> Mapping[str, list[tuple[Fragment, Tensor]]]:
        """Return the fragments of each state with their views, to save and to restore."""
        adam = [run for run, _ in self.adam]
        return {
            kind: [
                (part, state.narrow(0, part.offset - run.start, part.length))
                for run, state in zip(self.muon if kind == "momentum" else adam, states, strict=True)
                for part in self.fragments
                if run.start <= part.offset < run.stop
            ]
            for kind, states in self.states.items()
        }


class Exchange:
    """The way of matrices' fragments to the rank that orthogonalises them, and back."""

    def __init__(self, shapes: Shapes, everyone: Sequence[Sequence[Fragment]], rank: int):
        self.shapes = shapes
        owners = balance(shapes, len(everyone))
        self.owned = [name for name in shapes if owners[name] == rank]
        by_name = [{part.name: part for part in parts} for parts in everyone]
        self.sent = [
            [by_name[rank][name].length for name in shapes if owners[name] == other and name in by_name[rank]]
            for other in range(len(everyone))
        ]
        # The order of what is sent: by receiver, then as in `shapes`.
        order = sorted((name for name in shapes if name in by_name[rank]), key=lambda name: owners[name])
        self.order = [by_name[rank][name] for name in order]
        self.received = [[parts[name].length for name in self.owned if name in parts] for parts in by_name]
        self.holders = [[other for other, parts in enumerate(by_name) if name in parts] for name in self.owned]

    def orthogonalise(self, update: Tensor, own: Sequence[Fragment]) -> None:
        """Replace a partition's fragments of matrices by those of the orthogonalised and scaled matrices."""
        dtype = compute_dtype()
        sent = torch.cat([part.of(update).to(dtype) for part in self.order] or [update.new_empty(0, dtype=dtype)])
        to_owners, to_me = [sum(lengths) for lengths in self.sent], [sum(lengths) for lengths in self.received]
        received = sent.new_empty(sum(to_me))
        dist.all_to_all_single(received, sent, to_me, to_owners)
        shares = zip(torch.split(received, to_me), self.received, strict=True)
        pieces = [list(torch.split(share, lengths)) for share, lengths in shares]
        places = [0] * len(pieces)
        for name, holders in zip(self.owned, self.holders, strict=True):
            parts = []
            for holder in holders:  # ranks hold a matrix's fragments in ascending order
                parts.append(pieces[holder][places[holder]])
                places[holder] += 1
            made = orthogonalise(torch.cat(parts).view(*self.shapes[name])).flatten()
            torch._foreach_copy_(parts, list(torch.split(made, [len(values) for values in parts])))
        dist.all_to_all_single(sent, received, to_owners, to_me)
        returned = torch.split(sent, [part.length for part in self.order])
        if own:
            torch._foreach_copy_([part.of(update) for part in self.order], list(returned))
            scales = [update_scale(self.shapes[part.name]) for part in own]
            torch._foreach_mul_([part.of(update) for part in own], scales)


def balance(shapes: Shapes, world: int) -> dict[str, int]:
    """Give each matrix to a rank, the costliest first to whoever has least to multiply (Graham's rule)."""
    loads, owners = [0] * world, {}
    for name in sorted(shapes, key=lambda name: -_cost(shapes[name])):
        owners[name] = loads.index(min(loads))
        loads[owners[name]] += _cost(shapes[name])
    return owners


def _cost(shape: Sequence[int]) -> int:
    return math.prod(shape) * min(shape)


def _named(parts: Sequence[Fragment], names: Shapes) -> list[Fragment]:
    return [part for part in parts if part.name in names]
