"""`kinora drift`."""

from collections.abc import Sequence
from pathlib import Path

import tyro

from cli.options import ArtifactRoot, Dataset, Out, RecipeName, Settings, Work, chosen


def drift(argv: Sequence[str]) -> int:
    """Run `kinora drift`."""

    def run(
        dataset: Dataset,
        out: Out,
        work: Work = Path("work"),
        artifact_root: ArtifactRoot = "",
        recipe: RecipeName = "tiny",
        settings: Settings = (),
    ) -> int:
        """Compare what the endpoint was asked for with the clips that its model was trained on.

        How many days count, and what is called drift, is in the recipe, under `drift`.

        Args:
            dataset: Folder of the captioned clip dataset that the deployed model was trained on.
        """
        from kinora.data.clips import ClipDataset
        from kinora.storage import artifact_root as artifact_root_of
        from serving.drift import request_drift, training_texts, write_drift
        from serving.request_log import read_requests

        config = chosen(recipe, settings).drift
        requests = read_requests(artifact_root_of(artifact_root, work), config.days)
        found = request_drift(requests, training_texts(ClipDataset.open(dataset)), config)
        page = write_drift(found, f"the model of {dataset}", out)
        words = f"{found.unknown_share:.0%} of the words are new to it"
        print(f"{found.result.drifted_share:.0%} of the features drifted, {words}: {page}")
        return 0

    return tyro.cli(run, prog="kinora drift", args=argv)
