"""`kinora validate`."""

from collections.abc import Sequence

import tyro

from cli.options import Dataset, Out


def validate(argv: Sequence[str]) -> int:
    """Run `kinora validate`."""

    def run(dataset: Dataset, out: Out) -> int:
        """Check a clip dataset against its contract; rows that break it go to quarantine."""
        from kinora.data.clips import ClipDataset
        from kinora.data.validation import validate as validate_clips
        from kinora.files import friendly_os_errors

        _, page, figures = validate_clips(ClipDataset.open(dataset), out)
        with friendly_os_errors(out):
            report = page.write(out / "report.html")
        print(f"{figures['kept']:.0f} clips kept, {figures['failed_validation']:.0f} moved to quarantine: {report}")
        return 0

    return tyro.cli(run, prog="kinora validate", args=argv)
