"""Ingest: raw videos and images, from a folder or S3, become a clip dataset; what cannot be used goes to quarantine.

A caption that a person wrote is read from `name.txt` beside `name.mp4`. Every file below the source ends up in exactly
one place: as clips, as another file's caption, or in quarantine.
"""

import os
import stat
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

import numpy as np
import pandas as pd

from kinora.config import to_dict
from kinora.data.clips import ClipDataset, table
from kinora.data.columns import CLIP_COLUMNS, LONGEST_CAPTION, QUARANTINE_COLUMNS
from kinora.data.dataset_report import ingest_report as ingest_report
from kinora.data.grid import DEFAULT_GRID, Grid
from kinora.data.shots import Footage, Rejected, fit, rejections, resize_image, windows
from kinora.data.simulated import SimulatedClips, write_worlds
from kinora.data.stored_clip import store_clip
from kinora.errors import KinoraError, UsageError
from kinora.files import atomic_folder, file_digest, friendly_os_errors
from kinora.media import IMAGE_SUFFIXES, VIDEO_SUFFIXES, image_size, read_image
from kinora.progress import Progress
from kinora.storage import Store, open_store, split_uri
from kinora.worlds import WorldsConfig

WORLDS = "worlds"


@dataclass(frozen=True)
class IngestConfig:
    """How raw clips become a dataset.

    `worlds` says what is simulated when the source is "worlds", and `simulated` how much of it; everything else is for
    a person's own files. Videos are sampled at `fps` frames a second for at most `max_seconds` each, cut at scene
    changes and then into windows of at most `max_frames` frames. `max_side` is the longest side in pixels; the aspect
    ratio is kept. `validation_fraction` of the clips, whole files where possible, is held out.
    """

    worlds: WorldsConfig = field(default_factory=WorldsConfig)
    simulated: SimulatedClips = field(default_factory=SimulatedClips)
    max_seconds: float = 60.0
    max_side: int = 40
    fps: float = 8.0
    max_frames: int = 17
    validation_fraction: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        if self.fps <= 0 or self.max_seconds <= 0 or not 0 < self.validation_fraction < 1:
            raise UsageError("fps and max_seconds must be above 0, and validation_fraction between 0 and 1.")

    def check(self, grid: Grid) -> None:
        """Check that sizes and lengths are on the grid of the model that is to learn from the clips.

        Raises:
            UsageError: if one is not.
        """
        drawn = (("sizes", self.worlds.sizes), ("fine_sizes", self.worlds.fine_sizes))
        drawn_sides = [(f"worlds.{name}", side) for name, sizes in drawn for size in sizes for side in size]
        sides = [("max_side", self.max_side), *drawn_sides]
        lengths = [("max_frames", self.max_frames), *(("worlds.frames", length) for length in self.worlds.frames)]
        for name, pixels in sides:
            if not grid.has_side(pixels):
                raise UsageError(f"{name} has {pixels} pixels, and this model takes multiples of {grid.side}.")
        for name, frames in lengths:
            if not grid.has_length(frames) or frames == 1:
                possible = ", ".join(str(1 + k * grid.frames) for k in (1, 2, 3))
                raise UsageError(
                    f"{name} has {frames} frames, and this model takes 1 more than a multiple of {grid.frames}: "
                    f"{possible}, ..."
                )


def ingest(source: str, out: str | Path, config: IngestConfig, grid: Grid = DEFAULT_GRID) -> ClipDataset:
    """Make a clip dataset in `out` from `source`: "worlds", a folder, or an `s3://bucket/prefix`.

    `grid` says which sizes and lengths the model takes that is to learn from the clips; the dataset keeps it.

    Raises:
        UsageError: if `source` is empty, `out` holds something else than a dataset, or a size is off the grid.
        KinoraError: if there is nothing at `source`, none of it can be used, or `out` cannot be written.
    """
    out = Path(out)
    config.check(grid)
    _refuse_to_overwrite(source, out)
    with friendly_os_errors(out):
        if source == WORLDS:
            return write_worlds(config.worlds, config.simulated, out, grid)
        return _ingest_files(source, out, config, grid)


def _refuse_to_overwrite(source: str, out: Path) -> None:
    if not source:
        raise UsageError("ingest needs a source: 'worlds', a folder of videos and images, or s3://bucket/prefix.")
    if out.is_dir() and any(out.iterdir()) and not (out / "clips.parquet").exists():
        raise UsageError(f"{out} already holds other files; name a new folder for the dataset.")
    scheme, _, path = split_uri(source)
    if source != WORLDS and scheme == "file" and out.resolve().is_relative_to(Path(path).resolve()):
        raise UsageError(f"the dataset {out} would lie inside its own source {source}; name a folder outside it.")


def _ingest_files(source: str, out: Path, config: IngestConfig, grid: Grid) -> ClipDataset:
    rows: list[dict[str, Any]] = []
    rejected: list[dict[str, Any]] = []
    seen_files: dict[str, str] = {}
    seen_clips: dict[str, str] = {}
    with ExitStack() as stack:
        files = _files(source, stack)
        names = sorted(name for name in files.names if not _is_caption(name, files.names))
        folder = stack.enter_context(atomic_folder(out))
        progress = stack.enter_context(Progress("ingest", len(names), "files"))
        readers = stack.enter_context(ThreadPoolExecutor(os.cpu_count() or 1))
        results = readers.map(lambda name: _read(files, name, folder / "media", config, grid), names)
        for number, (name, result) in enumerate(zip(names, results, strict=True), start=1):
            first = seen_files.setdefault(result.digest, name)
            if result.digest and first != name:
                rejected.append(_rejection(name, "duplicate", f"The file is the same, byte for byte, as {first}."))
            else:
                rejected.extend(result.rejected)
                for row in result.rows:
                    first = seen_clips.setdefault(row["clip_id"], f"{name} at {row['source_start_s']:.2f} s")
                    if first == f"{name} at {row['source_start_s']:.2f} s":
                        rows.append(row)
                    else:
                        sentence = f"The clip is the same, pixel for pixel, as {first}."
                        rejected.append(_rejection(name, "duplicate", sentence, row["source_start_s"]))
            progress.update(number)
        if not rows:
            raise KinoraError(_nothing_usable(source, rejected))
        _remove_unused(folder / "media", {row["clip_id"] for row in rows})
        clips = _with_splits(table(rows, CLIP_COLUMNS), config)
        settings = {"source": source, "ingest": to_dict(config), "grid": to_dict(grid)}
        ClipDataset.write(folder, clips, table(rejected, QUARANTINE_COLUMNS), settings)
    return ClipDataset.open(out)


class _Files(Protocol):
    """The files below a source, by relative name."""

    @property
    def names(self) -> set[str]:
        """Return every file's name, with `/`."""

    def local(self, name: str, folder: Path) -> Path:
        """Return the file on this disk; if it must be fetched, into `folder`."""


@dataclass(frozen=True)
class _FolderFiles:
    root: Path
    names: set[str]

    def local(self, name: str, folder: Path) -> Path:
        return self.root / name


@dataclass(frozen=True)
class _StoredFiles:
    store: Store
    names: set[str]

    def local(self, name: str, folder: Path) -> Path:
        return self.store.get_file(name, folder / PurePosixPath(name).name)


def _files(source: str, stack: ExitStack) -> _Files:
    """List every file below `source`, links followed, each folder once."""
    scheme, _, path = split_uri(source)
    if scheme == "s3":
        store = open_store(source)
        files: _Files = _StoredFiles(store, set(store.list()))
    else:
        root = Path(path)
        if not root.is_dir():
            raise KinoraError(f"there is no folder {source}; name one that holds videos or images.")
        files = _FolderFiles(root, set(_walk(root)))
    if not files.names:
        raise KinoraError(f"{source} is empty; put videos or images there, or name another folder.")
    return files


def _walk(root: Path) -> Iterator[str]:
    visited: set[str] = set()
    for folder, folders, names in os.walk(root, followlinks=True):
        if os.path.realpath(folder) in visited:
            folders.clear()
            continue
        visited.add(os.path.realpath(folder))
        yield from ((Path(folder) / name).relative_to(root).as_posix() for name in names)


@dataclass(frozen=True)
class _Result:
    """What became of one file: rows and rejections, and the digest of its bytes ("" if it could not be read)."""

    rows: Sequence[dict[str, Any]]
    rejected: Sequence[dict[str, Any]]
    digest: str = ""


def _read(files: _Files, name: str, media: Path, config: IngestConfig, grid: Grid) -> _Result:
    digest, rejected = "", []
    try:
        suffix = PurePosixPath(name).suffix.lower()
        if suffix not in VIDEO_SUFFIXES + IMAGE_SUFFIXES:
            raise Rejected("not_media", _not_media(name, suffix))
        with tempfile.TemporaryDirectory() as temporary:
            path = files.local(name, Path(temporary))
            digest = _readable(path)
            try:
                caption = _caption(files, name, Path(temporary))
            except Rejected as error:
                caption = ""
                rejected.append(_rejection(_sidecar(name), error.reason, error.explanation))
            make = _video_rows if suffix in VIDEO_SUFFIXES else _image_rows
            rows, more = make(path, name, caption, media, config, grid)
        return _Result(rows, [*rejected, *more], digest)
    except Rejected as error:
        return _Result([], [*rejected, _rejection(name, error.reason, error.explanation)], digest)


def _readable(path: Path) -> str:
    """Return the digest of a file that can be read to its end and is not empty."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # reading a pipe would wait for ever
            raise Rejected("not_media", "It is a device or a pipe, not a file.")
        if status.st_size == 0:
            raise Rejected("empty", "The file has no bytes.")
        return file_digest(path)
    except OSError as error:
        raise Rejected("unreadable", f"The file cannot be read ({error.strerror}).") from error


def _video_rows(
    path: Path, name: str, caption: str, media: Path, config: IngestConfig, grid: Grid
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    footage = Footage(path, config.fps, config.max_side, config.max_seconds, grid)
    rows, rejected = [], []
    for window in windows(footage.frames(), config.fps, config.max_frames, grid):
        if len(window.frames):
            rows.append(_row(media, window.frames, config.fps, name, caption, window.start_s))
        else:
            sentence = f"The shot is shorter than {grid.shortest_video} frames at {config.fps:g} frames a second."
            rejected.append(_rejection(name, "too_short", sentence, window.start_s))
    if footage.unread:
        sentence = f"Only the first {config.max_seconds:g} s of a video are read with this recipe; this is the rest."
        rejected.append(_rejection(name, "over_budget", sentence, config.max_seconds))
    return rows, rejected


def _image_rows(
    path: Path, name: str, caption: str, media: Path, config: IngestConfig, grid: Grid
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    with rejections():
        fit(*image_size(path), config.max_side, grid)  # the size is refused before the image is decoded
        frame = read_image(path)[0]
    return [_row(media, resize_image(frame, config.max_side, grid)[None], 0.0, name, caption, 0.0)], []


def _row(media: Path, frames: np.ndarray, fps: float, name: str, caption: str, start_s: float) -> dict[str, Any]:
    return store_clip(
        media,
        frames,
        fps,
        source=name,
        source_start_s=start_s,
        split="train",
        caption=caption,
        short_caption=caption.split(". ")[0].rstrip(".") + "." if caption else "",
        caption_source="human" if caption else "",
    )


def _caption(files: _Files, name: str, folder: Path) -> str:
    sidecar = _sidecar(name)
    if sidecar not in files.names:
        return ""
    try:
        text = " ".join(files.local(sidecar, folder).read_text(encoding="utf-8").split())
    except (OSError, UnicodeDecodeError) as error:
        raise Rejected("bad_caption", "The caption cannot be read as UTF-8 text; its clip has none.") from error
    if not text or len(text) > LONGEST_CAPTION:
        raise Rejected("bad_caption", f"A caption has 1 to {LONGEST_CAPTION} characters; its clip has none.")
    return text


def _sidecar(name: str) -> str:
    return str(PurePosixPath(name).with_suffix(".txt"))


def _is_caption(name: str, names: set[str]) -> bool:
    return name.endswith(".txt") and any(
        name[:-4] + suffix in names for ending in VIDEO_SUFFIXES + IMAGE_SUFFIXES for suffix in (ending, ending.upper())
    )


def _not_media(name: str, suffix: str) -> str:
    if suffix == ".txt":
        return "The caption belongs to no file: none of that name is beside it."
    return f"Files ending in '{suffix}' are not read; videos and images are." if suffix else "The name has no ending."


def _rejection(source: str, reason: str, explanation: str, start_s: float = 0.0) -> dict[str, Any]:
    return {"source": source, "source_start_s": start_s, "reason": reason, "explanation": explanation}


def _nothing_usable(source: str, rejected: Sequence[dict[str, Any]]) -> str:
    counts = ", ".join(f"{count} {reason}" for reason, count in Counter(r["reason"] for r in rejected).most_common())
    first = rejected[0]
    return (
        f"nothing in {source} can be used ({counts}; {first['source']}: {first['explanation'].rstrip('.')}); "
        "give a folder with videos or images that play."
    )


def _remove_unused(media: Path, kept: set[str]) -> None:
    """Remove the clips of files that turned out broken further on, or doubled."""
    for path in media.iterdir():
        if path.stem not in kept:
            path.unlink()


def _with_splits(clips: pd.DataFrame, config: IngestConfig) -> pd.DataFrame:
    """Hold clips out for validation, of videos and of images alike.

    Windows of one file resemble each other, so whole files are held out, in random order, as long as they fit in the
    share. Where no file does, it is the end of the longest.
    """
    held: list[str] = []
    for kind in ("video", "image"):
        some = clips[clips["kind"] == kind]
        wanted = max(1, round(config.validation_fraction * len(some))) if len(some) > 1 else 0
        sizes = some.groupby("source").size()
        taken: list[str] = []
        for source in np.random.default_rng(config.seed).permutation(sorted(sizes.index)):
            ids = some.loc[some["source"] == source, "clip_id"].tolist()
            if len(taken) + len(ids) <= wanted:
                taken += ids
        if wanted and not taken:
            longest = some[some["source"] == sizes.idxmax()].sort_values("source_start_s")
            taken = longest["clip_id"].tolist()[-wanted:]
        held += taken
    return clips.assign(split=np.where(clips["clip_id"].isin(held), "validation", "train"))
