"""`kinora caption`."""

from pathlib import Path
from typing import Annotated

import tyro


def caption(argv: list[str]) -> int:
    """Run `kinora caption`."""

    def run(dataset: Annotated[Path, tyro.conf.Positional], captioner: Path, out: Path) -> int:
        """Caption every clip of a dataset that has no caption yet.

        Args:
            dataset: the folder of the dataset.
            captioner: the folder of a trained captioner.
            out: the folder that the captioned dataset is written to, with its report.html.
        """
        from kinora.captioning.caption import caption_dataset
        from kinora.data.clips import ClipDataset

        _, page, figures = caption_dataset(ClipDataset.open(dataset), captioner, out)
        report = page.write(out / "report.html")
        print(f"{figures['captioned']:.0f} captions written, {figures['kept']:.0f} kept: {report}")
        return 0

    return tyro.cli(run, prog="kinora caption", args=argv)
