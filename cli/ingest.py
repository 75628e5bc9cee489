"""`kinora ingest`."""

from collections.abc import Sequence
from typing import Annotated

import tyro

from cli.options import Out, RecipeName, Settings, chosen


def ingest(argv: Sequence[str]) -> int:
    """Run `kinora ingest`."""

    def run(
        source: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="SOURCE")],
        out: Out,
        recipe: RecipeName = "tiny",
        settings: Settings = (),
    ) -> int:
        """Turn raw videos and images, or simulated worlds, into a clip dataset.

        Args:
            source: Folder of videos and images, s3://BUCKET/PREFIX, or the word "worlds" for simulated worlds.
        """
        from kinora.data.dataset_report import ingest_report
        from kinora.data.ingest.dataset import ingest as ingest_clips
        from kinora.files import friendly_os_errors

        found = chosen(recipe, settings)
        dataset = ingest_clips(source, out, found.ingest, found.grid)
        with friendly_os_errors(out):
            report = ingest_report(dataset).write(out / "report.html")
        counts = dataset.describe()
        print(f"{counts['clips']:.0f} clips, {counts['quarantined']:.0f} inputs in quarantine: {report}")
        return 0

    return tyro.cli(run, prog="kinora ingest", args=argv)
