"""`kinora validate`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro

from cli.options import Dataset, Out, RecipeName, Settings, chosen

Against = Annotated[
    Path | None,
    tyro.conf.arg(
        metavar="DATASET",
        help="Folder of the dataset that this one is compared with.",
        help_behavior_hint="(default: none)",
    ),
]


def validate(argv: Sequence[str]) -> int:
    """Run `kinora validate`."""

    def run(
        dataset: Dataset,
        out: Out,
        against: Against = None,
        recipe: RecipeName = "tiny",
        settings: Settings = (),
    ) -> int:
        """Check a clip dataset against its contract; rows that break it go to quarantine.

        What the dataset must be as a whole, and beside another one, is in the recipe, under `validation`.
        """
        from kinora.data.clips import ClipDataset
        from kinora.data.validation import validate as validate_clips
        from kinora.files import friendly_os_errors

        limits, last = chosen(recipe, settings).validation, None if against is None else ClipDataset.open(against)
        _, page, figures = validate_clips(ClipDataset.open(dataset), out, config=limits, last=last)
        with friendly_os_errors(out):
            report = page.write(out / "report.html")
        counts = f"{figures['kept']:.0f} clips kept, {figures['failed_validation']:.0f} moved to quarantine"
        warned = f", {figures['warnings']:.0f} warnings" if figures["warnings"] else ""
        print(f"{counts}{warned}: {report}")
        return 0

    return tyro.cli(run, prog="kinora validate", args=argv)
