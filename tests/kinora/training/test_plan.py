"""The plan against formulas, against what autograd really keeps, and against what real sharded processes hold."""

import gc
import os
import socket
from dataclasses import replace
from functools import partial

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from kinora import recipes
from kinora.data.packing import Segment, layout_of
from kinora.errors import KinoraError, UsageError
from kinora.models.dit import DiTConfig
from kinora.models.text_encoder import SPECIAL, TextEncoderConfig
from kinora.training.batches import Batch
from kinora.training.compute import Compute
from kinora.training.footprint import footprint
from kinora.training.hardware import HARDWARE, Hardware, hardware
from kinora.training.plan import BUCKET, Plan, count, longest_clip, on, plan
from kinora.training.transformer import TrainingStep, TransformerTraining
from kinora.training.transformer_trainer import HIDDEN, build

GRIDS = ((3, 4, 4),) * 4 + ((2, 6, 4), (1, 6, 4))
TEXT = TextEncoderConfig((*SPECIAL, "one"), width=32, heads=2)
MODELS = [
    DiTConfig(width=64, depth=3, heads=4, text_width=32),
    DiTConfig(width=96, depth=2, heads=2, cross_attention_blocks=(0, 1), latent_channels=16, text_width=32),
    DiTConfig(width=128, depth=6, heads=4, cross_attention_blocks=(), mlp_ratio=3, text_width=32),
]


@pytest.mark.parametrize("model", MODELS)
def test_activations_are_those_that_autograd_keeps(model):
    """Of the whole training step, with its text encoder and its noise, on real tensors."""
    config = TransformerTraining(model=model, text=TEXT)
    step, layout, kept = TrainingStep(model, TEXT), layout_of([Segment(grid, 4.0) for grid in GRIDS]), {}
    weights = {parameter.untyped_storage().data_ptr() for parameter in step.parameters()}
    n = len(layout.segments)
    clean, noise = torch.randn(n, model.token_dim), torch.randn(n, model.token_dim)
    text = step.text_encoder.prepare(["one two three"] * len(GRIDS))
    batch = Batch(
        clean,
        layout,
        torch.zeros(n, dtype=torch.bool),
        layout.condition_times(torch.rand(len(GRIDS))),
        noise,
        text,
        tokens=n,
        free=n,
    )

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        step(batch)
    measured = sum(t.untyped_storage().nbytes() for address, t in kept.items() if address not in weights)
    traced = footprint(model, TEXT, GRIDS, torch.float32)
    assert traced.activations(config.model, 4, checkpointed=False) == pytest.approx(measured, rel=0.1)


def test_fake_tensors_keep_what_real_ones_keep():
    for dtype in (torch.float32, torch.bfloat16):
        traced, real = (footprint(MODELS[0], TEXT, GRIDS, dtype, fake=fake) for fake in (True, False))
        assert traced == real


def test_operations_are_those_of_the_formula():
    """Six for each weight of a layer that every token goes through, and attention (PaLM, 2204.02311, appendix B)."""
    model, length = replace(MODELS[1], width=256), 17 * 8 * 8
    traced = footprint(model, TEXT, ((17, 8, 8),) * 2, torch.bfloat16)
    w = model.width
    layers = 4 * w * w + 2 * model.mlp_ratio * w * w + 2 * w * w  # self-attention, MLP, cross-attention
    weights = model.depth * layers + 2 * w * model.token_dim
    expected = 6 * weights + 12 * model.depth * w * (length + TEXT.max_words)
    assert 3 * traced.flops / traced.tokens == pytest.approx(expected, rel=0.02)


def test_the_count_is_that_of_the_model():
    config = TransformerTraining(model=MODELS[0], text=TEXT)
    counts = count(config)
    assert counts.total == sum(p.numel() for p in TrainingStep(config.model, config.text).parameters())
    assert sum(counts.parts.values()) == counts.total


def base(gpu: Hardware, gpus: int = 8, settings: str = "", **options: float) -> Plan:
    recipe = recipes.get("base", settings)
    clip = longest_clip(recipe.ingest, recipe.grid)
    return plan(recipe.name, recipe.transformer, on(recipe.compute, gpus), clip, gpu, **options)


def planned(gpu: str = "h100", **changes: object) -> Plan:
    made = base(hardware(gpu))
    return replace(made, compute=replace(made.compute, **changes))


def test_the_base_recipe_is_about_half_a_billion_and_fits_one_node_of_large_gpus():
    made = planned("h200")
    assert 4.5e8 < made.counts.total < 6e8
    made.check()


def test_sharding_and_checkpointing_save_what_they_should():
    first, second = planned(), planned(zero_stage=2)
    # A share of the float32 sums, and no longer the gradients in bfloat16 beside them.
    assert second.memory["gradients"] == pytest.approx(first.memory["gradients"] * 4 / 6 / 8)
    third = planned(zero_stage=3, compile=False)
    assert third.memory["weights"] == first.memory["weights"] / 8
    checkpointed = planned(activation_checkpointing=True)
    assert checkpointed.memory["activations"] < first.memory["activations"] / 5
    assert checkpointed.hours == pytest.approx(first.hours * 4 / 3)
    shared = planned(sequence_parallel=4)
    assert shared.memory["activations"] == pytest.approx(first.memory["activations"] / 4)
    assert shared.hours == pytest.approx(first.hours)


def test_time_and_cost_follow_from_operations_and_the_peak():
    made = base(hardware("h200"), 64, mfu=0.5, hourly_price=3.0)
    assert made.tokens_per_s * made.flops_per_token == pytest.approx(64 * 0.5 * 989e12)
    assert made.hours == pytest.approx(made.tokens / made.tokens_per_s / 3600)
    assert made.cost == pytest.approx(made.hours * 64 * 3)
    idle = base(hardware("h200"), 128, mfu=0.5)  # two GPUs for every pack
    assert idle.hours == pytest.approx(made.hours)


def test_what_does_not_fit_is_refused_with_what_would():
    made = planned("l40s")
    with pytest.raises(KinoraError, match=r"^base needs [\d.]+ GB of each NVIDIA L40S, which has 43\.6 GB for it; it "):
        made.check()
    remedies = list(made.remedies())
    assert "compute.activation_checkpointing=true" in remedies
    assert any(remedy.startswith("transformer.tokens_per_pack=") for remedy in remedies)
    for remedy in remedies:
        if not remedy.startswith("--"):
            base(hardware("l40s"), 8, remedy).check()


def test_what_nothing_helps_says_so():
    tiny = Hardware("a toy", 3e9, 1e12, 1e9)
    with pytest.raises(KinoraError, match="take a larger GPU or a smaller model"):
        base(tiny).check()


@pytest.mark.parametrize(
    ("settings", "gpus", "mfu", "sentence"),
    [
        ("", 12, 0.4, "12 GPUs make no whole nodes"),
        ("", 8, 1.5, "--mfu is 1.5"),
        ("ingest.max_frames=137", 8, 0.4, "the longest clip of base has 35,840 tokens and a pack 34,816"),
        ("compute.sequence_parallel=4", 6, 0.4, "sequence_parallel is 4"),
    ],
)
def test_numbers_that_cannot_be_are_refused(settings, gpus, mfu, sentence):
    with pytest.raises(UsageError, match=sentence):
        base(hardware("h200"), gpus, settings, mfu=mfu)


def test_unknown_hardware_is_refused():
    with pytest.raises(UsageError, match="no figures for the GPU 'h9000'; give one of a100-40"):
        hardware("h9000")
    for one in HARDWARE.values():
        assert 1e9 < one.memory < 1e12
        assert 1e11 <= one.peak < 1e16


# Real processes: what they hold after a backward pass, when gradients are there and activations are gone.
SHARDED = TransformerTraining(model=DiTConfig(width=256, depth=2, heads=4, text_width=32), text=TEXT)


@pytest.mark.parametrize(("world", "stage"), [(1, 1), (2, 2)])
def test_memory_of_the_state_is_what_real_processes_hold(world, stage):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    compute = Compute(processes=world, zero_stage=stage)
    mp.spawn(_hold, (compute, port), nprocs=world)


def _hold(rank: int, compute: Compute, port: int) -> None:
    names = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": compute.world_size, "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in names.items()})
    os.environ.update({"MASTER_ADDR": "127.0.0.1", "DS_ACCELERATOR": "cpu"})
    torch.set_num_threads(1)
    from kinora.training import muon, sharded_optimizer, sharding

    for module in (muon, sharded_optimizer, sharding):  # as on a GPU
        module.compute_dtype = lambda: torch.bfloat16
    sharded = sharding.Sharded(partial(build, SHARDED, compute), HIDDEN, SHARDED, compute, 0.99)
    layout = layout_of([Segment((2, 4, 4), 4.0)])
    clean, text = (
        torch.randn(32, SHARDED.model.token_dim),
        TrainingStep(SHARDED.model, TEXT).text_encoder.prepare(["a"]),
    )
    batch = Batch(clean, layout, torch.zeros(32, dtype=torch.bool), torch.rand(3), clean, text, tokens=32, free=32)
    sharded.engine.set_gradient_accumulation_boundary(True)
    sharded.engine.backward(sharded.engine(batch, None)[0] / 32)
    gc.collect()
    storages = {}
    for thing in gc.get_objects():
        if isinstance(thing, torch.Tensor) and not thing.is_meta:
            storages[thing.untyped_storage()._cdata] = thing.untyped_storage().nbytes()
    held = sum(size for size in storages.values() if size != 4 * BUCKET)  # which has its own row in the plan
    counts = count(SHARDED)
    traced = footprint(SHARDED.model, SHARDED.text, ((2, 4, 4),), torch.bfloat16)
    made = Plan("", SHARDED, compute, HARDWARE["h100"], counts, (2, 4, 4), traced, 0.4, None)
    state = ("weights", "gradients", "float32 masters", "optimizer states", "moving average (EMA)")
    expected = sum(made.memory[name] for name in state)
    assert held == pytest.approx(expected, rel=0.1), f"{held:,} bytes are held, and {expected:,.0f} were expected"
    dist.destroy_process_group()
