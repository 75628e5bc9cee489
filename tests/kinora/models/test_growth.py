"""A larger transformer begins as a smaller one, and learns as a larger one."""

from dataclasses import replace

import pytest
import torch

from kinora.data.packing import Segment, layout_of
from kinora.errors import UsageError
from kinora.models.dit import DiT, DiTConfig
from kinora.models.growth import check_growth, grow, learn_words
from kinora.models.text_encoder import SPECIAL, Text, TextEncoderConfig, WordEncoder

SMALL = DiTConfig(latent_channels=4, width=32, depth=2, heads=2, cross_attention_blocks=(1,), text_width=8)


def estimate(model):
    generator = torch.Generator().manual_seed(1)
    layout = layout_of([Segment((2, 3, 3), 2.0), Segment((1, 2, 2), 2.0)])
    text = Text(*(torch.randn(2, n, 8, generator=generator) for n in (3,)), *(torch.ones(2, 3, dtype=torch.bool),),
                torch.randn(2, 8, generator=generator))  # fmt: skip
    tokens = torch.randn(22, SMALL.token_dim, generator=generator)
    times = torch.rand(3 + 2, generator=generator)
    return model(tokens, layout, times, torch.zeros(22, dtype=torch.bool), text)


@pytest.fixture
def trained():
    torch.manual_seed(0)
    model = DiT(SMALL)
    for weight in model.parameters():  # as after training: no matrix is zero, and no vector
        torch.nn.init.normal_(weight, std=0.2)
    return model


@pytest.mark.parametrize(("times", "depth", "crossing"), [(1, 3, (1,)), (2, 2, (1,)), (3, 4, (1, 3))])
def test_a_grown_transformer_is_the_function_of_the_small_one(trained, times, depth, crossing, monkeypatch):
    monkeypatch.setattr("kinora.models.growth.NOISE", 0.0)
    config = replace(SMALL, width=times * 32, heads=times * 2, depth=depth, cross_attention_blocks=crossing)
    check_growth(SMALL, config)
    large = DiT(config)
    grow(trained.state_dict(), large, torch.Generator())
    torch.testing.assert_close(estimate(large), estimate(trained), atol=1e-4, rtol=1e-4)


def test_copies_are_nearly_alike_and_have_gradients_of_their_own(trained):
    large = DiT(replace(SMALL, width=64, heads=4, depth=3))
    grow(trained.state_dict(), large, torch.Generator().manual_seed(0))
    ours, theirs = estimate(large), estimate(trained)
    assert 0 < float(((ours - theirs).std() / theirs.std()).detach()) < 0.2
    ours.square().mean().backward()
    for name in ("blocks.0.up.weight", "blocks.1.qkv.weight", "head.weight"):
        gradient = large.get_parameter(name).grad
        first, second = gradient.chunk(2, dim=1)
        assert float((first - second).norm() / gradient.norm()) > 1e-3, name
    assert float(large.blocks[2].down.weight.grad.norm()) > 0  # what is new learns too


@pytest.mark.parametrize(
    "other", [{"width": 48, "heads": 3}, {"width": 64}, {"depth": 1}, {"latent_channels": 8}, {"mlp_ratio": 2}]
)
def test_what_cannot_begin_as_the_small_one_is_refused(other):
    with pytest.raises(UsageError, match="cannot begin as"):
        check_growth(SMALL, replace(SMALL, **other))


def test_new_words_are_added_and_known_ones_mean_what_they_did():
    known = TextEncoderConfig((*SPECIAL, "red", "ball"), width=8)
    small = WordEncoder(known)
    large = WordEncoder(replace(known, vocabulary=(*known.vocabulary, "dragon")))
    learn_words(small.state_dict(), large)
    told, before = (model(model.prepare(["red ball"])) for model in (large, small))
    assert torch.equal(told.words, before.words)
    assert not torch.equal(large(large.prepare(["dragon"])).words, large(large.prepare(["wyvern"])).words)
