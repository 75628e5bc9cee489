"""The artifact of a publication: a folder that says which set of which feature store it is."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from kinora.config import read_json, write_json
from kinora.data.clips import ClipDataset
from kinora.data.features.store import Features
from kinora.errors import KinoraError
from kinora.files import friendly_os_errors

REFERENCE = "set.json"


def publish_features(dataset: ClipDataset, folder: str | Path, artifact_root: str = "") -> Path:
    """Publish a dataset's features under an artifact root, and leave in `folder` which set of which store they are.

    Without an artifact root `folder` holds the store too, and may be moved with it.
    """
    folder = Path(folder)
    if artifact_root and "://" not in artifact_root:
        artifact_root = str(Path(artifact_root).absolute())
    with friendly_os_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        name = Features.open(artifact_root or str(folder)).publish(dataset)
        write_json(folder / REFERENCE, {"set": name, "artifact_root": artifact_root})
    return folder


def read_features(folder: str | Path, dataset: ClipDataset) -> Iterator[pd.DataFrame]:
    """Yield the features of a dataset's clips in the set that `folder` names: a row a clip, in pieces, in no order.

    Raises:
        KinoraError: if the folder names no published set, or, at the end, if the set lacks a clip of the dataset.
    """
    try:
        reference = read_json(Path(folder) / REFERENCE)
    except FileNotFoundError as error:
        raise KinoraError(f"{folder} holds no published features; publish a clip dataset's features there.") from error
    there = np.zeros(len(dataset), bool)
    for piece in Features.open(reference["artifact_root"] or str(folder)).training_pieces(reference["set"]):
        places = dataset.rows.places(piece["clip_id"])
        there[places[places >= 0]] = True
        yield piece[places >= 0].reset_index(drop=True)
    there |= dataset.rows.repeats()
    if not there.all():
        first = dataset.rows.read([int(there.argmin())], ["clip_id"])["clip_id"][0]
        raise KinoraError(
            f"{folder} has no features of {int((~there).sum())} clips, the first {first}; publish that dataset."
        )
