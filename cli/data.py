"""`kinora ingest` and `kinora validate`."""

from pathlib import Path
from typing import Annotated

import tyro


def ingest(argv: list[str]) -> int:
    """Run `kinora ingest`."""

    def run(
        source: Annotated[str, tyro.conf.Positional],
        out: Path,
        recipe: str = "tiny",
    ) -> int:
        """Turn raw videos and images, or simulated worlds, into a clip dataset.

        Args:
            source: a folder of videos and images, s3://bucket/prefix, or the word "worlds" for simulated worlds.
            out: the folder that the dataset is written to, with its report.html.
            recipe: the recipe that says how large and how long clips are.
        """
        from kinora import recipes
        from kinora.data.ingest import ingest as ingest_clips
        from kinora.data.ingest import ingest_report
        from kinora.files import friendly_os_errors

        chosen = recipes.get(recipe)
        dataset = ingest_clips(source, out, chosen.ingest, chosen.grid)
        with friendly_os_errors(out):
            report = ingest_report(dataset).write(out / "report.html")
        counts = dataset.describe()
        print(f"{counts['clips']:.0f} clips, {counts['quarantined']:.0f} inputs in quarantine: {report}")
        return 0

    return tyro.cli(run, prog="kinora ingest", args=argv)


def validate(argv: list[str]) -> int:
    """Run `kinora validate`."""

    def run(dataset: Annotated[Path, tyro.conf.Positional], out: Path) -> int:
        """Check a clip dataset against its contract; rows that break it go to quarantine.

        Args:
            dataset: the folder of the dataset.
            out: the folder that the checked dataset is written to, with its report.html.
        """
        from kinora.data.clips import ClipDataset
        from kinora.data.validation import validate as validate_clips
        from kinora.files import friendly_os_errors

        _, page, figures = validate_clips(ClipDataset.open(dataset), out)
        with friendly_os_errors(out):
            report = page.write(out / "report.html")
        print(f"{figures['kept']:.0f} clips kept, {figures['failed_validation']:.0f} moved to quarantine: {report}")
        return 0

    return tyro.cli(run, prog="kinora validate", args=argv)
