"""How surely copies among videos are found, and what that takes.

    python -m benchmarks.near_duplicates FOLDER

FOLDER holds real videos. Of each, the first part is an original, of which copies are made, and the rest a file of its
own: other moments of the same scene, often from the same fixed camera, which are no copies. All are cut into clips as
ingest does. Thresholds were chosen on the videos of one half, by a hash of their names; figures are of the other.

Two clips of a video show the same where they share some of its time, and also where nothing moves, or it repeats
itself: there the pixels of the video itself decide, which no fingerprint has seen (`interchangeable`).
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import cv2
import numpy as np
import tyro
from PIL import Image

from kinora.data.grid import DEFAULT_GRID
from kinora.data.ingest.config import IngestConfig
from kinora.data.ingest.reading import read_input
from kinora.data.near_duplicates import Duplicates, near_duplicates
from kinora.media import VIDEO_SUFFIXES, read_video

ORIGINAL = 0.6  # share of a video that is the original; the rest, where it is long enough, is another video
SHORTEST_S = 1.2
# Clips are interchangeable where of BLOCKS_WIDE blocks to the width none differs by more than so many levels (root mean
# square, of each frame's worst block, on average of the frames). CRF 36 alone leaves 7 to 17.
BLOCK, BLOCKS_WIDE, BLOCK_LEVELS = 16, 8, 8.0
LATER_S = (1, 2, 4)  # after its first frame, the frames of a video that are other pictures of the same scene
SCALES = (10_000, 100_000)
COPIED_SOURCES = 50  # of synthetic sources, one in so many is a copy
MIB = 2**20


@dataclass(frozen=True)
class Kind:
    """A way to copy: pixels, then the codec (see `copied`), and seconds that are cut off at the start and the end."""

    suffix: str = ".mp4"
    codec: str = "libx264"
    options: dict[str, str] = field(default_factory=lambda: {"crf": "30", "preset": "veryfast"})
    scale: float = 1.0
    mirrored: bool = False
    cropped: float = 0.0  # share of each side that is cut off, half at each end
    brighter: float = 1.0
    start: bool = False
    end: bool = False


KINDS = {
    "re-encoded": Kind(options={"crf": "36", "preset": "veryfast"}),
    "half size": Kind(scale=0.5),
    "mirrored": Kind(mirrored=True),
    "trimmed at the start": Kind(start=True),
    "trimmed at the end": Kind(end=True),
    "VP9 in WebM": Kind(".webm", "libvpx-vp9", {"crf": "40", "b": "0", "cpu-used": "8", "deadline": "realtime"}),
    "MPEG-4 in AVI": Kind(".avi", "mpeg4", {"qscale": "8", "flags": "+qscale"}),
    "cropped and brighter": Kind(cropped=0.04, brighter=1.15),
    "all of it": Kind(
        ".mkv", options={"crf": "33", "preset": "veryfast"}, scale=0.5, mirrored=True, start=True, end=True
    ),
}


IMAGE_KINDS = {
    "JPEG of quality 40": Kind(".jpg", options={"quality": "40"}),
    "half size": Kind(".jpg", options={"quality": "75"}, scale=0.5),
    "mirrored": Kind(".jpg", options={"quality": "75"}, mirrored=True),
}


@dataclass(frozen=True)
class File:
    """A file that was made: which video it is from, from when on (seconds), and as which kind of copy, or none."""

    path: Path
    video: str
    kind: str
    start_s: float


@dataclass(frozen=True)
class Clips:
    """All clips of all files, in one order: what `near_duplicates` takes, and what is true of them."""

    files: Sequence[File]
    file: np.ndarray
    starts_s: np.ndarray
    lengths_s: np.ndarray
    fps: np.ndarray
    fingerprints: np.ndarray
    snapshots: np.ndarray

    def found(self) -> Duplicates:
        """Return what `near_duplicates` finds."""
        sources = [str(self.files[i].path) for i in self.file]
        return near_duplicates(self.fingerprints, self.snapshots, sources, self.starts_s, self.fps)


def second_half(name: str) -> bool:
    """Say whether a video is of the half that figures are reported on."""
    return hashlib.sha256(name.encode()).digest()[0] % 2 == 1


def videos(folder: Path) -> Iterator[tuple[str, np.ndarray, float]]:
    """Yield the name, frames and frame rate of the videos in a folder that figures are reported on."""
    for path in sorted(p for p in folder.iterdir() if p.suffix in VIDEO_SUFFIXES and second_half(p.stem)):
        frames, fps = read_video(path)
        height, width = (side // 4 * 4 for side in frames.shape[1:3])
        yield path.stem, frames[:, :height, :width], fps


def make_videos(folder: Path, out: Path) -> Iterator[File]:
    """Write originals, copies and hard negatives of the videos in `folder`; originals come first by name."""
    (out / "a").mkdir(parents=True)
    as_they_are = Kind(options={"crf": "20", "preset": "veryfast"})
    for name, frames, fps in videos(folder):
        cut = round(ORIGINAL * len(frames))
        if (len(frames) - cut) / fps < SHORTEST_S:
            cut = len(frames)
        write(out / "a" / f"{name}.mp4", frames[:cut], fps, as_they_are)
        yield File(out / "a" / f"{name}.mp4", name, "original", 0.0)
        if cut < len(frames):
            write(out / f"{name} later.mp4", frames[cut:], fps, as_they_are)
            yield File(out / f"{name} later.mp4", name, "other moment", cut / fps)
        random = np.random.default_rng(list(name.encode()))
        for title, kind in KINDS.items():
            spare_s = max(0.0, cut / fps - 1.0) / max(1, kind.start + kind.end)  # at least a second is left
            most = min(2.0, spare_s)
            first, last = (round(fps * random.uniform(min(0.3, most), most)) * used for used in (kind.start, kind.end))
            copy = out / f"{name} {title}{kind.suffix}"
            write(copy, frames[first : cut - last], fps, kind)
            yield File(copy, name, title, first / fps)


def make_images(folder: Path, out: Path) -> Iterator[File]:
    """Write the first frame of each video as an image, copies of it, and later frames, which are none."""
    (out / "a").mkdir(parents=True)
    for name, frames, fps in videos(folder):
        Image.fromarray(frames[0]).save(out / "a" / f"{name}.png")
        yield File(out / "a" / f"{name}.png", name, "original", 0.0)
        for later in LATER_S:
            if later * fps < len(frames):
                Image.fromarray(frames[int(later * fps)]).save(out / f"{name} {later}.png")
                yield File(out / f"{name} {later}.png", name, "other moment", float(later))
        for title, kind in IMAGE_KINDS.items():
            copy = out / f"{name} {title}{kind.suffix}"
            picture = Image.fromarray(np.ascontiguousarray(frames[0][:, :: -1 if kind.mirrored else 1]))
            picture = picture.resize((round(picture.width * kind.scale), round(picture.height * kind.scale)))
            picture.save(copy, quality=int(kind.options["quality"]))
            yield File(copy, name, title, 0.0)


def write(path: Path, frames: np.ndarray, fps: float, kind: Kind) -> None:
    """Write a copy of frames `uint8 [T, H, W, 3]`."""
    height, width = frames.shape[1:3]
    dy, dx = (round(side * kind.cropped / 2) for side in (height, width))
    frames = frames[:, dy : height - dy, dx : width - dx, :]
    size = tuple(round(side * kind.scale) // 2 * 2 for side in (frames.shape[2], frames.shape[1]))
    with av.open(str(path), "w") as container:
        rate = Fraction(fps).limit_denominator(1001)
        stream = cast(av.VideoStream, container.add_stream(kind.codec, rate=rate, options=kind.options))
        stream.width, stream.height, stream.pix_fmt = size[0], size[1], "yuv420p"
        for frame in frames:
            picture = cv2.resize(frame[:, :: -1 if kind.mirrored else 1], size, interpolation=cv2.INTER_AREA)
            picture = np.clip(picture * kind.brighter, 0, 255).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


def read(files: Sequence[File], media: Path) -> Clips:
    """Make files into clips, as ingest does."""
    rows, prints = [], []
    for number, file in enumerate(files):
        made = read_input(file.path, file.path.name, "", media, IngestConfig(), DEFAULT_GRID)
        prints += made.fingerprints
        rows += [(number, row["source_start_s"], row["duration_s"], row["fps"]) for row in made.rows]
    numbers, starts, lengths, fps = (np.array(column) for column in zip(*rows, strict=True))
    snapshots = np.array([len(one) for one in prints])
    return Clips(files, numbers.astype(int), starts, lengths, fps, np.concatenate(prints), snapshots)


def true_copies(clips: Clips) -> tuple[np.ndarray, np.ndarray]:
    """Return whether each clip `[N]` is a copy, half of it or more, and whether any two `[N, N]` show the same."""
    video = np.array([clips.files[i].video for i in clips.file])
    original = np.array([clips.files[i].kind == "original" for i in clips.file])
    starts = np.array([clips.files[i].start_s for i in clips.file]) + clips.starts_s
    lengths = np.maximum(clips.lengths_s, 1e-3)
    shared = np.minimum.outer(starts + lengths, starts + lengths) - np.maximum.outer(starts, starts)
    same = (video[:, None] == video) & (clips.file[:, None] != clips.file)
    return ((shared.clip(0) * same * original).sum(axis=1) / lengths >= 0.5), same & (shared > 0)


def interchangeable(film: Path, window: tuple[float, float], other: tuple[float, float]) -> bool:
    """Say whether most of a window of a film (start and length in seconds) looks the same as some of another."""
    frames, fps = read_video(film)
    height = max(1, round(BLOCKS_WIDE * frames.shape[1] / frames.shape[2]))
    size = BLOCKS_WIDE * BLOCK, height * BLOCK
    small = np.stack([cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in frames]).astype(np.float32)

    def pictures(start_s: float, length_s: float) -> np.ndarray:
        first = min(round(start_s * fps), len(small) - 1)
        return small[first : first + max(1, round(length_s * fps))]

    a, b = pictures(*window), pictures(*other)
    least = len(a) // 2 + 1 if len(a) > 1 else 1

    def differ(shift: int) -> float:  # b's frame t + shift lies over a's frame t
        some = slice(max(0, -shift), min(len(a), len(b) - shift))
        squares = (a[some] - b[some.start + shift : some.stop + shift]) ** 2
        blocks = squares.reshape(len(squares), height, BLOCK, BLOCKS_WIDE, BLOCK, 3).mean(axis=(2, 4, 5))
        return float(np.sqrt(blocks.max(axis=(1, 2))).mean())

    return any(differ(shift) <= BLOCK_LEVELS for shift in range(least - len(a), len(b) - least + 1))


def table(clips: Clips, title: str, folder: Path) -> list[str]:
    """Return a Markdown table of how many copies are found and how many clips are wrongly called copies, by kind."""
    found = clips.found()
    copies, same = true_copies(clips)
    called = found.copy_of >= 0
    right = called & same[np.arange(len(called)), found.copy_of]
    films = {path.stem: path for path in folder.iterdir() if path.suffix in VIDEO_SUFFIXES}
    files = [clips.files[i] for i in clips.file]
    times = [
        (file.start_s + float(s), float(n)) for file, s, n in zip(files, clips.starts_s, clips.lengths_s, strict=True)
    ]
    apart = np.flatnonzero(called & ~right).tolist()
    for clip, other in zip(apart, found.copy_of[apart].tolist(), strict=True):
        if files[clip].video == files[other].video:
            right[clip] = interchangeable(films[files[clip].video], times[clip], times[other])
    kinds = np.array([clips.files[i].kind for i in clips.file])
    of_file = dict(zip(clips.file.tolist(), found.group.tolist(), strict=True))
    originals = {file.video: number for number, file in enumerate(clips.files) if file.kind == "original"}
    lines = [
        f"| {title} | clips | copies | found | called copies | wrongly | files grouped with the original |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for kind in dict.fromkeys(kinds.tolist()):
        own = kinds == kind
        made = [number for number, file in enumerate(clips.files) if file.kind == kind and number in of_file]
        grouped = sum(of_file[number] == of_file.get(originals[clips.files[number].video]) for number in made)
        counts = [own.sum(), (own & copies).sum(), (own & copies & called).sum(), (own & called).sum()]
        wrong = (own & called & ~right).sum()
        lines.append(f"| {kind} | {' | '.join(map(str, counts))} | {wrong} | {grouped} of {len(made)} |")
    recall, precision = (copies & called).sum() / copies.sum(), right.sum() / max(1, called.sum())
    alike = f"{int(right[apart].sum())} are called copies of another moment that looks the same"
    return [*lines, f"\nRecall **{recall:.3f}**, precision **{precision:.3f}**; {alike}.\n"]


def synthetic(clips: int) -> Clips:
    """Make fingerprints of sources of four clips each: still grounds before which something wanders, and copies."""
    random = np.random.default_rng(0)
    snapshots, sources = 17, clips // 4
    at = (np.arange(8) + 0.5) / 8
    waves = np.cos(np.pi * np.arange(6)[:, None] * at)
    strength = 1 / (1 + np.add.outer(np.arange(6), np.arange(6)))  # as natural pictures have
    cells = np.empty((sources, 4 * snapshots, 8, 8), np.uint8)
    for source in range(sources):
        if source % COPIED_SOURCES == COPIED_SOURCES - 1:  # mirrored, and starts elsewhere
            moved = np.roll(cells[source - 1], -5, axis=0)[:, :, ::-1]
            cells[source] = (moved + random.normal(0, 0.6, moved.shape)).clip(0, 255)
            continue
        ground = 120 + waves.T @ (60 * strength * random.normal(size=(6, 6))) @ waves
        path = random.uniform(size=(2, 1)) + np.cumsum(random.normal(0, 0.05, (2, 4 * snapshots)), axis=1)
        y, x = (np.abs(path % 2 - 1)[:, :, None] - at) ** 2
        thing = random.choice([-70, 70]) * np.exp(-(y[:, :, None] + x[:, None, :]) / 0.03)
        cells[source] = (ground + thing + random.normal(0, 0.5, thing.shape)).clip(0, 255)
    files = [File(Path(f"{number:07}"), "", "", 0.0) for number in range(sources)]
    file, length_s = np.repeat(np.arange(sources), 4), snapshots / 8
    return Clips(
        files,
        file,
        np.tile(np.arange(4) * length_s, sources),
        np.full(clips, length_s),
        np.full(clips, 8.0),
        cells.reshape(-1, 64).view(np.uint64),
        np.full(clips, snapshots),
    )


def scaling(clips: int) -> dict[str, float]:
    """Search synthetic clips; return seconds, MiB that it takes beside the fingerprints, and what was found."""
    made = synthetic(clips)
    before, began, worked = _peak(anew=True), time.monotonic(), time.process_time()
    found = made.found()
    copies = made.file % COPIED_SOURCES == COPIED_SOURCES - 1
    return {
        "seconds": time.monotonic() - began,
        "cpu": time.process_time() - worked,
        "mib": _peak() - before,
        "found": float((found.copy_of[copies] >= 0).mean()),
        "wrong": float((found.copy_of[~copies] >= 0).sum()),
    }


def _peak(anew: bool = False) -> float:
    """Return the most MiB that this process held, since it was last counted anew; getrusage counts the parent's too."""
    if anew:
        Path("/proc/self/clear_refs").write_text("5")  # resets VmHWM, see proc(5)
    return float(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024


def measure(folder: Path) -> str:
    """Return all figures as Markdown."""
    with tempfile.TemporaryDirectory() as temporary:
        out = Path(temporary)
        films = read(list(make_videos(folder, out / "videos")), out / "media")
        stills = read(list(make_images(folder, out / "images")), out / "media")
    lines = [
        "## Near duplicates\n",
        f"Copies made of {len({file.video for file in films.files})} real videos, cut into clips as ingest does; each "
        "video's rest and later frames are hard negatives. Thresholds were chosen on other videos.\n",
        *table(films, "videos", folder),
        *table(stills, "images", folder),
        "| synthetic clips | seconds | of one core | memory | found | wrong |",
        "|---:|---:|---:|---:|---:|---:|",
    ]
    for clips in SCALES:
        command = [sys.executable, "-m", "benchmarks.near_duplicates", str(folder), "--scale", str(clips)]
        said = json.loads(subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ).stdout)
        lines.append(
            f"| {clips:,} | {said['seconds']:.0f} | {said['cpu']:.0f} | {said['mib']:.0f} MiB | {said['found']:.1%} "
            f"| {said['wrong']:.0f} |"
        )
    return "\n".join(lines) + "\n"


def main(folder: tyro.conf.Positional[Path], scale: int = 0) -> None:
    """Measure how surely copies are found.

    Args:
        folder: holds real videos.
        scale: only search so many synthetic clips, and print the figures as JSON.
    """
    print(json.dumps(scaling(scale)) if scale else measure(folder))


if __name__ == "__main__":
    tyro.cli(main)
