"""Sampling with networks whose right answer is known."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from kinora.data.packing import Segment, layout_of
from kinora.diffusion.path import velocity
from kinora.diffusion.sampler import Denoiser, Sampling, Start, sample, sample_prompts, spread
from kinora.diffusion.windows import Pack, cut, packs_of
from kinora.models.dit import DiT, DiTConfig
from kinora.models.text_encoder import Text, TextEncoderConfig, WordEncoder

GRID = (4, 5, 10)  # 200 tokens


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
        layout, given, _ = context
        t = times[layout.condition_rows(given)][:, None]
        variance = 0.25 * (1 - t) ** 2 + t**2
        return 3 + 0.25 * (1 - t) / variance * (x - (1 - t) * 3)


class Spoken(Network):
    """Estimates the prompt's length everywhere."""

    def estimate(self, x, times, context):
        layout, _, text = context
        return text.pooled[layout.segments].expand_as(x)


def draw(network, prompt="", negative="", given=None, clean=None, times=None, windows=None, **options):
    """Sample one clip of `GRID`, whole or in windows."""
    noise, layout = torch.randn(200, 8, generator=torch.Generator().manual_seed(0)), layout_of([Segment(GRID, 2.0)])
    sampling = Sampling(**options)
    packs = packs_of([GRID], [2.0], [windows], 90) if windows else [Pack.whole(layout)]
    denoiser = Denoiser(network, Words(), Words().prepare([prompt, negative]), packs, given, sampling)
    start = Start(noise, clean, given, layout.frames, layout.frame_segments, torch.zeros(1))
    times = sampling.times()[:, None].expand(-1, 4) if times is None else times
    return sample(denoiser, start, times)


def test_the_ideal_network_gives_the_data_distribution():
    x = draw(Gaussian(), steps=50, guidance=1.0)
    assert abs(x.mean() - 3) < 0.05
    assert abs(x.std() - 0.5) < 0.02


def test_guidance_moves_away_from_the_negative_prompt():
    def answer(value):
        return torch.full((200, 8), value)

    torch.testing.assert_close(draw(Spoken(), "four", guidance=1.0), answer(4.0))
    torch.testing.assert_close(draw(Spoken(), "four", guidance=2.5), answer(10.0))
    torch.testing.assert_close(draw(Spoken(), "four", "two", guidance=2.5), answer(5.5))  # 3 + 2.5 (4 - 3)


def test_guidance_is_held_to_its_interval():
    always, never = draw(Spoken(), "four", guidance=2.5), draw(Spoken(), "four", guidance=1.0)
    torch.testing.assert_close(draw(Spoken(), "four", guidance=2.5, guidance_interval=(1.0, 1.0), steps=9), never)
    assert draw(Spoken(), "four", guidance=2.5, guidance_interval=(0.0, 0.0), steps=9).mean() < always.mean()


def test_rescaled_guidance_has_the_spread_of_the_estimate_with_the_prompt():
    class Wide(Network):
        def estimate(self, x, times, context):
            layout, _, text = context
            return torch.arange(8.0) * text.pooled[layout.segments]

    layout = layout_of([Segment(GRID, 2.0)])
    wide = draw(Wide(), "four", guidance=3.0, steps=1)
    narrow = draw(Wide(), "four", guidance=3.0, guidance_rescale=1.0, steps=1)
    torch.testing.assert_close(spread(narrow, layout), spread(draw(Wide(), "four", guidance=1.0, steps=1), layout))
    assert wide.std() > 2 * narrow.std()


def test_given_tokens_stay_as_they_are():
    given, clean = torch.arange(200) < 50, torch.randn(200, 8)
    x = draw(Gaussian(), given=given, clean=clean)
    assert torch.equal(x[:50], clean[:50])
    assert not torch.isclose(x[50:], clean[50:]).any()


def test_sampling_begins_where_the_schedule_does():
    """From time 0 nothing changes; from a low one, little; each latent frame by itself."""
    clean = 3 + 0.5 * torch.randn(200, 8)
    times = Sampling(steps=10).times()[:, None] * torch.tensor([0.0, 0.1, 0.5, 1.0])
    moved = (draw(Gaussian(), clean=clean, times=times, steps=10) - clean).unflatten(0, (4, 50)).square().mean((1, 2))
    assert moved[0] == 0
    assert moved[0] < moved[1] < moved[2] < moved[3]


def test_windows_of_a_network_that_looks_at_one_token_change_nothing():
    windows = cut(GRID, (2, 3, 4))
    assert len(windows) > 8
    torch.testing.assert_close(draw(Gaussian(), windows=windows), draw(Gaussian()), rtol=1e-4, atol=1e-4)


def test_steps_are_reported_with_the_estimate():
    seen = []
    layout = layout_of([Segment(GRID, 2.0)])
    denoiser = Denoiser(Spoken(), Words(), Words().prepare(["two", ""]), [Pack.whole(layout)], None, Sampling(steps=3))
    start = Start(torch.randn(200, 8), None, None, layout.frames, layout.frame_segments, torch.zeros(1))
    times = Sampling(steps=3).times()[:, None].expand(-1, 4)
    sample(denoiser, start, times, on_step=lambda *step: seen.append(step))
    assert [step[:2] for step in seen] == [(1, 3), (2, 3), (3, 3)]
    assert all(torch.equal(step[2], torch.full((200, 8), 6.0)) for step in seen)  # guided: 0 + 2 (3 - 0)


def test_estimates_are_corrected_before_they_are_used():
    layout = layout_of([Segment(GRID, 2.0)])
    denoiser = Denoiser(Spoken(), Words(), Words().prepare(["two", ""]), [Pack.whole(layout)], None, Sampling())
    start = Start(torch.randn(200, 8), None, None, layout.frames, layout.frame_segments, torch.zeros(1))
    times = Sampling().times()[:, None].expand(-1, 4)
    x = sample(denoiser, start, times, correct=lambda estimate: torch.full_like(estimate, -1.0))
    torch.testing.assert_close(x, torch.full((200, 8), -1.0))


def test_the_state_is_float32_whatever_the_network_computes_in():
    class Rounded(Gaussian):
        def estimate(self, x, times, context):
            return super().estimate(x, times, context).bfloat16()

    exact, rounded = draw(Gaussian(), steps=100), draw(Rounded(), steps=100)
    assert rounded.dtype is torch.float32
    # Roundings of the estimates do not add up: a state in bfloat16 would lose steps smaller than 2^-8 of itself.
    assert (rounded - exact).abs().max() < 4 * 2**-8 * exact.abs().max()


@pytest.fixture
def model():
    torch.manual_seed(0)
    dit = DiT(DiTConfig(latent_channels=2, width=32, depth=2, heads=2, text_width=8))
    for parameter in dit.parameters():
        nn.init.normal_(parameter, std=0.1)
    return dit, WordEncoder(TextEncoderConfig(("<pad>", "<unknown>", "red", "ball"), width=8))


def test_guidance_in_one_pack_is_guidance_in_two(model):
    dit, encoder = model
    layout = layout_of([Segment(grid, 2.0) for grid in [(2, 2, 3), (1, 2, 2), (2, 2, 3)]])
    noise, prompts = torch.randn(28, 8), ["red ball", "ball", "red"]
    sampling = Sampling(steps=4, guidance=3.0, shift=1.5, solver="euler")
    ours = sample_prompts(dit, encoder, encoder.prepare(prompts), layout, noise, sampling)

    x, nothing = noise, torch.zeros(28, dtype=torch.bool)
    texts = [encoder(encoder.prepare(sentences)) for sentences in (prompts, [""] * 3)]
    for now, after in pairwise(sampling.times()):
        times = layout.condition_times(now.expand(3))
        with_text, without = (dit(x, layout, times, nothing, text) for text in texts)
        x = x + (after - now) * velocity(x, without + 3.0 * (with_text - without), now)
    torch.testing.assert_close(ours, x, atol=1e-4, rtol=1e-4)


def test_one_window_of_all_is_the_plain_sampler_and_a_turned_loop_is_a_turned_clip(model):
    dit, encoder = model
    grid, sampling = (4, 2, 3), Sampling(steps=3)
    noise, prompts = torch.randn(24, 8), encoder.prepare(["red ball", ""])
    layout = layout_of([Segment(grid, 2.0)])

    def made(noise, windows):
        denoiser = Denoiser(dit, encoder, prompts, packs_of([grid], [2.0], [windows], 100), None, sampling)
        start = Start(noise, None, None, layout.frames, layout.frame_segments, torch.zeros(1))
        return sample(denoiser, start, sampling.times()[:, None].expand(-1, 4))

    plain = sample_prompts(dit, encoder, prompts[:1], layout, noise, sampling)
    torch.testing.assert_close(made(noise, cut(grid, (9, 9, 9))), plain, atol=1e-4, rtol=1e-4)
    loop = made(noise, cut(grid, (9, 9, 9), loop=True))
    turned = made(noise.roll(12, 0), cut(grid, (9, 9, 9), loop=True))  # by two latent frames of six tokens
    torch.testing.assert_close(turned, loop.roll(12, 0), atol=1e-4, rtol=1e-4)
    assert (loop - plain).abs().max() > 0.01
