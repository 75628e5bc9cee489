"""How quickly training's data is read, from a disk and from S3, beside what a transformer takes; and how it is packed.

    python -m benchmarks.loader

The loader reads and checks latents, packs them and draws times and noise, in two threads, as in training. The
transformer computes gradients on the same packs, one process on one thread (or one GPU), without an optimizer: it takes
more than training does. The S3 server is rclone's, on this machine. Latents are random, which changes no speed.
"""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
import psutil
import torch
import tyro

from kinora.data.latents import LatentDataset
from kinora.data.loader import Loader
from kinora.data.planner import Planner
from kinora.models.dit import DiTConfig
from kinora.models.precision import compute_dtype, device
from kinora.storage import open_store
from kinora.training.batches import Batch, Batches
from kinora.training.transformer import TrainingStep, TransformerTraining, resolve

ASPECTS = np.array([(16, 16), (20, 12), (12, 20), (24, 10), (10, 24)])  # patches of frames: 1:1, 5:3, 3:5, 12:5, 5:12
FRAMES = 17  # latent frames of 65 frames
IMAGES = 0.3  # share of the clips
CLIPS, ROUNDS, PACKS = 300, 3, 20  # packs that the loader gives in a round; the transformer takes one
PLANNED, FAR_STEP = 1_000_000, 100_000
CHANNELS, PATCH = 16, 2


def mix(clips: int) -> npt.NDArray[np.int64]:
    """Return patch grids `[n, 3]` of clips in five aspect ratios and two sizes, of 1 to 65 frames."""
    random = np.random.default_rng(0)
    frames = random.integers(1, FRAMES + 1, clips)
    frames[random.random(clips) < IMAGES] = 1
    sides = ASPECTS[random.integers(0, 5, clips)] * random.choice([[1], [1.5]], clips)
    return np.column_stack([frames, sides.astype(np.int64)])


def write_latents(out: Path, grids: npt.NDArray[np.int64]) -> None:
    """Write random latents of these grids."""
    generator = torch.Generator().manual_seed(0)

    def clips() -> Iterator[tuple[dict[str, object], torch.Tensor]]:
        for number, (frames, rows, columns) in enumerate(grids.tolist()):
            row = {
                "clip_id": f"{number:064x}", "split": "train", "kind": "video" if frames > 1 else "image",
                "caption": "A red circle moves slowly to the right on a grey background.", "short_caption": "",
                "width": 8 * PATCH * columns, "height": 8 * PATCH * rows, "frames": 4 * frames - 3, "fps": 16.0,
            }  # fmt: skip
            yield row, torch.randn(CHANNELS, frames, PATCH * rows, PATCH * columns, generator=generator)

    LatentDataset.write(out, clips(), {"temporal": 4, "spatial": 8})


def loaded(batches: Batches, first: int) -> tuple[int, float]:
    """Return the tokens that the loader gives from step `first` on and the seconds it takes, start-up left out."""
    with Loader(batches.of_receiver(first, 0, 1)) as loader:
        next(loader)
        began = time.monotonic()
        tokens = sum(batch.tokens for _ in range(PACKS) for batch in next(loader))
        return tokens, time.monotonic() - began


def taken(step: TrainingStep, batches: Batches, number: int) -> tuple[int, float]:
    """Return the tokens of a pack, and the seconds of forward and backward on it."""
    batch = batches.packs(number)[0].to(device())
    began = time.monotonic()
    _gradients(step, batch)
    return batch.tokens, time.monotonic() - began


def _gradients(step: TrainingStep, batch: Batch) -> None:
    step(batch)[0].backward()
    if torch.cuda.is_available():
        torch.cuda.synchronize()


@contextmanager
def s3_server(folder: Path) -> Iterator[str]:
    """Serve `folder`, whose folders are buckets, as S3 on this machine; yield the address of the bucket `bucket`."""
    (folder / "bucket").mkdir(parents=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    options = ["--auth-key", "key,secret", "--addr", address, "--vfs-cache-mode", "off"]
    rclone = Path(sys.executable).with_name("rclone")
    server = subprocess.Popen([rclone, "serve", "s3", *options, folder], stderr=subprocess.DEVNULL)
    os.environ |= {
        "KINORA_S3_ENDPOINT": f"http://{address}", "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret",
    }  # fmt: skip
    try:
        while not _answers(address):
            assert server.poll() is None, "the S3 server did not start"
            time.sleep(0.05)
        yield "s3://bucket"
    finally:
        server.terminate()
        server.wait()


def _answers(address: str) -> bool:
    host, port = address.split(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


def rates(width: int, depth: int, tokens_per_pack: int) -> list[str]:
    """Return the rows of the table of the loader beside the model."""
    with tempfile.TemporaryDirectory() as temporary, s3_server(Path(temporary) / "s3") as bucket:
        folder = Path(temporary) / "latents"
        write_latents(folder, mix(CLIPS))
        dataset = LatentDataset.open(folder)
        model = DiTConfig(width=width, depth=depth, heads=width // 64)
        config = TransformerTraining(model=model, tokens_per_step=tokens_per_pack, tokens_per_pack=tokens_per_pack)
        config = resolve(config, dataset)
        stored = LatentDataset.open(open_store(bucket).put_folder(folder, "latents"))
        disk, s3 = Batches(dataset, config), Batches(stored, config)
        step = TrainingStep(config.model, config.text).to(device(), compute_dtype())
        taken(step, disk, 0)
        # They take turns, so that what else the machine does meets all alike.
        rounds = [
            (taken(step, disk, number), loaded(disk, number * PACKS), loaded(s3, number * PACKS))
            for number in range(ROUNDS)
        ]
    sums = [tuple(map(sum, zip(*turns, strict=True))) for turns in zip(*rounds, strict=True)]
    names = ("the transformer takes", "the loader gives, from a disk", "the loader gives, from S3")
    found = [(name, tokens / seconds) for name, (tokens, seconds) in zip(names, sums, strict=True)]
    takes = found[0][1]
    return [f"| {name} | {rate:,.0f} | {rate / takes:.1f} |" for name, rate in found]


def plans() -> list[str]:
    """Return the rows of the table of what the planner makes of a large mix."""
    rows, grids = [], mix(PLANNED)
    for tokens_per_pack, packs, width in ((32_768, 16, 1536), (32_768, 64, 1536), (19_600, 8, 384)):
        before, began = psutil.Process().memory_info().rss, time.monotonic()
        planner = Planner(
            grids, tokens_per_pack=tokens_per_pack, packs_per_step=packs, image_share=0.25, attention_length=6 * width
        )
        made, began = time.monotonic() - began, time.monotonic()
        planner.packs(FAR_STEP)
        found, began = time.monotonic() - began, time.monotonic()
        steps = [planner.packs(number) for number in range(4 * planner.window_steps)]
        each, used = (time.monotonic() - began) / len(steps), psutil.Process().memory_info().rss - before
        padding = 1 - sum(p.tokens for step in steps for p in step) / (sum(map(len, steps)) * tokens_per_pack)
        worst = max(max(p.cost for p in step) / np.mean([p.cost for p in step]) - 1 for step in steps)
        rows.append(
            f"| {packs} of {tokens_per_pack:,} | {padding:.2%} | {worst:.2%} | {made:.1f} s | {found:.1f} s | "
            f"{1000 * each:.0f} ms | {max(0, used) / 2**20:.0f} MiB |"
        )
    return rows


def measure(width: int = 384, depth: int = 4, tokens_per_pack: int = 9_792) -> str:
    """Return the benchmark as a section of Markdown."""
    torch.set_num_threads(1)
    return "\n".join(
        [
            "## Training's data",
            "",
            f"A transformer of width {width} and depth {depth}, on one thread; packs of {tokens_per_pack:,} tokens; "
            "clips in five aspect ratios and two sizes, of 1 to 65 frames; a quarter of the tokens are images.",
            "",
            "| What | Tokens a second | Times what the model takes |",
            "| --- | ---: | ---: |",
            *rates(width, depth, tokens_per_pack),
            "",
            f"The plan of the same mix, of {PLANNED:,} clips. Padding is the part of the packs' budgets that stays "
            "empty; imbalance is how much more than the mean the costliest pack of a step costs, attention included.",
            "",
            f"| Packs of a step | Padding | Imbalance | To begin | To find step {FAR_STEP:,} | A step | Memory |",
            "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
            *plans(),
            "",
        ]
    )


if __name__ == "__main__":
    print(tyro.cli(measure))
