"""`kinora caption`."""

from collections.abc import Sequence

import tyro

from cli.options import Dataset, Folder, Out, RecipeName, Settings, chosen


def caption(argv: Sequence[str]) -> int:
    """Run `kinora caption`."""

    def run(
        dataset: Dataset,
        out: Out,
        captioner: Folder | None = None,
        recipe: RecipeName = "tiny",
        settings: Settings = (),
    ) -> int:
        """Caption every clip of a dataset that no person and no simulator described, with the recipe's writer.

        Interrupted, it goes on behind what it wrote when it is run again.

        Args:
            captioner: Folder of a trained captioner, where the recipe's captions are written by one.
        """
        from kinora.captioning.caption import caption_dataset
        from kinora.captioning.writers import open_writer
        from kinora.data.clips import ClipDataset

        config = chosen(recipe, settings).captions
        _, page, figures = caption_dataset(ClipDataset.open(dataset), open_writer(config, captioner), out, config)
        report = page.write(out / "report.html")
        counts = "{captioned:.0f} captions written, {abstained:.0f} not sure of, {kept:.0f} kept".format(**figures)
        print(f"{counts}: {report}")
        return 0

    return tyro.cli(run, prog="kinora caption", args=argv)
