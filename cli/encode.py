"""`kinora encode`."""

from collections.abc import Sequence

import tyro

from cli.options import Dataset, Folder, Out, RecipeName, Settings, chosen


def encode(argv: Sequence[str]) -> int:
    """Run `kinora encode`."""

    def run(
        dataset: Dataset,
        features: Folder,
        autoencoder: Folder,
        out: Out,
        recipe: RecipeName = "tiny",
        settings: Settings = (),
    ) -> int:
        """Encode every clip with the autoencoder, beside the caption that the feature store serves.

        Where the recipe has a frozen text encoder, what it makes of the captions is kept as well.

        Args:
            features: Folder of the dataset's published features.
            autoencoder: Folder of a trained autoencoder.
        """
        from kinora.data.clips import ClipDataset
        from kinora.data.features import read_features
        from kinora.data.latents import LatentDataset
        from kinora.training.latents import encode_latents
        from kinora.training.latents_report import latents_page

        clips = ClipDataset.open(dataset)
        text = chosen(recipe, settings).transformer.text
        figures = encode_latents(clips, read_features(features, clips), autoencoder, out, text)
        report = latents_page(clips, LatentDataset.open(out), figures).write(out / "report.html")
        print(f"{figures['clips']:.0f} clips encoded: {report}")
        return 0

    return tyro.cli(run, prog="kinora encode", args=argv)
