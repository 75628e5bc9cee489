"""What each step that reads a dataset's tables takes for many clips, beside the same step for a tenth of them.

    python -m benchmarks.tables [--clips 300000]

The dataset is made: all clips share 64 tiny pictures, their texts are words of no meaning, and the names of their files
are no digests of them, so that `validate` takes each digest and is told that it is right. Each step runs in a process
of its own, once with `FEW` clips, after which all that it imports is there, and then with all.
"""

import hashlib
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
import tyro
from PIL import Image

from kinora.config import to_dict
from kinora.data import validation
from kinora.data.clips import PIECE, ClipDataset, table_writer
from kinora.data.columns import CLIP_COLUMNS, QUARANTINE_COLUMNS, defaults
from kinora.data.dataset_report import ingest_report
from kinora.data.drift import dataset_drift
from kinora.data.features import feature_report, publish_features
from kinora.data.grid import DEFAULT_GRID
from kinora.data.ingest.config import IngestConfig
from kinora.data.ingest.merge import merge
from kinora.data.ingest.shards import CLIPS, FINGERPRINTS, REJECTED, REJECTED_COLUMNS, ROW_COLUMNS, Shards
from kinora.data.shards import TEXTS
from kinora.data.validation import validate
from kinora.files import file_digest
from kinora.training.latents import _Ordered
from kinora.training.video_batches import ExcerptReader, Excerpts, Limits

FEW = 256  # clips that each step is tried on first
PICTURES, SIDE, WORDS = 64, 8, 3000
SHORTEST, LONGEST = 7, 18  # words of a text
REJECTED_OF = 3  # clips there is one rejected input
MADE, READING, DATASET, SHARDS = "made", "made", "dataset", "shards"
LIMITS, PIXELS, BATCHES = Limits(frames=17, side=64), 2**10, 10  # of excerpts, of a batch, and how many are read
CONFIG = IngestConfig(near_duplicates=False, shard_items=1024)
MIB = 2**20


def clip_rows(first: int, count: int, words: np.ndarray) -> pd.DataFrame:
    """Make `count` rows of clips, of which each has a source of its own, from the number `first` on."""
    rng, numbers = np.random.default_rng(first), range(first, first + count)
    rows = pd.DataFrame({name: [value] * count for name, value in defaults(CLIP_COLUMNS).items()})
    for name in TEXTS:
        drawn, lengths = rng.choice(words, (count, LONGEST)), rng.integers(SHORTEST, LONGEST + 1, count)
        rows[name] = [f"{' '.join(some[:length])}." for some, length in zip(drawn.tolist(), lengths, strict=True)]
    for name in ("brightness", "contrast", "sharpness"):
        rows[name] = rng.uniform(0.1, 0.9, count)
    named = {
        "clip_id": [hashlib.sha256(b"clip %d" % number).hexdigest() for number in numbers],
        "uri": [f"media/{number % PICTURES}.png" for number in numbers],
        "source": [f"{number:08}.png" for number in numbers],
        "split": ["train" if number % 10 else "validation" for number in numbers],
    }
    rows = rows.assign(caption_source="human", caption_confidence=1.0, **named)
    return rows.assign(kind="image", width=SIDE, height=SIDE, frames=1, observed_at=pd.Timestamp("2026-11-01T00:00Z"))


def rejected_rows(first: int, count: int) -> pd.DataFrame:
    """Make the rows of the inputs that were rejected among `count` from the number `first` on."""
    numbers = [number for number in range(first, first + count) if number % REJECTED_OF == 0]
    rows = pd.DataFrame({name: [value] * len(numbers) for name, value in defaults(QUARANTINE_COLUMNS).items()})
    sources = [f"{number:08}.mp4" for number in numbers]
    said = [f"The file {source} ends after 0 bytes, before its first picture." for source in sources]
    return rows.assign(source=sources, reason="undecodable", explanation=said)


def make(folder: Path, clips: int) -> None:
    """Write the tables of a dataset of so many clips, and the same clips as shards that are still to be merged."""
    rng = np.random.default_rng(0)
    words = np.array(
        ["".join(rng.choice(list("abcdefghijklmnopqrstuvwxyz"), rng.integers(3, 9))) for _ in range(WORDS)]
    )
    media = folder / DATASET / "media"
    media.mkdir(parents=True)
    for number in range(PICTURES):
        Image.fromarray(rng.integers(0, 255, (SIDE, SIDE, 3), dtype=np.uint8)).save(media / f"{number}.png")
    firsts = [(first, min(PIECE, clips - first)) for first in range(0, clips, PIECE)]
    settings = {"source": MADE, "ingest": to_dict(CONFIG), "grid": to_dict(DEFAULT_GRID)}
    made = (clip_rows(*some, words) for some in firsts)
    dataset = ClipDataset.write(folder / DATASET, made, (rejected_rows(*some) for some in firsts), settings)
    shards = Shards(str(folder / SHARDS), READING)
    for rows in dataset.pieces(rows=CONFIG.shard_items):
        first = int(rows["source"].iloc[0].partition(".")[0])
        numbers = np.arange(first, first + len(rows))
        rejected = rejected_rows(first, len(rows))
        with shards.commit(f"{READING}-{first:08}") as shard:
            with table_writer(shard / CLIPS, ROW_COLUMNS) as write:
                write(rows.assign(input=numbers, file=rows["clip_id"], snapshots=1))
            with table_writer(shard / REJECTED, REJECTED_COLUMNS) as write:
                write(rejected.assign(input=numbers[numbers % REJECTED_OF == 0]))
            np.save(shard / FINGERPRINTS, rng.integers(0, 2**63, (len(rows), 8)).astype(np.uint64))
    np.save(folder / SHARDS / "current.npy", np.arange(clips))


class _Right(str):
    """A digest that is the one asked for, whatever that is."""

    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        return True


def _validate(folder: Path) -> None:
    with mock.patch.object(validation, "file_digest", lambda path: _Right(file_digest(path))):
        validate(ClipDataset.open(folder / DATASET), folder / "valid")


def _merge(folder: Path) -> None:
    merge(Shards(str(folder / SHARDS), READING), folder / "merged", MADE, CONFIG, DEFAULT_GRID, simulated=False)


def _encode(folder: Path) -> None:
    """Bring clips and texts into the order of encoding and read them, which is all but the encoding."""
    dataset = ClipDataset.open(folder / DATASET)
    with tempfile.TemporaryDirectory() as scratch, closing(sqlite3.connect(Path(scratch) / "texts.db")) as texts:
        for _ in _Ordered(dataset, dataset.pieces(["clip_id", *TEXTS]), texts).groups(0):
            pass


def _excerpts(folder: Path) -> None:
    dataset = ClipDataset.open(folder / DATASET)
    excerpts, reader = Excerpts(dataset, "train", LIMITS), ExcerptReader(dataset)
    for step in range(BATCHES):
        reader.stack(excerpts.batch(PIXELS, 0, step))


def _drift(folder: Path) -> None:
    dataset = ClipDataset.open(folder / DATASET)
    dataset_drift(dataset, dataset)


STEPS: dict[str, Callable[[Path], object]] = {  # in order: features are published before they are reported
    "merge": _merge,
    "validate": _validate,
    "dataset_drift": _drift,
    "ingest_report": lambda folder: ingest_report(ClipDataset.open(folder / DATASET)).write(folder / "clips.html"),
    "publish features": lambda folder: publish_features(ClipDataset.open(folder / DATASET), folder / "features"),
    "feature_report": lambda folder: feature_report(ClipDataset.open(folder / DATASET), folder / "features"),
    "order of encode_latents": _encode,
    "excerpts": _excerpts,
}


def taken(name: str, few: Path, folder: Path) -> dict[str, float]:
    """Run a step in this process; return the most bytes that it held above the start, and processor seconds."""
    STEPS[name](few)
    Path("/proc/self/clear_refs").write_text("5")  # resets VmHWM, see proc(5)
    start, before = _held("VmRSS"), sum(os.times()[:4])
    STEPS[name](folder)
    # The kernel counts pages roughly: where nothing more was held the peak may lie below the start.
    return {"bytes": max(0.0, _held("VmHWM") - start), "seconds": sum(os.times()[:4]) - before}


def _held(kind: str) -> float:
    return float(Path("/proc/self/status").read_text().split(f"{kind}:")[1].split()[0]) * 1024


def measure(clips: int, work: Path) -> Iterator[str]:
    """Yield the lines of a Markdown table, each as soon as it is known."""
    sizes = (clips // 10, clips)
    heads = "".join(f" MiB, {size:,} clips | CPU seconds |" for size in sizes)
    yield f"| peak above the start |{heads} bytes a clip more |"
    yield "|---|---:|---:|---:|---:|---:|"
    for size in sizes:
        make(work / f"few-{size}", FEW)
        make(work / f"{size}", size)
    for name in STEPS:
        found = []
        for size in sizes:
            command = [sys.executable, "-m", "benchmarks.tables", "--work", str(work), "--clips", str(size)]
            said = subprocess.run([*command, "--step", name], check=True, stdout=subprocess.PIPE, text=True).stdout
            found.append(json.loads(said.splitlines()[-1]))
        cells = [f"{one['bytes'] / MIB:.0f} | {one['seconds']:.1f}" for one in found]
        more = (found[1]["bytes"] - found[0]["bytes"]) / (sizes[1] - sizes[0])
        yield f"| {name} | {' | '.join(cells)} | {more:.0f} |"


def main(clips: int = 300_000, work: Path | None = None, step: str = "") -> None:
    """Measure what each step takes.

    Args:
        clips: in the larger of the two datasets.
        work: folder that the datasets were made in, of which one step is run, and its figures printed as JSON.
        step: this one.
    """
    if work is not None:
        print(json.dumps(taken(step, work / f"few-{clips}", work / f"{clips}")))
        return
    with tempfile.TemporaryDirectory() as temporary:
        for line in measure(clips, Path(temporary)):
            print(line, flush=True)


if __name__ == "__main__":
    tyro.cli(main)
