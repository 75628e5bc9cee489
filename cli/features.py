"""`kinora features`."""

from collections.abc import Sequence
from typing import Annotated

import tyro

from cli.options import Dataset, Out

Store = Annotated[
    str,
    tyro.conf.arg(
        metavar="PLACE",
        help="Folder or s3://BUCKET/PREFIX whose feature store is added to, such as the one that is served from.",
        help_behavior_hint="(default: the folder of the result)",
    ),
]


def features(argv: Sequence[str]) -> int:
    """Run `kinora features`."""

    def run(dataset: Dataset, out: Out, artifact_root: Store = "") -> int:
        """Publish each clip's features to a feature store, and report how the validation split differs.

        What is new or changed is added to the store; what was published before stays as it was.
        """
        from kinora.data.clips import ClipDataset
        from kinora.data.features import feature_report, publish_features

        clips = ClipDataset.open(dataset)
        report, figures = feature_report(clips, publish_features(clips, out, artifact_root))
        print(f"{figures['clips']:.0f} clips published: {report}")
        return 0

    return tyro.cli(run, prog="kinora features", args=argv)
