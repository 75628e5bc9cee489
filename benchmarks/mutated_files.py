"""How much damage gets past ingest: files mutated from real ones, each through the whole of it.

    python -m benchmarks.mutated_files FOLDER [--count 1000] [--seed 1]

FOLDER holds real videos and images; those that ingest takes as they are, up to 2 MB, are mutated, each file in one of
the ways of `KINDS`. A mutated file is *visibly damaged* if a lenient decoder, which shows what it can and ignores all
errors as a player does, gets fewer frames from it than from the original, or some frame that differs from the one of
the same number in the original by less than 30 dB (PSNR of RGB at 96x96 pixels, in which a small damage is averaged
away). Nothing of `kinora.media` is asked for that. A file is *accepted* if it has clips, or is in quarantine for a
reason that has nothing to do with damage, such as being too short. Every file must be accounted for. The rules were
developed on other seeds than the one that is reported.
"""

import random
import resource
import struct
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

from kinora.data.ingest.config import IngestConfig
from kinora.data.ingest.dataset import ingest
from kinora.media import IMAGE_SUFFIXES, VIDEO_SUFFIXES

LARGEST = 2_000_000  # bytes of an original
SIDE, MOST_FRAMES, LEAST_DB = 96, 600, 30.0
SECONDS, MEMORY = 60.0, 3 * 2**30  # for a lenient look at one file
# Why ingest refuses a file that it takes for damaged, hostile, or no media.
REFUSED = {"undecodable", "corrupt", "truncated", "too_large", "too_small", "too_narrow", "too_heavy", "failed"}
REFUSED |= {"empty", "not_media", "unreadable"}
NUMBERS = (0, 1, 7, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)  # for sizes and counts in a header
NAMES = [b"moov", b"mdat", b"stsz", b"stsc", b"stco", b"stts", b"ctts", b"stsd", b"elst", b"mvhd", b"tkhd", b"mdhd"]
NAMES += [b"RIFF", b"avih", b"strf", b"\x16\x54\xae\x6b", b"\x1f\x43\xb6\x75", b"IHDR", b"VP8 ", b"iloc", b"ispe"]

Mutate = Callable[[random.Random, bytearray, Sequence[Path]], bytes]


def flip_bits(rng: random.Random, data: bytearray, _: Sequence[Path]) -> bytes:
    """Flip 1 to 100 bits anywhere."""
    for _number in range(rng.choice((1, 3, 10, 100))):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(data)


def truncate(rng: random.Random, data: bytearray, _: Sequence[Path]) -> bytes:
    """Keep the beginning."""
    return bytes(data[: max(1, int(len(data) * rng.choice((0.1, 0.3, 0.5, 0.7, 0.9, 0.95, 0.98, 0.99, 0.999))))])


def zero_sector(rng: random.Random, data: bytearray, _: Sequence[Path]) -> bytes:
    """Overwrite a part with zeros, as a lost sector or an unfinished download leaves it."""
    start, length = rng.randrange(len(data)), rng.choice((64, 512, 4096))
    part = data[start : start + length]
    data[start : start + len(part)] = bytes(len(part))
    return bytes(data)


def lose_bytes(rng: random.Random, data: bytearray, _: Sequence[Path]) -> bytes:
    """Leave a part out."""
    start = rng.randrange(len(data))
    del data[start : start + rng.choice((1, 64, 4096))]
    return bytes(data)


def splice(rng: random.Random, data: bytearray, others: Sequence[Path]) -> bytes:
    """Take the end from another file."""
    other = rng.choice(others).read_bytes()
    cut = rng.random()
    return bytes(data[: max(1, int(cut * len(data)))]) + other[int(cut * len(other)) :]


def craft_header(rng: random.Random, data: bytearray, _: Sequence[Path]) -> bytes:
    """Write impossible sizes and counts near the names of some boxes and chunks."""
    places = [at for name in NAMES for at in _places(data, name)] or list(range(min(64, len(data))))
    for _number in range(rng.choice((1, 2, 5))):
        at = max(0, rng.choice(places) + rng.choice((-4, 4, 8, 12, 16)))
        number = struct.pack(">I", rng.choice(NUMBERS))
        data[at : at + 4] = number[: max(0, len(data) - at)]
    return bytes(data)


def rename(_: random.Random, data: bytearray, __: Sequence[Path]) -> bytes:
    """Leave the bytes; `mutated` gives the file the ending of another format."""
    return bytes(data)


KINDS: dict[str, Mutate] = {
    "bit flips": flip_bits,
    "truncated": truncate,
    "zeroed sector": zero_sector,
    "lost bytes": lose_bytes,
    "spliced": splice,
    "crafted header": craft_header,
    "wrong ending": rename,
}


@dataclass(frozen=True)
class Mutated:
    """A mutated file, what it was made of, and how."""

    path: Path
    original: Path
    kind: str


def mutated(originals: Sequence[Path], folder: Path, count: int, seed: int) -> list[Mutated]:
    """Write mutated files."""
    rng = random.Random(seed)
    made = []
    for number in range(count):
        original, kind = rng.choice(originals), rng.choice(list(KINDS))
        suffix = original.suffix.lower()
        if kind == "wrong ending":
            suffix = rng.choice(sorted({*VIDEO_SUFFIXES, *IMAGE_SUFFIXES} - {suffix}))
        path = folder / f"{number:04d}{suffix}"
        path.write_bytes(KINDS[kind](rng, bytearray(original.read_bytes()), originals))
        made.append(Mutated(path, original, kind))
    return made


def as_it_plays(path: Path, image: bool) -> np.ndarray:
    """Return what can be seen of a file, `uint8 [T, 96, 96, 3]`, whatever is wrong with it; T = 0 if nothing."""
    import av
    import cv2
    from PIL import Image, ImageFile
    from pillow_heif import register_heif_opener

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    frames: list[np.ndarray] = []
    with suppress(Exception):
        if image:
            register_heif_opener()
            ImageFile.LOAD_TRUNCATED_IMAGES = True
            with Image.open(path) as opened:
                whole = np.asarray(opened.convert("RGB"))
            frames.append(cv2.resize(whole, (SIDE, SIDE), interpolation=cv2.INTER_AREA))
        else:
            with av.open(str(path), metadata_errors="replace") as container:
                stream = container.streams.video[0]
                stream.codec_context.thread_count = 1
                for packet in container.demux(stream):
                    with suppress(av.FFmpegError):
                        for frame in packet.decode():
                            small = frame.reformat(SIDE, SIDE, format="rgb24", interpolation="AREA", threads=1)
                            frames.append(small.to_ndarray())
                    if len(frames) >= MOST_FRAMES:
                        break
    return np.stack(frames) if frames else np.empty((0, SIDE, SIDE, 3), np.uint8)


class Judge:
    """Looks at files in a process of its own, which a hostile file may end."""

    def __init__(self) -> None:
        self._pool = ProcessPoolExecutor(1)
        self._originals: dict[Path, np.ndarray] = {}

    def look(self, path: Path, original: Path) -> np.ndarray:
        """Return what can be seen of a file; nothing where that takes too long or ends the process."""
        image = original.suffix.lower() in IMAGE_SUFFIXES
        try:
            return self._pool.submit(as_it_plays, path, image).result(SECONDS)
        except (TimeoutError, BrokenProcessPool):
            for process in list(self._pool._processes.values()):
                process.kill()
            self._pool.shutdown(cancel_futures=True)
            self._pool = ProcessPoolExecutor(1)
            return np.empty((0, SIDE, SIDE, 3), np.uint8)

    def is_damaged(self, file: Mutated) -> bool:
        """Say whether a mutated file is visibly damaged."""
        if file.original not in self._originals:
            self._originals[file.original] = self.look(file.original, file.original)
        whole, seen = self._originals[file.original], self.look(file.path, file.original)
        if len(seen) < len(whole):
            return True
        error = (seen[: len(whole)].astype(np.float32) - whole) ** 2
        worst = float(error.reshape(len(whole), -1).mean(1).max())
        return worst > 255**2 / 10 ** (LEAST_DB / 10)


def main(folder: Annotated[Path, tyro.conf.Positional], count: int = 1000, seed: int = 1, show: bool = False) -> None:
    """Mutate files, ingest them, and print what got past.

    Args:
        folder: real videos and images.
        count: how many files to make.
        seed: of the mutations.
        show: print every visibly damaged file that was accepted.
    """
    with tempfile.TemporaryDirectory() as temporary:
        (source := Path(temporary, "mutated")).mkdir()
        originals = _originals(folder, Path(temporary))
        files = mutated(originals, source, count, seed)
        began = time.perf_counter()
        config = IngestConfig(near_duplicates=False)
        dataset = ingest(str(source), Path(temporary, "dataset"), config)
        took = time.perf_counter() - began
        clips = set(dataset.clips["source"])
        reasons = dict(zip(dataset.quarantine["source"], dataset.quarantine["reason"], strict=True))
        judge = Judge()
        damaged = {file.path.name for file in files if judge.is_damaged(file)}
    lost = [file.path.name for file in files if file.path.name not in clips and file.path.name not in reasons]
    accepted = {name for file in files if (name := file.path.name) in clips or reasons.get(name, "") not in REFUSED}
    accepted -= set(lost)
    print(f"{count} files of seed {seed}, made from {len(originals)}; ingest took {took:.0f} s; {len(lost)} are lost")
    print(f"quarantine: {dict(Counter(reasons.values()).most_common())}")
    _table("kind", [(file.kind, file.path.name) for file in files], damaged, accepted)
    _table("format", [(file.original.suffix.lower(), file.path.name) for file in files], damaged, accepted)
    if show:
        for file in files:
            if file.path.name in damaged & accepted:
                print(f"{file.kind:16}{file.original.name}", file=sys.stderr)


def _originals(folder: Path, scratch: Path) -> list[Path]:
    """Return the files that ingest takes as they are: what it refuses of these is odd or broken from the start."""
    found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in {*VIDEO_SUFFIXES, *IMAGE_SUFFIXES})
    (links := scratch / "originals").mkdir()
    small = [path for path in found if path.stat().st_size <= LARGEST]
    if not small:
        raise SystemExit(f"{folder} holds no videos or images of at most {LARGEST:,} bytes; name a folder that does.")
    for number, path in enumerate(small):
        (links / f"{number:04d}{path.suffix.lower()}").symlink_to(path.absolute())
    dataset = ingest(str(links), scratch / "clean", IngestConfig(near_duplicates=False))
    bad = dataset.quarantine
    refused = set(bad.loc[bad["reason"].isin(REFUSED | {"duplicate"}), "source"])
    return [path for number, path in enumerate(small) if f"{number:04d}{path.suffix.lower()}" not in refused]


def _places(data: bytearray, name: bytes) -> Iterator[int]:
    at = data.find(name)
    while at >= 0:
        yield at
        at = data.find(name, at + 1)


def _table(title: str, named: Sequence[tuple[str, str]], damaged: set[str], accepted: set[str]) -> None:
    print(f"| {title} | files | visibly damaged | of these accepted | undamaged refused |\n|---|---|---|---|---|")
    for group in [*sorted({group for group, _ in named}), "all"]:
        names = {name for kind, name in named if group in (kind, "all")}
        bad = names & damaged
        past = len(bad & accepted)
        share = f"{past} ({past / len(bad):.1%})" if bad else "0"
        print(f"| {group} | {len(names)} | {len(bad)} | {share} | {len(names - damaged - accepted)} |")


if __name__ == "__main__":
    tyro.cli(main)
