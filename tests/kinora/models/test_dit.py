"""The packed transformer against a plain one, segment by segment."""

import pytest
import torch
import torch.nn.functional as F

from kinora.data.packing import Segment, layout_of
from kinora.models.dit import DiT, DiTConfig
from kinora.models.rotary import apply_rotary
from kinora.models.text_encoder import Text

GRIDS = [(3, 2, 2), (1, 2, 3), (3, 2, 2), (2, 3, 2), (1, 1, 1)]
CONFIG = DiTConfig(latent_channels=4, width=32, depth=2, heads=2, text_width=8)


@pytest.fixture(scope="module")
def dit():
    torch.manual_seed(0)
    model = DiT(CONFIG).eval()
    for parameter in model.parameters():  # the zeroes that it starts with would hide everything
        torch.nn.init.normal_(parameter, std=0.2)
    return model


def laid_out(grids):
    return layout_of([Segment(grid, 2.0) for grid in grids])


def random_text(count, words=5):
    mask = torch.arange(words) < torch.arange(1, count + 1).clamp_max(words)[:, None]
    return Text(torch.randn(count, words, 8), mask, torch.randn(count, 8))


def run(dit, grids, tokens, times, given, text):
    return dit(tokens, laid_out(grids), times, given, text)


def test_packed_segments_come_out_as_each_alone(dit):
    layout = laid_out(GRIDS)
    count = len(layout.segments)
    tokens, given, text = torch.randn(count, 16), torch.rand(count) < 0.3, random_text(5)
    times = torch.rand(len(layout.frame_segments) + 5)
    packed = dit(tokens, layout, times, given, text)
    for segment, grid in enumerate(layout.grids):
        own = layout.segments == segment
        one = slice(segment, segment + 1)
        alone_text = Text(text.words[one], text.mask[one], text.pooled[one])
        rows = torch.cat([layout.frame_segments, torch.arange(5)]) == segment
        alone = run(dit, [grid], tokens[own], times[rows], given[own], alone_text)
        torch.testing.assert_close(packed[own], alone, atol=1e-4, rtol=1e-4)


def test_attention_is_the_formula(dit):
    """softmax(QK^T / sqrt(K)) V with a dense mask that lets tokens see their own segment only."""
    layout = laid_out(GRIDS)
    n, block = len(layout.segments), dit.blocks[0]
    x, given = torch.randn(n, 32), torch.zeros(n, dtype=torch.bool)
    place = dit.context(layout, given, random_text(5)).place
    q, k, v = block.qkv(x).chunk(3, dim=1)
    q, k, v = (a.view(n, 2, 16) for a in (q, k, v))
    q, k = (apply_rotary(F.layer_norm(a, (16,)) * block.qk_norm.weight, place.rotation) for a in (q, k))
    scores = torch.einsum("nhk,mhk->hnm", q, k) / 16**0.5
    scores = scores.masked_fill(layout.segments[:, None] != layout.segments, float("-inf"))
    expected = block.out(torch.einsum("hnm,mhk->nhk", scores.softmax(-1), v).reshape(n, 32))
    torch.testing.assert_close(block.self_attention(x, place), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    "what",
    ["text", "time", "one frame's time", "context's time", "given", "shape", "rate", "place", "start", "fineness"],
)
def test_every_condition_is_heard(dit, what):
    tokens, times, given, text = (
        torch.randn(12, 16),
        torch.tensor([0.5, 0.5, 0.5, 0.0]),
        torch.arange(12) == 11,
        random_text(1),
    )
    layout = laid_out([(3, 2, 2)])
    before = dit(tokens, layout, times, given, text)
    if what == "text":
        text = random_text(1)
    elif what == "time":
        times = times + torch.tensor([0.2, 0.2, 0.2, 0.0])
    elif what == "one frame's time":
        times = times + torch.tensor([0.0, 0.2, 0.0, 0.0])
    elif what == "context's time":
        times = times + torch.tensor([0.0, 0.0, 0.0, 0.2])
    elif what == "given":
        given = torch.arange(12) < 4
    else:
        other = {
            "shape": Segment((3, 4, 1), 2.0),
            "rate": Segment((3, 2, 2), 4.0),
            "place": Segment((3, 2, 2), 2.0, place=(1, 0), frame=(3, 2)),
            "start": Segment((3, 2, 2), 2.0, start=1),
            "fineness": Segment((3, 2, 2), 2.0, place=(1, 1), frame=(4, 4)),
        }
        layout = layout_of([other[what]])
    assert (dit(tokens, layout, times, given, text) - before).abs().max() > 1e-3


def test_a_fresh_model_estimates_nothing():
    out = run(
        DiT(CONFIG), [(1, 2, 2)], torch.randn(4, 16), torch.ones(2), torch.zeros(4, dtype=torch.bool), random_text(1)
    )
    assert out.abs().max() == 0


def test_it_computes_in_the_type_of_its_weights(dit):
    out = run(DiT(CONFIG).bfloat16(), [(1, 2, 2)], torch.randn(4, 16), torch.ones(2), torch.zeros(4, dtype=torch.bool),
              Text(*(x.bfloat16() if x.is_floating_point() else x for x in vars(random_text(1)).values())))  # fmt: skip
    assert out.dtype is torch.bfloat16


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_gives_what_the_cpu_gives(dit):
    layout = laid_out(GRIDS)
    n = len(layout.segments)
    tokens, given, text = torch.randn(n, 16), torch.rand(n) < 0.3, random_text(5)
    times = torch.rand(len(layout.frame_segments) + 5)
    here = dit(tokens, layout, times, given, text)
    on_gpu = DiT(CONFIG).cuda()
    on_gpu.load_state_dict(dit.state_dict())
    there = on_gpu(
        tokens.cuda(), layout.to("cuda"), times.cuda(), given.cuda(), Text(*(x.cuda() for x in vars(text).values()))
    )
    torch.testing.assert_close(there.cpu(), here, atol=1e-3, rtol=1e-3)
