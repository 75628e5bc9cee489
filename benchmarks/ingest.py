"""Ingest of a person's files beside only decoding them; its memory; and an ingest that is killed at random.

Run as `python -m benchmarks.ingest FOLDER [--rounds N] [--sizes N ...] [--files N] [--kill N]`, where the folder holds
real videos, of which some are also read enlarged to the sizes given, in pixels of the longer side.
Times are of whole runs with all processes that they start, on the same cores, taken in turn: by the clock, and of the
processors, which other work on the machine changes less. Memory is the peak of all processes together.
"""

import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import psutil
import tyro

from kinora.data.clips import ClipDataset
from kinora.media import clip_writer, open_video, write_video

ENLARGED = 15  # videos

DECODE = """
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
import av

def decode(path):
    with av.open(str(path)) as container:
        container.streams.video[0].codec_context.thread_count = 1
        return sum(1 for _ in container.decode(container.streams.video[0]))

if __name__ == "__main__":
    import os
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        print(sum(pool.map(decode, sorted(Path(sys.argv[1]).glob("*.mp4")))))
"""


READ = """
import os, sys, time
from kinora import recipes
from kinora.data.ingest.dataset import plan_shards, read_shards

chosen = recipes.get("tiny")
plan_shards(sys.argv[1], sys.argv[2], chosen.ingest, chosen.grid)
begin, before = time.monotonic(), sum(os.times()[:4])
read_shards(sys.argv[1], sys.argv[2], chosen.ingest, chosen.grid)
print(time.monotonic() - begin, sum(os.times()[:4]) - before)
"""


def ingest_command(source: Path, out: Path) -> list[str]:
    """Return the command that ingests a folder with the recipe `tiny`."""
    return [sys.executable, "-m", "cli", "ingest", str(source), "--out", str(out)]


def measured(command: list[str]) -> tuple[float, float, float]:
    """Run a command to its end.

    Returns:
        Its seconds; those of processors, and the peak of the memory (MiB), of it and all that it starts.
    """
    begin, before, peak = time.monotonic(), sum(os.times()[2:4]), 0.0
    process = psutil.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None:
        total = 0
        for one in [process, *_children(process)]:
            try:
                total += one.memory_full_info().pss
            except psutil.Error:
                continue
        peak = max(peak, total / 2**20)
        time.sleep(0.05)
    if process.returncode:
        raise SystemExit(f"{command} failed")
    return time.monotonic() - begin, sum(os.times()[2:4]) - before, peak


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return list(process.children(recursive=True))
    except psutil.Error:
        return []


def speed(source: Path, rounds: int, work: Path) -> None:
    """Print the time of ingest as a multiple of that of decoding alone; reading is all but the program's start."""
    work.mkdir()
    (work / "decode.py").write_text(DECODE)
    times = []  # rounds x three x (by the clock, of processors)
    for number in range(rounds):
        decoding = measured([sys.executable, str(work / "decode.py"), str(source)])[:2]
        command = [sys.executable, "-c", READ, str(source), str(work / f"read-{number}")]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        whole = measured(ingest_command(source, work / f"speed-{number}"))[:2]
        times.append((decoding, [float(word) for word in said.split()], whole))
    for kind, clock in enumerate(("by the clock", "of processors")):
        print(f"\n| median of {rounds} (range) | seconds {clock} | beside decoding |\n|---|---|---|")
        for place, name in enumerate(("decoding alone", "reading the shards", "the whole command")):
            ratios = [row[place][kind] / row[0][kind] for row in times]
            seconds, middle = statistics.median(row[place][kind] for row in times), statistics.median(ratios)
            print(f"| {name} | {seconds:.1f} | {middle:.2f} ({min(ratios):.2f} to {max(ratios):.2f}) |")


def enlarged(source: Path, side: int, folder: Path) -> Path:
    """Write some of a folder's videos with so many pixels a longer side."""
    videos = sorted(source.glob("*.mp4"))
    for path in videos[:: max(1, len(videos) // ENLARGED)][:ENLARGED]:
        with open_video(path) as video, clip_writer(folder / path.name, video.fps) as write:
            factor = side / max(video.size)
            for frame in video.frames():
                write(frame.rgb((round(video.size[0] * factor), round(video.size[1] * factor)))[None])
    return folder


def small_videos(folder: Path, count: int) -> Path:
    """Write so many different videos of 9 frames of 48x32 pixels."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in range(count):
        cells = rng.integers(0, 255, (2, 4, 6, 3)).astype(np.float32)
        blend = np.linspace(0, 1, 9)[:, None, None, None]
        frames = ((1 - blend) * cells[0] + blend * cells[1]).astype(np.uint8).repeat(8, 1).repeat(8, 2)
        write_video(folder / f"{number:06d}.mp4", frames, 8)
    return folder


def memory(files: int, work: Path) -> None:
    """Print the peak memory for few and for many clips."""
    print("\n| | peak memory of all processes | time |\n|---|---|---|")
    for count in (10, files):
        source = small_videos(work / f"videos-{count}", count)
        seconds, _, peak = measured(ingest_command(source, work / f"memory-{count}"))
        clips = len(ClipDataset.open(work / f"memory-{count}"))
        print(f"| {count:,} files, {clips:,} clips | {peak:.0f} MiB | {seconds:.1f} s |", flush=True)


def kills(source: Path, times: int, work: Path) -> None:
    """Kill an ingest at random moments, and compare what it ends with to one that was left alone."""
    seconds, *_ = measured(ingest_command(source, work / "whole"))
    chance, done = random.Random(0), 0
    while done < times:
        process = subprocess.Popen(
            [*ingest_command(source, work / "killed"), "--set", "ingest.shard_items=4"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            process.wait(chance.uniform(0.1, 0.5) * seconds)
            shutil.rmtree(work / "killed")  # it came to its end before enough were killed: from the start again
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            done += 1
    command = [*ingest_command(source, work / "killed"), "--set", "ingest.shard_items=4"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    whole, killed = ClipDataset.open(work / "whole"), ClipDataset.open(work / "killed")
    same = "the same dataset" if whole.digest == killed.digest else "ANOTHER dataset"
    print(f"| killed {done} times at random | {same}, {len(killed)} clips |")


def main(
    folder: Annotated[Path, tyro.conf.Positional],
    rounds: int = 5,
    sizes: tuple[int, ...] = (),
    files: int = 10_000,
    kill: int = 10,
) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        if rounds:
            speed(folder, rounds, work / "own")
        for side in sizes:
            print(f"\n{ENLARGED} of the videos at {side} pixels:")
            speed(enlarged(folder, side, work / f"videos-of-{side}"), rounds, work / f"of-{side}")
        if kill:
            kills(folder, kill, work)
        if files:
            memory(files, work)


if __name__ == "__main__":
    tyro.cli(main)
