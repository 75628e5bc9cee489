"""`kinora features`."""

from collections.abc import Sequence

import tyro

from cli.options import Dataset, Out


def features(argv: Sequence[str]) -> int:
    """Run `kinora features`."""

    def run(dataset: Dataset, out: Out) -> int:
        """Publish each clip's features to a feature store, and report how the validation split differs.

        The folder holds the store, which is added to when another dataset is published there.
        """
        from kinora.data.clips import ClipDataset
        from kinora.data.features import feature_report, publish_features

        clips = ClipDataset.open(dataset)
        report, figures = feature_report(clips, publish_features(clips, out))
        print(f"{figures['clips']:.0f} clips published: {report}")
        return 0

    return tyro.cli(run, prog="kinora features", args=argv)
