"""Sampling with networks whose right answer is known."""

from itertools import pairwise

import torch
from torch import nn

from kinora.data.packing import Segment, layout_of
from kinora.diffusion.path import velocity
from kinora.diffusion.sampler import Sampling, sample
from kinora.models.dit import DiT, DiTConfig
from kinora.models.text_encoder import Text, TextEncoderConfig, WordEncoder

LAYOUT = layout_of([Segment((1, 1, 200), 2.0)])
NOTHING = torch.zeros(200, dtype=torch.bool)


class Words(nn.Module):
    """Encodes a prompt as its length."""

    def prepare(self, prompts):
        return torch.tensor([[float(len(prompt))] for prompt in prompts])

    def forward(self, numbers):
        return Text(numbers[:, :, None], numbers > 0, numbers)


class Network(nn.Module):
    """Is told all that a `DiT` is."""

    def context(self, layout, given, text):
        return layout, given, text


class Gaussian(Network):
    """The ideal estimate for data that are normal with mean 3 and deviation 0.5: E[x0 | x_t]."""

    def estimate(self, x, times, context):
        assert x.dtype is times.dtype is torch.float32
        t = times[0]
        variance = 0.25 * (1 - t) ** 2 + t**2
        return 3 + 0.25 * (1 - t) / variance * (x - (1 - t) * 3)


class Spoken(Network):
    """Estimates the prompt's length everywhere."""

    def estimate(self, x, times, context):
        layout, _, text = context
        return text.pooled[layout.segments].expand_as(x)


def draw(network, prompt="", given=NOTHING, clean=None, **options):
    noise = torch.randn(200, 8, generator=torch.Generator().manual_seed(0))
    clean = torch.zeros(200, 8) if clean is None else clean
    return sample(network, Words(), Words().prepare([prompt]), LAYOUT, noise, clean, given, Sampling(**options))


def test_the_ideal_network_gives_the_data_distribution():
    x = draw(Gaussian(), steps=200, guidance=1.0)
    assert abs(x.mean() - 3) < 0.05
    assert abs(x.std() - 0.5) < 0.03


def test_guidance_moves_away_from_the_answer_without_text():
    torch.testing.assert_close(draw(Spoken(), "four", guidance=1.0), torch.full((200, 8), 4.0))
    torch.testing.assert_close(draw(Spoken(), "four", guidance=2.5), torch.full((200, 8), 10.0))


def test_given_tokens_stay_as_they_are():
    given, clean = torch.arange(200) < 50, torch.randn(200, 8)
    x = draw(Gaussian(), given=given, clean=clean)
    assert torch.equal(x[:50], clean[:50])
    assert not torch.equal(x[50:], clean[50:])


def test_steps_are_reported():
    seen = []
    noise = torch.randn(200, 8)
    sample(
        Spoken(),
        Words(),
        torch.zeros(1, 1),
        LAYOUT,
        noise,
        noise,
        NOTHING,
        Sampling(steps=3),
        lambda *s: seen.append(s),
    )
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_the_state_is_float32_whatever_the_network_computes_in():
    class Rounded(Gaussian):
        def estimate(self, x, times, context):
            return super().estimate(x, times, context).bfloat16()

    exact, rounded = draw(Gaussian(), steps=100), draw(Rounded(), steps=100)
    assert rounded.dtype is torch.float32
    # Roundings of the estimates do not add up: a state in bfloat16 would lose steps smaller than 2^-8 of itself.
    assert (rounded - exact).abs().max() < 3 * 2**-8 * exact.abs().max()


def test_guidance_in_one_pack_is_guidance_in_two():
    torch.manual_seed(0)
    dit = DiT(DiTConfig(latent_channels=2, width=32, depth=2, heads=2, text_width=8))
    for parameter in dit.parameters():
        nn.init.normal_(parameter, std=0.1)
    encoder = WordEncoder(TextEncoderConfig(("<pad>", "<unknown>", "red", "ball"), width=8))
    layout = layout_of([Segment(grid, 2.0) for grid in ((2, 2, 3), (1, 2, 2), (2, 2, 3))])
    noise, clean, given = torch.randn(28, 8), torch.randn(28, 8), torch.arange(28) % 5 == 0
    prompts, sampling = ["red ball", "ball", "red"], Sampling(steps=4, guidance=3.0, shift=1.5)
    ours = sample(dit, encoder, encoder.prepare(prompts), layout, noise, clean, given, sampling)

    x = torch.where(given[:, None], clean, noise)
    texts = [encoder(encoder.prepare(sentences)) for sentences in (prompts, [""] * 3)]
    for now, after in pairwise(sampling.times()):
        with_text, without = (dit(x, layout, layout.condition_times(now.expand(3)), given, text) for text in texts)
        moved = x + (after - now) * velocity(x, without + 3.0 * (with_text - without), now)
        x = torch.where(given[:, None], clean, moved)
    torch.testing.assert_close(ours, x, atol=1e-4, rtol=1e-4)
