"""Compiled and checkpointed blocks compute what plain ones do, and packs of other layouts need no new compilation."""

import shutil
from dataclasses import replace

import pytest
import torch
from torch._dynamo.testing import CompileCounterWithBackend

from kinora.data.packing import Segment, layout_of
from kinora.models.dit import DiT, DiTConfig
from kinora.models.text_encoder import Text

CONFIG = DiTConfig(latent_channels=4, width=32, depth=3, heads=2, text_width=8, cross_attention_blocks=(1, 2))


def build(**changes):
    torch.manual_seed(0)
    model = DiT(replace(CONFIG, **changes))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return model


def step(model, seed):
    """One step on a pack of random layout; returns the loss and all gradients."""
    generator = torch.Generator().manual_seed(seed)
    clips = int(torch.randint(2, 7, (1,), generator=generator))
    grids = [tuple(torch.randint(1, 5, (3,), generator=generator).tolist()) for _ in range(clips)]
    layout = layout_of([Segment(grid, 2.0) for grid in grids])
    count, words = len(layout.segments), 2 + seed % 5
    mask = torch.arange(words) < torch.randint(1, words + 1, (clips, 1), generator=generator)
    text = Text(torch.randn(clips, words, 8, generator=generator), mask, torch.randn(clips, 8, generator=generator))
    tokens, times = (
        torch.randn(count, 16, generator=generator),
        layout.condition_times(torch.rand(clips, generator=generator)),
    )
    loss = model(tokens, layout, times, torch.rand(count, generator=generator) < 0.3, text).square().mean()
    return loss.detach(), torch.autograd.grad(loss, list(model.parameters()))


@pytest.fixture(autouse=True)
def _fresh():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def test_twenty_layouts_are_compiled_a_few_times_without_a_graph_break(monkeypatch):
    counter = CompileCounterWithBackend("aot_eager")
    monkeypatch.setattr(torch.nn.Module, "compile", with_backend(counter))
    plain, compiled = build(), build()
    compiled.compile_blocks()  # with fullgraph=True a graph break is an error
    for seed in range(20):
        torch.testing.assert_close(step(compiled, seed), step(plain, seed), atol=1e-4, rtol=1e-4)
    assert counter.frame_count <= 4  # blocks with words and without, at most once more each


def with_backend(backend):
    original = torch.nn.Module.compile
    return lambda module, **options: original(module, backend=backend, **options)


@pytest.mark.skipif(shutil.which("g++") is None, reason="inductor needs a C++ compiler")
def test_inductor_compiles_a_block():
    plain, compiled = (build(depth=1, cross_attention_blocks=(0,)) for _ in range(2))
    compiled.compile_blocks()
    torch.testing.assert_close(step(compiled, 0), step(plain, 0), atol=1e-4, rtol=1e-4)


def test_checkpointed_blocks_have_the_same_gradients_and_keep_less():
    plain, checkpointed = build(), build()
    checkpointed.checkpoint_blocks()
    kept = {}
    for name, model in (("plain", plain), ("checkpointed", checkpointed)):
        sizes = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t, s=sizes: s.append(t.numel()) or t, lambda t: t):
            result = step(model, 3)
        kept[name] = (sum(sizes), result)
    torch.testing.assert_close(kept["checkpointed"][1], kept["plain"][1])
    assert kept["checkpointed"][0] < kept["plain"][0] / 3
