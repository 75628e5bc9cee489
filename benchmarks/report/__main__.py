"""Makes sections of docs/report.md: python -m benchmarks.report [SECTION ...]; one that fails stops no other."""

import sys
import time

import tyro

from benchmarks.report import (
    abilities,
    captions,
    compute,
    connection,
    editing,
    extension,
    failures,
    framing,
    image_prompts,
    images,
    loop,
    minute,
    page,
    patches,
    sizes,
)
from benchmarks.report.studio import Options, Studio
from kinora.errors import KinoraError, UsageError

SECTIONS = {
    "patches": patches.make,
    "compute": compute.make,
    "framing": framing.make,
    "sizes": sizes.make,
    "captions": captions.make,
    "image_prompts": image_prompts.make,
    "extension": extension.make,
    "loop": loop.make,
    "editing": editing.make,
    "connection": connection.make,
    "images": images.make,
    "abilities": abilities.make,
    "minute": minute.make,
    "failures": failures.make,
}
OF_STUDIES = ("compute", "framing")  # made of trainings of their own


def make(options: Options) -> int:
    """Make the sections and fill the page; return the exit code."""
    if unknown := [name for name in options.sections if name not in SECTIONS]:
        raise UsageError(f"there is no section '{unknown[0]}'; the sections are {', '.join(SECTIONS)}.")
    studio, failed = Studio(options), 0
    for name in options.sections or SECTIONS:
        began = time.monotonic()
        try:
            section = SECTIONS[name](studio)
        except KinoraError as error:
            failed += 1
            print(f"{name}: {error}", file=sys.stderr, flush=True)
            continue
        model = "" if name in OF_STUDIES else studio.subject.version.name
        page.keep(options.out, name, section, time.monotonic() - began, model)
        page.fill(options.page, options.out)
        print(f"{name}: made in {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(make(tyro.cli(Options, prog="python -m benchmarks.report")))
    except KinoraError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
