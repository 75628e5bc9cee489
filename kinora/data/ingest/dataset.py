"""The whole of ingest on this machine, and its three parts for machines that share the work: plan, read, collect."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from kinora.config import digest
from kinora.data.clips import ClipDataset
from kinora.data.grid import DEFAULT_GRID, Grid
from kinora.data.ingest.config import WORLDS, IngestConfig
from kinora.data.ingest.merge import merge
from kinora.data.ingest.pool import WorkerPool
from kinora.data.ingest.reading import Reading, rejection
from kinora.data.ingest.shards import Shards, ShardWriter
from kinora.data.ingest.sources import Item, Source, open_source
from kinora.data.shots import Rejected
from kinora.data.simulated import WorldsSource
from kinora.errors import KinoraError, UsageError
from kinora.files import friendly_os_errors, make_sure_of_room
from kinora.parallel import ordered_map
from kinora.progress import Progress
from kinora.storage import split_uri

FAILED = "failed"  # the reason of an input that no limit and no fault of its own ended
OF_OURS = {"planned", "committed", "shards", "current.npy", "lock", "report.html"}


def ingest(source: str, out: str | Path, config: IngestConfig, grid: Grid = DEFAULT_GRID) -> ClipDataset:
    """Make a clip dataset in `out` from `source`: "worlds", or anything that `open_source` reads.

    An ingest that was interrupted goes on where it was, one that is run again does nothing again, and of a source that
    grew it reads what is new. `grid` says which sizes and lengths the model takes that is to learn from the clips.

    Raises:
        UsageError: if `source` is empty, `out` holds something else than a dataset, or a size is off the grid.
        KinoraError: if there is nothing at `source`, none of it can be used, or `out` cannot be written.
    """
    out = Path(out)
    config.check(grid)
    _refuse_to_overwrite(source, out)
    made = not out.exists()
    with friendly_os_errors(out), _owned(out):
        try:
            plan_shards(source, str(out), config, grid)
            read_shards(source, str(out), config, grid)
            return collect(source, str(out), out, config, grid)
        except KinoraError:
            if made:  # what was read is of no use: there is nothing at the source, or nothing of it can be used
                shutil.rmtree(out, ignore_errors=True)
            raise


def shards_place(artifact_root: str, source: str, config: IngestConfig, grid: Grid) -> str:
    """Return where under an artifact root the shards of a source are, read as a configuration says."""
    what = digest({"source": source, "reading": config.reading(source, grid)})
    return f"{artifact_root.rstrip('/')}/ingest/{what[:16]}"


def plan_shards(
    source: str, place: str, config: IngestConfig, grid: Grid = DEFAULT_GRID
) -> tuple[list[str], dict[str, float]]:
    """List the source, and deal what no shard at `place` holds yet to new shards.

    Returns:
        Names of portions of the work, at most `config.pods`, each of which `read_shards` does; and how many inputs the
        source has (`inputs`), and how many of them are to be read (`left`).
    """
    config.check(grid)
    shards = _shards(source, place, config, grid)
    shards.remove_unfinished()
    inputs, left = shards.plan(_open(source, config).items(), config.shard_items)
    count = max(1, min(config.pods, -(-left // config.shard_items)))
    return [f"{number + 1}-of-{count}" for number in range(count)], {"inputs": float(inputs), "left": float(left)}


def read_shards(
    source: str, place: str, config: IngestConfig, grid: Grid = DEFAULT_GRID, portion: str = "1-of-1"
) -> dict[str, float]:
    """Read all shards of a portion that are not there yet.

    Returns:
        How many `shards` and `inputs` were read, how many `clips` that made, and how many were `rejected`.
    """
    shards = _shards(source, place, config, grid)
    number, count = (int(word) for word in portion.split("-of-"))
    left = sorted(set(shards.planned()[number - 1 :: count]) - set(shards.committed()))
    if not left:
        return dict.fromkeys(("shards", "inputs", "clips", "rejected"), 0.0)
    opened = _open(source, config)
    items = {shard: shards.items(shard) for shard in left} if len(left) < 64 else {}
    total = sum(map(len, items.values())) or len(left) * config.shard_items
    done, clips, rejected = 0, 0, 0
    with Progress("ingest", total, "inputs") as progress, WorkerPool(config, grid) as pool:
        for shard in left:
            some = items.get(shard) or shards.items(shard)
            with shards.commit(shard) as folder:
                writer = ShardWriter(folder)
                read = partial(_read, opened, pool, writer.media)
                for item, reading in zip(some, ordered_map(read, some, pool.size + 2), strict=True):
                    if any(rejected["reason"] == FAILED for rejected in reading.rejected):
                        make_sure_of_room(folder)  # for want of which a good input must not be rejected for ever
                    writer.add(item, reading)
                    done, clips, rejected = done + 1, clips + len(reading.rows), rejected + len(reading.rejected)
                    progress.update(done)
                writer.finish()
    counts = {"shards": len(left), "inputs": done, "clips": clips, "rejected": rejected}
    return {name: float(count) for name, count in counts.items()}


def collect(source: str, place: str, out: str | Path, config: IngestConfig, grid: Grid = DEFAULT_GRID) -> ClipDataset:
    """Make the dataset in `out` of all shards at `place`, which keeps the media.

    Raises:
        KinoraError: if shards are missing, or none of their inputs can be used.
    """
    shards, out = _shards(source, place, config, grid), Path(out)
    missing = set(shards.planned()) - set(shards.committed())
    if missing:
        raise KinoraError(f"{len(missing)} shards at {place} have not been read; run the ingest again.")
    dataset = merge(shards, out, source, config, grid, source == WORLDS)
    shards.keep_only(shards.with_current())
    return dataset


def _read(source: Source | WorldsSource, pool: WorkerPool, media: Path, item: Item) -> Reading:
    """Return what becomes of one input; whatever is wrong with it ends nothing but it."""
    if item.problem:
        rejected = [rejection(item.name, item.problem, item.explanation)]
        return Reading(rejected=[*rejected, *_unused(item, item.caption)] if item.caption_from else rejected)
    if isinstance(source, WorldsSource):
        return pool.read(item.name, None, "", media)
    rejected, caption = [], ""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        try:
            caption = source.caption(item, folder)
        except Rejected as error:
            rejected = [rejection(item.caption_from or item.name, error.reason, error.explanation)]
        try:
            reading = pool.read(item.name, source.local(item, folder), caption, media)
        except Rejected as error:
            reading = Reading(rejected=[rejection(item.name, error.reason, error.explanation)])
    reading.rejected += rejected
    if caption and not reading.rows:
        reading.rejected += _unused(item, caption)
    return reading


def _unused(item: Item, caption: str) -> list[dict[str, Any]]:
    sentence = f"{item.name} could not be used, so its caption is not either{': ' if caption else '.'}{caption}"
    return [rejection(item.caption_from or item.name, "caption_unused", sentence)]


def _open(source: str, config: IngestConfig) -> Source | WorldsSource:
    return WorldsSource(config) if source == WORLDS else open_source(source)


def _shards(source: str, place: str, config: IngestConfig, grid: Grid) -> Shards:
    return Shards(place, config.reading_digest(source, grid))


def _refuse_to_overwrite(source: str, out: Path) -> None:
    if not source:
        raise UsageError("ingest needs a source: 'worlds', or a file, folder, list or s3://bucket/prefix of media.")
    if source != WORLDS:
        open_source(source)  # refuses an address that is none
    others = {path.name for path in out.iterdir()} - OF_OURS if out.is_dir() else set()
    if others and not (out / "clips.parquet").exists():
        raise UsageError(f"{out} already holds other files; name a new folder for the dataset.")
    scheme, _, path = split_uri(source) if source != WORLDS else ("", "", "")
    if scheme == "file" and out.resolve().is_relative_to(Path(path).resolve()):
        raise UsageError(f"the dataset {out} would lie inside its own source {source}; name a folder outside it.")
    if (out / "config.json").is_file():
        held = str(ClipDataset.open(out).config.get("source", source))
        if _address(held) != _address(source):
            raise UsageError(
                f"{out} holds the dataset of another source ({held}), which would be lost; name a new folder, or "
                "delete that one first."
            )


def _address(source: str) -> str:
    """Return the one way to write a source."""
    scheme, bucket, path = split_uri(source)
    return str(Path(path).resolve()) if scheme == "file" and source != WORLDS else f"{scheme}://{bucket}/{path}"


@contextmanager
def _owned(out: Path) -> Iterator[None]:
    """Keep the folder for this ingest.

    Raises:
        KinoraError: if another one writes there.
    """
    out.mkdir(parents=True, exist_ok=True)
    lock = os.open(out / "lock", os.O_CREAT | os.O_RDWR, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise KinoraError(f"another ingest writes to {out}; wait for it, or name another folder.") from error
    finally:
        os.close(lock)
        (out / "lock").unlink(missing_ok=True)
