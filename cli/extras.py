"""The extras of the installation: which distributions each brings, which of them are missing, and what to do then."""

import importlib.metadata
from functools import cache

from packaging.requirements import Requirement

from kinora.errors import KinoraError

PLAIN = ""  # what an installation without extras brings
ALL, TOOLS = "all", "dev"  # all that Kinora's commands need; what work on Kinora itself needs


@cache
def distributions() -> dict[str, list[str]]:
    """Return the names of the distributions that the plain installation (`PLAIN`) and each extra need directly."""
    metadata = importlib.metadata.metadata("kinora")
    requirements = [Requirement(text) for text in metadata.get_all("Requires-Dist") or ()]

    def named(extra: str) -> list[str]:
        wanted = [r for r in requirements if r.marker is None or r.marker.evaluate({"extra": extra})]
        if extra != PLAIN:
            wanted = [r for r in wanted if r.marker is not None and not r.marker.evaluate({"extra": PLAIN})]
        ours = [name for r in wanted if r.name == "kinora" for part in sorted(r.extras) for name in named(part)]
        return list(dict.fromkeys([r.name for r in wanted if r.name != "kinora"] + ours))

    return {extra: named(extra) for extra in (PLAIN, *(metadata.get_all("Provides-Extra") or ()))}


def installed(distribution: str) -> str | None:
    """Return the version of a distribution that is installed, or None."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def missing(extra: str) -> list[str]:
    """Return the distributions of an extra that are not installed."""
    return [name for name in distributions()[extra] if installed(name) is None]


def require(extra: str) -> None:
    """Refuse to go on without an extra.

    Raises:
        KinoraError: if any of it is missing; the message says how to install it.
    """
    if missing(extra):
        raise KinoraError(f"this needs the extra '{extra}': pip install 'kinora[{extra}]'")
