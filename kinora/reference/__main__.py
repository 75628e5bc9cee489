"""Puts a model version into the package: python -m kinora.reference [VERSION] [--artifact-root PLACE]."""

import sys
from typing import Annotated

import tyro

from kinora.errors import KinoraError
from kinora.generation.reference import MOST_BYTES, put_reference
from kinora.generation.registry import Registry
from kinora.storage import artifact_root as artifact_root_of


def run(version: Annotated[str, tyro.conf.Positional] = "", artifact_root: str = "") -> int:
    """Put a model version into the package, in place of the one that comes with it now.

    Args:
        version: its folder, s3:// address, or name in the registry; the one that was promoted last if empty.
        artifact_root: where the registry is; else KINORA_ARTIFACT_ROOT, else work/artifacts.
    """
    registry = Registry(artifact_root_of(artifact_root))
    name = version or registry.current()
    if not name:
        raise KinoraError(f"nothing was promoted in {registry.artifact_root}; name a model version.")
    found = registry.find(name)
    put = put_reference(found)
    print(f"Model version {put.name} comes with the package now, at {put.path}.")
    if put.name != found.name:
        print(
            f"Its weights were rounded to float16 to fit into {MOST_BYTES / 1e6:.0f} MB, and its card says that the "
            "scores are those of the weights before; `kinora evaluate` measures these."
        )
    return 0


def main(argv: list[str]) -> int:
    """Run the command; return its exit code."""
    try:
        return tyro.cli(run, prog="python -m kinora.reference", args=argv)
    except KinoraError as error:
        print(f"kinora.reference: {error}", file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
