"""Every figure of docs/benchmarks.md, measured anew.

python -m benchmarks.all

What is measured on real footage needs a folder of it, with `natural/` and `formats/`, named by KINORA_TEST_MEDIA.
"""

import datetime
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from benchmarks import (
    against_diffusers,
    autoencoder,
    autoencoder_peers,
    autoencoder_speed,
    demo,
    detectors,
    detectors_speed,
    laws,
    loader,
    pipeline,
    resilience,
    sampler_cost,
    sampling_against_diffusers,
    showcase,
    solvers,
    transformer,
    yardsticks,
)
from benchmarks.gate_aa import __main__ as gate_aa
from benchmarks.reach import __main__ as reach
from benchmarks.reach.options import Options
from kinora.files import atomic_write

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"
GIB = 2**30


def main() -> None:
    """Measure everything and write the page."""
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "kinora"
        sections = [demo.measure(clone), help_time(), pipeline.measure()]
        work = clone / "work"
        sections += [detectors.measure(Path(folder) / "benchmark"), laws.measure(Path(folder) / "laws")]
        sections.append(detectors_speed.measure())
        showcase.write_showcase(work)
    sections += [yardsticks.measure(), gate_aa.measure()]
    sections += [autoencoder.measure(), autoencoder_speed.measure(), autoencoder_peers.measure()]
    sections += [transformer.measure(), against_diffusers.measure()]
    sections += [solvers.measure(), sampler_cost.measure()]
    sections += [sampling_against_diffusers.measure(), loader.measure(), resilience.measure()]
    sections.append(reach.measure(Options()))
    if os.environ.get("KINORA_TEST_MEDIA"):
        sections += on_footage(Path(os.environ["KINORA_TEST_MEDIA"]))
    with atomic_write(PAGE) as temporary:
        temporary.write_text("\n".join([head(), *sections]))


def head() -> str:
    """Return the top of the page: what was measured where and when."""
    cores, memory = psutil.cpu_count(), psutil.virtual_memory().total / GIB
    return (
        "# Benchmarks\n\nFor: somebody who asks how fast and how good it is.\n\n"
        f"Measured on {datetime.date.today()} by the scripts that `make bench` runs, on {cores} cores "
        f"({processor()}), {memory:.0f} GiB, "
        f"no GPU, Python {platform.python_version()}. One run each unless said; "
        "machines are noisy, so read times as about.\n"
    )


def processor() -> str:
    """Return the processor's name."""
    names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return names[0].split(": ")[1] if names else platform.processor()


def on_footage(folder: Path) -> list[str]:
    """Return what the scripts print that measure ingest and captions on real footage."""
    scripts = {
        "Ingest": ["ingest", str(folder / "natural")],
        "Damaged files": ["mutated_files", str(folder)],
        "Near duplicates": ["near_duplicates", str(folder / "natural")],
        "The captioner": ["captioner", "--footage", str(folder / "natural")],
    }
    sections = []
    for title, (script, *arguments) in scripts.items():
        command = [sys.executable, "-m", f"benchmarks.{script}", *arguments]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        sections.append(f"## {title}\n\n{said.strip()}\n")
    return sections


def help_time() -> str:
    """Return how long `kinora --help` takes, median of nine."""
    times = []
    for _ in range(9):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-m", "cli", "--help"], check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - began)
    return f"## Command line\n\n`kinora --help`: {sorted(times)[4]:.2f} s, median of nine.\n"


if __name__ == "__main__":
    main()
