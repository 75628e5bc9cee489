"""`kinora doctor`: say what this machine can run and what is missing."""

import importlib.metadata
import os
import platform
import shutil
import sys
from collections.abc import Iterator

import tyro

PACKAGES = (
    "torch", "torchx-nightly", "deepspeed", "kfp", "kfp-kubernetes", "kubernetes",
    "bentoml", "feast", "great-expectations", "evidently", "minio", "av",
)  # fmt: skip
GIB = 2**30


def doctor(argv: list[str]) -> int:
    """Print one line a check; return 1 if anything that the pipeline needs is missing."""

    def run() -> int:
        """Say what this machine can run and what is missing."""
        failures = 0
        for good, text in checks():
            failures += not good
            print(f"{'ok  ' if good else 'MISS'}  {text}")
        print("Everything that the pipeline needs is here." if not failures else f"{failures} things are missing.")
        return 1 if failures else 0

    return tyro.cli(run, prog="kinora doctor", args=argv)


def checks() -> Iterator[tuple[bool, str]]:
    """Yield whether each need is met, with a sentence that says what was found."""
    yield sys.version_info >= (3, 11), f"Python {platform.python_version()} (3.11 or newer is needed)"
    cores, memory = len(os.sched_getaffinity(0)), os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB
    yield memory >= 7, f"{cores} cores, {memory:.0f} GiB of memory (the tiny recipe needs 8 GiB)"
    free = shutil.disk_usage(".").free / GIB
    yield free >= 2, f"{free:.0f} GiB of disk free here (a demo run keeps about 1 GiB)"
    for name in PACKAGES:
        try:
            yield True, f"{name} {importlib.metadata.version(name)}"
        except importlib.metadata.PackageNotFoundError:
            yield False, f"{name} is not installed; run 'pip install -r requirements.lock'"
    import torch

    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    yield (
        True,
        f"GPUs: {', '.join(gpus)}" if gpus else "no GPU: everything runs on the CPU, which the tiny recipe is for",
    )
