"""`kinora drift`."""

from collections.abc import Sequence
from pathlib import Path

import tyro

from cli.options import Dataset, Out, Work


def drift(argv: Sequence[str]) -> int:
    """Run `kinora drift`."""

    def run(dataset: Dataset, out: Out, work: Work = Path("work")) -> int:
        """Compare what the endpoint was asked for with the clips that its model was trained on.

        Args:
            dataset: Folder of the captioned clip dataset that the deployed model was trained on.
        """
        from kinora.data.clips import ClipDataset
        from serving.drift import read_requests, request_drift

        figures = request_drift(read_requests(work), ClipDataset.open(dataset).clips, out)
        print(f"{figures['drifted_share']:.0%} of the features drifted: {out / 'drift.html'}")
        return 0

    return tyro.cli(run, prog="kinora drift", args=argv)
