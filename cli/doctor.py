"""`kinora doctor`: say what this machine can run and what is missing."""

import os
import platform
import shutil
import sys
from collections.abc import Iterator, Sequence

import tyro

from cli.extras import ALL, PLAIN, TOOLS, distributions, installed, missing

GIB = 2**30


def doctor(argv: Sequence[str]) -> int:
    """Print what is here; return 1 if anything that generating needs is missing."""

    def run() -> int:
        """Say what this machine can run and what is missing."""
        failures = 0
        for good, text in machine():
            failures += not good
            print(f"{'ok  ' if good else 'MISS'}  {text}")
        lacking = missing(PLAIN)
        print(_group("kinora", distributions()[PLAIN], lacking, "pip install kinora"))
        for extra, names in distributions().items():
            if extra not in (PLAIN, ALL, TOOLS):
                print(_group(f"kinora[{extra}]", names, missing(extra), f"pip install 'kinora[{extra}]'"))
        failures += len(lacking)
        print(f"{failures} things are missing." if failures else "Everything that generating needs is here.")
        return 1 if failures else 0

    return tyro.cli(run, prog="kinora doctor", args=argv)


def machine() -> Iterator[tuple[bool, str]]:
    """Yield whether each need of the machine is met, with a sentence that says what was found."""
    yield sys.version_info >= (3, 11), f"Python {platform.python_version()} (3.11 or newer is needed)"
    cores, memory = len(os.sched_getaffinity(0)), os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB
    yield memory >= 7, f"{cores} cores, {memory:.0f} GiB of memory (the tiny recipe needs 8 GiB)"
    free = shutil.disk_usage(".").free / GIB
    yield free >= 2, f"{free:.0f} GiB of disk free here (a demo run keeps about 1 GiB)"
    try:
        import torch
    except ImportError:
        return  # listed as missing among the packages
    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    yield (
        True,
        f"GPUs: {', '.join(gpus)}" if gpus else "no GPU: everything runs on the CPU, which the tiny recipe is for",
    )


def _group(title: str, names: list[str], lacking: list[str], remedy: str) -> str:
    """Return a line about an installation or extra and one for each of its packages, or how to get it."""
    if lacking == names:
        return f"none  {title}: {remedy}"
    head = f"part  {title}: {', '.join(lacking)} missing; {remedy}" if lacking else f"ok    {title}"
    return "\n".join([head, *(f"        {name} {installed(name)}" for name in names if name not in lacking)])
