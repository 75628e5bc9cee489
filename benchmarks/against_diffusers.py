"""How quickly our transformer trains beside diffusers' Wan transformer of equal width, depth and size.

    python -m benchmarks.against_diffusers

Both compute on the same device, in the same type, on as many threads, from text of the same length; both attend to it
in every block. Wan's feed-forward layers are made as wide as it takes for equal parameters. A step is forward, mean
squared error and backward; there is no optimizer, which would be the same. The two take turns, so that what else the
machine does meets both alike.

The mix is a set of clips in five aspect ratios and every length from 1 to 65 frames, a quarter of them images. Wan
takes it in buckets, as is usual: a batch holds clips of one shape, as many as fit into the budget of tokens, and what
is left of a bucket at the end of the set is a smaller batch. Ours packs the same clips up to the same budget.
"""

import random
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
import tyro
from torch import Tensor, nn

from kinora.data.packing import layout_of, pack, patch_grid
from kinora.models.dit import DiT, DiTConfig
from kinora.models.precision import compute_dtype, device
from kinora.models.text_encoder import Text

CHANNELS, PATCH, RATE = 16, 2, 2.0
WORDS, TEXT_WIDTH = 32, 512
SIDES = ((16, 16), (14, 18), (18, 14), (12, 22), (22, 12))  # latent pixels: 1:1, 4:3, 3:4, 16:9 and 9:16
LATENT_FRAMES = range(1, 18)  # of 1 to 65 frames, compressed 4 times
IMAGES = 0.25  # share of the clips
CLIPS, BATCHES_A_ROUND = 1000, 4

Shape = tuple[int, int, int]  # latent frames, rows, columns
Step = tuple[int, Callable[[], Tensor]]  # tokens, and what returns the loss on them
UNIFORM: Shape = (9, *SIDES[0])


def transformers(width: int, depth: int) -> tuple[DiT, nn.Module]:
    """Return ours and diffusers' with random weights, as many within 1 %."""
    from diffusers import WanTransformer3DModel

    def wan(hidden: int) -> nn.Module:
        model: nn.Module = WanTransformer3DModel(
            (1, PATCH, PATCH), width // 64, 64, CHANNELS, CHANNELS, TEXT_WIDTH, 256, hidden, depth
        )
        return model

    config = DiTConfig(CHANNELS, PATCH, width, depth, width // 64, 4, tuple(range(depth)), TEXT_WIDTH)
    ours = DiT(config)
    with torch.device("meta"):
        base, per_unit = parameters(wan(64)), (parameters(wan(128)) - parameters(wan(64))) / 64
    theirs = wan(64 + round((parameters(ours) - base) / per_unit / 8) * 8)
    place: dict[str, Any] = {"device": device(), "dtype": compute_dtype()}
    return ours.to(**place), theirs.to(**place)


def parameters(model: nn.Module) -> int:
    """Return how many weights a model has."""
    return sum(parameter.numel() for parameter in model.parameters())


def tokens(shape: Shape) -> int:
    """Return how many tokens a latent of this shape makes."""
    return shape[0] * shape[1] * shape[2] // PATCH**2


def our_step(model: DiT, shapes: Sequence[Shape]) -> Step:
    """Return a step of ours on clips of any shapes, packed."""
    latents = [torch.randn(CHANNELS, *shape) for shape in shapes]
    layout = layout_of([patch_grid(latent.shape, PATCH) for latent in latents], [RATE] * len(shapes))
    clean, layout = pack(latents, layout, PATCH).to(device(), compute_dtype()), layout.to(device())
    times = torch.rand(len(shapes), device=device())
    free = torch.zeros(len(clean), dtype=torch.bool, device=device())
    words = torch.randn(len(shapes), WORDS, TEXT_WIDTH, device=device(), dtype=compute_dtype())
    text = Text(words, torch.ones(words.shape[:2], dtype=torch.bool, device=device()), words.mean(1))
    return len(clean), lambda: F.mse_loss(model(clean, layout, times, free, text).float(), clean.float())


def wan_step(model: nn.Module, shapes: Sequence[Shape]) -> Step:
    """Return a step of Wan on clips of one shape."""
    (shape,) = set(shapes)
    clean = torch.randn(len(shapes), CHANNELS, *shape, device=device(), dtype=compute_dtype())
    times = torch.randint(1000, (len(shapes),), device=device())
    words = torch.randn(len(shapes), WORDS, TEXT_WIDTH, device=device(), dtype=compute_dtype())
    count = len(shapes) * tokens(shape)
    return count, lambda: F.mse_loss(model(clean, times, words, return_dict=False)[0].float(), clean.float())


def drawn_mix(seed: int = 0) -> list[Shape]:
    """Return the shapes of the mix's clips, in an order drawn at random."""
    draw = random.Random(seed)
    frames = [1 if draw.random() < IMAGES else draw.choice(LATENT_FRAMES[1:]) for _ in range(CLIPS)]
    return [(t, *draw.choice(SIDES)) for t in frames]


def packs(clips: Sequence[Shape], budget: int) -> list[list[Shape]]:
    """Return packs of at most `budget` tokens: first fit, the longest clips first."""
    found: list[list[Shape]] = []
    for clip in sorted(clips, key=tokens, reverse=True):
        fits = (one for one in found if sum(map(tokens, one)) + tokens(clip) <= budget)
        one = next(fits, None)
        if one is None:
            found.append(one := [])
        one.append(clip)
    return found


def buckets(clips: Sequence[Shape], budget: int) -> Iterator[list[Shape]]:
    """Yield batches of clips of one shape, of at most `budget` tokens, when they are full; at the end what is left."""
    opened: dict[Shape, list[Shape]] = defaultdict(list)
    for clip in clips:
        opened[clip].append(clip)
        if (len(opened[clip]) + 1) * tokens(clip) > budget:
            yield opened.pop(clip)
    yield from opened.values()


def seconds(model: nn.Module, steps: Sequence[Step]) -> float:
    """Return how long a model takes for some steps: on a CPU the processor's time, so that others' work counts less."""
    began = now()
    for _, loss in steps:
        loss().backward()
        model.zero_grad()
    return now() - began


def now() -> float:
    """Return the time in seconds, when the device has done what it was given."""
    if device().type == "cpu":
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


def compared(
    ours: DiT, wan: nn.Module, rounds: Sequence[tuple[Sequence[list[Shape]], Sequence[list[Shape]]]]
) -> list[float]:
    """Return the medians of tokens a second of ours and of Wan, and of their ratios, over rounds of batches of each.

    Both have the same clips in a round. The first round warms up and does not count.
    """
    rows = []
    for our_batches, wan_batches in rounds:
        own, other = [our_step(ours, b) for b in our_batches], [wan_step(wan, b) for b in wan_batches]
        count = sum(n for n, _ in own)
        assert count == sum(n for n, _ in other)
        rates = count / seconds(ours, own), count / seconds(wan, other)
        rows.append((*rates, rates[0] / rates[1]))
    return [statistics.median(column) for column in zip(*rows[1:], strict=True)]


def mixed_rounds(budget: int, rounds: int) -> Iterator[tuple[list[list[Shape]], list[list[Shape]]]]:
    """Yield ours' packs and Wan's batches of the same clips, a few at a time, drawn from all of Wan's batches."""
    batches = list(buckets(drawn_mix(), budget))
    random.Random(0).shuffle(batches)  # a full bucket and one that was left over are met as often as they are
    for number in range(rounds):
        some = batches[number * BATCHES_A_ROUND :][:BATCHES_A_ROUND]
        yield packs([clip for batch in some for clip in batch], budget), some


def measure(width: int = 384, depth: int = 4, budget: int = 2048, rounds: int = 5) -> str:
    """Return the benchmark as a section of Markdown; a batch or a pack holds at most `budget` tokens."""
    from diffusers.utils import logging

    logging.set_verbosity_error()  # it would rather keep some of the weights in float32
    torch.set_num_threads(1)
    torch.manual_seed(0)
    ours, wan = transformers(width, depth)
    batch: list[Shape] = [UNIFORM] * max(1, budget // tokens(UNIFORM))
    rows = [
        ("one shape", compared(ours, wan, [([batch], [batch])] * (rounds + 1))),
        ("the mix", compared(ours, wan, list(mixed_rounds(budget, rounds + 1)))),
    ]
    lines = [f"| {name} | {own:,.0f} | {other:,.0f} | {ratio:.2f} |" for name, (own, other, ratio) in rows]
    kind = str(compute_dtype()).removeprefix("torch.")
    return "\n".join(
        [
            "## Training beside diffusers' Wan transformer",
            "",
            f"Width {width}, depth {depth}; {parameters(ours) / 1e6:.2f} million parameters, Wan's "
            f"{parameters(wan) / 1e6:.2f} million; {kind}, {device().type}, one thread. Forward and backward, medians "
            f"of {rounds} rounds in which both take the same clips in turn. One shape: 33 frames of 128x128 pixels at "
            f"8x8x4 compression. The mix: {CLIPS} clips of five aspect ratios and 1 to 65 frames, a quarter of them "
            f"images; Wan takes buckets of equal shape, ours packs, of at most {budget} tokens both.",
            "",
            "| Clips | Ours, tokens/s | Wan, tokens/s | Ratio |",
            "| --- | ---: | ---: | ---: |",
            *lines,
            "",
        ]
    )


if __name__ == "__main__":
    print(tyro.cli(measure))
