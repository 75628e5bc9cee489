"""Every parameter goes to the optimizer that is meant for it, at its own rate."""

from torch import nn

from kinora.training.config import TrainingConfig
from kinora.training.optimizers import build_optimizers, set_learning_rates, split_parameters

CONFIG = TrainingConfig(steps=10, learning_rate=0.1, muon_learning_rate=0.2, warmup_steps=0, weight_decay=0.3)


def model() -> nn.Module:
    return nn.ModuleDict({"stem": nn.Conv2d(3, 4, 3), "blocks": nn.Linear(4, 4), "head": nn.Linear(4, 2)})


def test_every_parameter_is_in_one_place():
    module = model()
    split = split_parameters(module, r"^blocks\.")
    names = {id(parameter): name for name, parameter in module.named_parameters()}
    assert [names[id(p)] for p in split.hidden] == ["blocks.weight"]
    assert [names[id(p)] for p in split.matrices] == ["stem.weight", "head.weight"]
    assert {names[id(p)] for p in split.vectors} == {"stem.bias", "blocks.bias", "head.bias"}


def test_rates_and_decay_reach_their_groups():
    muon, adam = build_optimizers(model(), r"^blocks\.", CONFIG)
    groups = [*muon.param_groups, *adam.param_groups]
    set_learning_rates(groups, CONFIG, 0.5)
    assert [group["lr"] for group in groups] == [0.1, 0.05, 0.05]
    assert [group["weight_decay"] for group in groups] == [0.3, 0.3, 0.0]
