"""How quickly our transformer trains beside diffusers' Wan transformer of equal width, depth and size.

    python -m benchmarks.against_diffusers

Both compute on the same device, in the same type, on as many threads, from text of the same length; both attend to it
in every block. Wan's feed-forward layers are made as wide as it takes for equal parameters. A step is forward, mean
squared error and backward; there is no optimizer, which would be the same. The two take turns, so that what else the
machine does meets both alike.

The mix is a set of clips in five aspect ratios and every length from 1 to 65 frames, a quarter of them images. Wan
takes it in buckets, as is usual: a batch holds clips of one shape, as many as fit into the budget of tokens, and what
is left of a bucket at the end of the set is a smaller batch. Ours packs the same clips up to the same budget, as in
training. Processes that train together wait for the slowest of them at every step; what that costs is computed from
the times that were measured.
"""

import random
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count
from typing import Any

import torch
import torch.nn.functional as F
import tyro
from torch import Tensor, nn

from kinora.data.packing import Segment, layout_of, pack, patch_grid
from kinora.data.planner import Planner
from kinora.models.dit import DiT, DiTConfig
from kinora.models.precision import compute_dtype, device
from kinora.models.text_encoder import Text

CHANNELS, PATCH, RATE = 16, 2, 2.0
WORDS, TEXT_WIDTH = 32, 512
SIDES = ((16, 16), (14, 18), (18, 14), (12, 22), (22, 12))  # latent pixels: 1:1, 4:3, 3:4, 16:9 and 9:16
LATENT_FRAMES = range(1, 18)  # of 1 to 65 frames, compressed 4 times
IMAGES = 0.25  # share of the clips
CLIPS, RANKS = 1000, 8

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
    layout = layout_of([Segment(patch_grid(latent.shape, PATCH), RATE) for latent in latents])
    clean, layout = pack(latents, layout, PATCH).to(device(), compute_dtype()), layout.to(device())
    times = layout.condition_times(torch.rand(len(shapes), device=device()))
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
    number = len(shapes) * tokens(shape)
    return number, lambda: F.mse_loss(model(clean, times, words, return_dict=False)[0].float(), clean.float())


def drawn_mix(seed: int = 0) -> list[Shape]:
    """Return the shapes of the mix's clips, in an order drawn at random."""
    draw = random.Random(seed)
    frames = [1 if draw.random() < IMAGES else draw.choice(LATENT_FRAMES[1:]) for _ in range(CLIPS)]
    return [(t, *draw.choice(SIDES)) for t in frames]


def buckets(clips: Sequence[Shape], budget: int) -> Iterator[list[Shape]]:
    """Yield batches of clips of one shape, of at most `budget` tokens, when they are full; at the end what is left."""
    opened: dict[Shape, list[Shape]] = defaultdict(list)
    for clip in clips:
        opened[clip].append(clip)
        if (len(opened[clip]) + 1) * tokens(clip) > budget:
            yield opened.pop(clip)
    yield from opened.values()


def packs(clips: Sequence[Shape], budget: int, width: int) -> Iterator[list[list[Shape]]]:
    """Yield the packs of one step after another, as `kinora.data.planner` deals the clips to `RANKS` processes."""
    images = sum(tokens(clip) for clip in clips if clip[0] == 1)
    planner = Planner(
        [(t, rows // PATCH, columns // PATCH) for t, rows, columns in clips],
        tokens_per_pack=budget,
        packs_per_step=RANKS,
        image_share=images / sum(map(tokens, clips)),
        attention_length=6 * width,
    )
    for step in count():
        yield [
            [(1, *clips[i][1:]) if still else clips[i] for i, still in zip(pack.clips, pack.stills, strict=True)]
            for pack in planner.packs(step)
        ]


def seconds(model: nn.Module, loss: Callable[[], Tensor]) -> float:
    """Return how long a model takes for a step: on a CPU the processor's time, so that others' work counts less."""
    began = now()
    loss().backward()
    model.zero_grad()
    return now() - began


def now() -> float:
    """Return the time in seconds, when the device has done what it was given."""
    if device().type == "cpu":
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


def rates(model: nn.Module, steps: Sequence[Step]) -> tuple[float, float]:
    """Return tokens a second of a process that takes one step after another, and of each of as many processes that take
    one step each and wait for the slowest."""
    times = [seconds(model, loss) for _, loss in steps]
    done = sum(number for number, _ in steps)
    return done / sum(times), done / (len(steps) * max(times))


def compared(pairs: Iterable[tuple[tuple[float, float], tuple[float, float]]]) -> list[list[float]]:
    """Return, for one process and for several, the medians over rounds of ours, of Wan's and of their ratio."""
    rounds = list(pairs)
    found = []
    for i in (0, 1):
        rows = [(own[i], other[i], own[i] / other[i]) for own, other in rounds]
        found.append([statistics.median(column) for column in zip(*rows, strict=True)])
    return found


def measure(width: int = 384, depth: int = 4, budget: int = 2048, rounds: int = 3) -> str:
    """Return the benchmark as a section of Markdown; a batch or a pack holds at most `budget` tokens."""
    from diffusers.utils import logging

    logging.set_verbosity_error()  # it would rather keep some of the weights in float32
    torch.set_num_threads(1)
    torch.manual_seed(0)
    ours, wan = transformers(width, depth)
    batch: list[Shape] = [UNIFORM] * max(1, budget // tokens(UNIFORM))
    clips = drawn_mix()
    planned, filled = packs(clips, budget, width), list(buckets(clips, budget))
    random.Random(0).shuffle(filled)  # a full bucket and one that was left over are met as often as they are

    def uniform() -> tuple[tuple[float, float], tuple[float, float]]:
        return rates(ours, [our_step(ours, batch)]), rates(wan, [wan_step(wan, batch)])

    def mixed() -> tuple[tuple[float, float], tuple[float, float]]:
        mine, some = next(planned), [filled.pop() for _ in range(RANKS)]
        return rates(ours, [our_step(ours, p) for p in mine]), rates(wan, [wan_step(wan, b) for b in some])

    uniform()  # the first is slower
    one, _ = compared(uniform() for _ in range(2 * rounds))
    mix, waiting = compared(mixed() for _ in range(rounds))
    rows = [("one shape", one), ("the mix", mix), (f"the mix, each of {RANKS} processes", waiting)]
    lines = [f"| {name} | {own:,.0f} | {other:,.0f} | {ratio:.2f} |" for name, (own, other, ratio) in rows]
    kind = str(compute_dtype()).removeprefix("torch.")
    return "\n".join(
        [
            "## Training beside diffusers' Wan transformer",
            "",
            f"Width {width}, depth {depth}; {parameters(ours) / 1e6:.2f} million parameters, Wan's "
            f"{parameters(wan) / 1e6:.2f} million; {kind}, {device().type}, one thread. Forward and backward, medians "
            f"over rounds in which both take turns. One shape: 33 frames of 128x128 pixels at 8x8x4 compression. The "
            f"mix: {CLIPS} clips of five aspect ratios and 1 to 65 frames, a quarter of them images; Wan takes buckets "
            f"of equal shape ({len(list(buckets(clips, budget)))} batches), ours packs, of at most {budget} tokens "
            f"both. The last row is computed from the same times: of {RANKS} processes that take a batch or a pack "
            "each, all wait for the slowest. Buckets that all processes draw from at once would wait less, and take "
            "steps of one shape.",
            "",
            "| Clips | Ours, tokens/s | Wan, tokens/s | Ratio |",
            "| --- | ---: | ---: | ---: |",
            *lines,
            "",
        ]
    )


if __name__ == "__main__":
    print(tyro.cli(measure))
