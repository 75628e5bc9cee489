"""`kinora promote`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro

from cli.options import ArtifactRoot, Work
from kinora.errors import UsageError


def promote(argv: Sequence[str]) -> int:
    """Run `kinora promote`."""

    def run(
        version: Annotated[
            str, tyro.conf.Positional, tyro.conf.arg(metavar="VERSION", help_behavior_hint="(optional)")
        ] = "",
        history: bool = False,
        verdict: Annotated[str, tyro.conf.arg(metavar="SENTENCE")] = "Promoted by hand.",
        artifact_root: ArtifactRoot = "",
        work: Work = Path("work"),
    ) -> int:
        """Deploy a model version, its digest verified; promoting an earlier one again goes back to it.

        Args:
            version: Folder or s3:// address of the version, or its name in the registry.
            history: List all promotions instead, the oldest first.
            verdict: Why it is deployed, for the history.
        """
        from kinora.generation.registry import Registry
        from kinora.storage import artifact_root as artifact_root_of

        if bool(version) == history:
            raise UsageError("name one model version, or give --history.")
        registry = Registry(artifact_root_of(artifact_root, work))
        if history:
            for line in registry.history():
                run_name = f" (run {line.run})" if line.run else ""
                print(f"{line.when}  {line.kind:<9}  {line.version}  {line.verdict}{run_name}")
            return 0
        name = registry.promote(registry.find(version).path, verdict=verdict).version
        print(f"Model version {name} is deployed in {registry.artifact_root}.")
        return 0

    return tyro.cli(run, prog="kinora promote", args=argv)
