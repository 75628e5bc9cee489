"""The average of weights is the formula's, in float32, and goes on after an interruption."""

import torch
from torch import nn

from kinora.training.ema import EMA


def test_it_averages_and_resumes():
    model = nn.Linear(2, 1, bias=False)
    nn.init.zeros_(model.weight)
    ema = EMA(model, decay=0.5)
    nn.init.ones_(model.weight)
    ema.update(model)  # decay rises from 2/11: early on the average is close to the weights
    assert torch.allclose(ema.weights["weight"], torch.tensor(1 - 2 / 11))
    other = EMA(model, decay=0.5)
    other.restore(ema.updates, ema.weights)
    nn.init.zeros_(model.weight)
    ema.update(model)
    other.update(model)
    assert torch.equal(ema.weights["weight"], other.weights["weight"])
    assert torch.allclose(other.weights["weight"], torch.tensor((1 - 2 / 11) * 3 / 12))


def test_it_follows_a_module_to_another_device():
    model = nn.Linear(2, 1)
    ema = EMA(model, decay=0.5)
    ema.update(model.to("meta"))
    assert {weight.device.type for weight in ema.weights.values()} == {"meta"}


def test_it_stays_in_float32():
    model = nn.Linear(2, 1).bfloat16()
    ema = EMA(model, decay=0.9)
    ema.update(model)
    assert {weight.dtype for weight in ema.weights.values()} == {torch.float32}


def test_a_module_takes_the_average_for_a_while_and_gets_its_own_weights_back():
    model = nn.Linear(3, 2).bfloat16()
    ema = EMA(model, decay=0.9)
    nn.init.ones_(model.weight)
    own = model.weight.clone()
    with ema.applied_to(model):
        assert torch.equal(model.weight, ema.weights["weight"].bfloat16())
    assert torch.equal(model.weight, own)
