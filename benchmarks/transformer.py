"""How quickly a recipe's transformer trains, what sharding costs, and what packing without padding saves.

    python -m benchmarks.transformer [--recipe tiny]

Tokens are random latents of the recipe's sizes and lengths: speed does not depend on what they show.
"""

import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from unittest.mock import patch

import torch
import torch.nn.functional as F
import tyro
from torch import Tensor

from kinora import recipes
from kinora.data.latents import LatentDataset
from kinora.data.packing import Layout
from kinora.models.attention import VarlenMetadata, varlen_attention
from kinora.models.precision import compute_dtype
from kinora.recipes.recipe import Recipe
from kinora.training.batches import Batches
from kinora.training.compute import Compute
from kinora.training.transformer import (
    TrainingStep,
    TransformerTraining,
    resolve,
    train_transformer,
)

CLIPS, STEPS = 120, 40


def write_latents(recipe: Recipe, out: Path) -> None:
    """Write random latents of every size and length of the recipe's worlds, images among them."""
    worlds, shape = recipe.ingest.worlds, recipe.autoencoder.model
    generator = torch.Generator().manual_seed(0)
    clips = []
    for number in range(CLIPS):
        width, height = worlds.sizes[number % len(worlds.sizes)]
        frames = (*worlds.frames, 1)[number // len(worlds.sizes) % (len(worlds.frames) + 1)]
        row = {
            "clip_id": f"{number:064x}", "split": "train", "kind": "video" if frames > 1 else "image",
            "caption": "A red circle moves slowly to the right on a grey background.", "short_caption": "",
            "width": width, "height": height, "frames": frames, "fps": worlds.fps,
        }  # fmt: skip
        latent = torch.randn(shape.latent_channels, *shape.latent_shape(frames, height, width), generator=generator)
        clips.append((row, latent))
    LatentDataset.write(out, clips, {"temporal": shape.temporal, "spatial": shape.spatial})


def plain_rate(latents: Path, config: TransformerTraining) -> float:
    """Return tokens a second of one process that computes gradients only: no optimizer, no sharding, no EMA."""
    dataset = LatentDataset.open(latents)
    config = resolve(config, dataset)
    step = TrainingStep(config.model, config.text).to(compute_dtype())
    batches = Batches(dataset, config)
    for number in range(3):
        step(batches.packs(number)[0])[0].backward()
    tokens, began = 0, time.monotonic()
    for number in range(STEPS):
        batch = batches.packs(number)[0]
        step(batch)[0].backward()
        tokens += len(batch.clean)
    return tokens / (time.monotonic() - began)


def trained_rate(latents: Path, config: TransformerTraining, folder: Path, compute: Compute | None = None) -> float:
    """Return tokens a second of the real training, start-up left out."""
    short = replace(config, steps=2 * STEPS, save_every=10**6, validate_every=10**6)
    train_transformer(LatentDataset.open(latents), folder / "out", short, compute=compute)
    rows = [json.loads(line) for line in (folder / "out" / "training.jsonl").read_text().splitlines()]
    first, last = rows[0], rows[-1]
    return (last["tokens"] - first["tokens"]) / (last["seconds"] - first["seconds"])


def attention_rates(latents: Path, config: TransformerTraining) -> dict[str, float]:
    """Return tokens a second, forward and backward, of attention by groups and with one dense mask.

    Where this machine multiplies bfloat16, also by groups in it, with each of the two ways back.
    """
    dataset = LatentDataset.open(latents)
    config = resolve(config, dataset)
    layout = Batches(dataset, config).packs(0)[0].layout
    heads = config.model.heads
    q, k, v = (torch.randn(len(layout.segments), heads, config.model.width // heads) for _ in range(3))
    metadata = VarlenMetadata(layout.cu_seq, layout.cu_seq, layout.longest, layout.longest)

    def grouped(dtype: torch.dtype = torch.float32) -> Tensor:
        return varlen_attention(*(side.to(dtype).requires_grad_() for side in (q, k, v)), metadata)

    def dense() -> Tensor:
        mask = layout.segments[:, None] == layout.segments
        sides = [side.requires_grad_().transpose(0, 1)[None] for side in (q, k, v)]
        return F.scaled_dot_product_attention(*sides, attn_mask=mask)

    ways = {"by groups": grouped, "dense mask": dense}
    if compute_dtype() is torch.bfloat16:
        ways["by groups, bfloat16"] = partial(grouped, torch.bfloat16)
    rates = {name: _rate(run, layout) for name, run in ways.items()}
    if compute_dtype() is torch.bfloat16:
        with patch("kinora.models.attention.SCORES", 0):
            rates["by groups, bfloat16, backward by flash attention"] = _rate(ways["by groups, bfloat16"], layout)
    return rates


def _rate(run: Callable[[], Tensor], layout: Layout) -> float:
    run().sum().backward()
    began = time.monotonic()
    for _ in range(STEPS):
        run().sum().backward()
    return STEPS * len(layout.segments) / (time.monotonic() - began)


def measure(recipe: str = "tiny") -> str:
    """Return the benchmark as a section of Markdown."""
    chosen = recipes.get(recipe)
    config, compute = chosen.transformer, chosen.compute
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        latents = Path(folder) / "latents"
        write_latents(chosen, latents)
        alone = replace(config, tokens_per_step=config.tokens_per_pack)
        table = [
            ("gradients only, one process", plain_rate(latents, alone)),
            ("training, one process", trained_rate(latents, alone, Path(folder) / "one")),
            (f"training, {compute.processes} processes", trained_rate(latents, config, Path(folder) / "all", compute)),
        ]
        table += [(f"attention alone, {name}", rate) for name, rate in attention_rates(latents, config).items()]
    lines = [f"| {name} | {rate:,.0f} |" for name, rate in table]
    return "\n".join(
        [
            f"## Transformer, recipe `{recipe}`",
            "",
            f"ZeRO stage {compute.zero_stage}, {config.tokens_per_step} tokens a step, one thread a process.",
            "",
            "| What | Tokens a second |",
            "| --- | ---: |",
            *lines,
            "",
        ]
    )


if __name__ == "__main__":
    print(tyro.cli(measure))
