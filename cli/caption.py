"""`kinora caption`."""

from collections.abc import Sequence

import tyro

from cli.options import Dataset, Folder, Out


def caption(argv: Sequence[str]) -> int:
    """Run `kinora caption`."""

    def run(dataset: Dataset, captioner: Folder, out: Out) -> int:
        """Caption every clip of a dataset that has no caption yet.

        Args:
            captioner: Folder of a trained captioner.
        """
        from kinora.captioning.caption import caption_dataset
        from kinora.data.clips import ClipDataset

        _, page, figures = caption_dataset(ClipDataset.open(dataset), captioner, out)
        report = page.write(out / "report.html")
        print(f"{figures['captioned']:.0f} captions written, {figures['kept']:.0f} kept: {report}")
        return 0

    return tyro.cli(run, prog="kinora caption", args=argv)
