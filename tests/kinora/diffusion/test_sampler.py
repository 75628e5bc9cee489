"""Sampling with networks whose right answer is known."""

import torch
from torch import nn

from kinora.data.packing import layout_of
from kinora.diffusion.sampler import Sampling, sample
from kinora.models.text_encoder import Text

LAYOUT = layout_of([(1, 1, 200)], [2.0])
NOTHING = torch.zeros(200, dtype=torch.bool)


class Words(nn.Module):
    """Encodes a prompt as its length."""

    def prepare(self, prompts):
        return torch.tensor([[float(len(prompt))] for prompt in prompts])

    def forward(self, numbers):
        return Text(numbers[:, :, None], numbers > 0, numbers)


class Gaussian(nn.Module):
    """The ideal estimate for data that are normal with mean 3 and deviation 0.5: E[x0 | x_t]."""

    def forward(self, x, layout, times, given, text):
        t = times[0]
        variance = 0.25 * (1 - t) ** 2 + t**2
        return 3 + 0.25 * (1 - t) / variance * (x - (1 - t) * 3)


class Spoken(nn.Module):
    """Estimates the prompt's length everywhere."""

    def forward(self, x, layout, times, given, text):
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
