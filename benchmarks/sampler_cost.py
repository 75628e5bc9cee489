"""What sampling costs beside the network: solver, guidance, schedule and windows, as a share of the network's time.

python -m benchmarks.sampler_cost
"""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
import tyro

from kinora.diffusion.sampler import Sampling
from kinora.generation.denoising import Sketch, sample_latents
from kinora.models.dit import DiTConfig
from kinora.models.precision import compute_dtype, device
from kinora.models.text_encoder import SPECIAL, TextEncoderConfig
from kinora.models.world_model import WorldModel

CLIPS = {  # latent frames, rows and columns; whether it is a loop
    "one clip": [((9, 16, 16), False)],
    "three clips of different sizes": [((9, 16, 16), False), ((5, 8, 24), False), ((1, 32, 32), False)],
    "a loop in windows": [((16, 16, 16), True)],
    "a large clip in windows": [((5, 48, 48), False)],
}  # fmt: skip
WINDOW = (9, 8, 8)


def measure(width: int = 384, depth: int = 8, steps: int = 6) -> str:
    """Return the shares as Markdown."""
    torch.manual_seed(0)
    text = TextEncoderConfig((*SPECIAL, "word"), width=128)
    dit = DiTConfig(latent_channels=8, width=width, depth=depth, heads=width // 64)
    model = WorldModel(dit, text).to(device(), compute_dtype()).eval().requires_grad_(False)
    lines = [
        "## Sampler\n",
        f"The sampler's own time beside the network's ({depth} blocks of {width}, {steps} steps, guidance 2): least of "
        "three.\n",
        "| | share |",
        "|---|---:|",
    ]
    for name, shapes in CLIPS.items():
        sketches = [sketch(dit, shape, loop) for shape, loop in shapes]
        lines.append(f"| {name} | {min(share(model, sketches, steps) for _ in range(3)):.1%} |")
    return "\n".join(lines) + "\n"


def sketch(dit: DiTConfig, shape: tuple[int, int, int], loop: bool) -> Sketch:
    """Return what a clip of so many latent frames, rows and columns is sampled from, its first frame given."""
    latent = torch.randn(dit.latent_channels, *shape)
    t, rows, columns = shape
    given = torch.zeros(t, rows // dit.patch_size, columns // dit.patch_size, dtype=torch.bool)
    one = Sketch("word word", "", 2.0, latent, latent, given, loop=loop)
    return one if loop or t == 1 else replace(one, given=given.index_fill(0, torch.tensor(0), True))


def share(model: WorldModel, sketches: list[Sketch], steps: int) -> float:
    """Return the time that sampling takes outside of the network, divided by the time in it."""
    inside = 0.0

    def timed(call: Callable[..., Any]) -> Callable[..., Any]:
        def measured(*arguments: Any) -> Any:
            nonlocal inside
            began = now()
            answer = call(*arguments)
            inside += now() - began
            return answer

        return measured

    parts = {"estimate": model.dit.estimate, "context": model.dit.context}
    try:
        for name, call in parts.items():
            setattr(model.dit, name, timed(call))
        began = now()
        sample_latents(model, sketches, Sampling(steps=steps, guidance=2.0), WINDOW, device())
        total = now() - began
    finally:
        for name in parts:
            delattr(model.dit, name)
    return (total - inside) / inside


def now() -> float:
    """Return the time when all that was begun is done."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


if __name__ == "__main__":
    print(tyro.cli(measure))
