"""The artifact of a publication: a folder that says which set of which feature store it is."""

from collections.abc import Iterable
from pathlib import Path

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


def read_features(folder: str | Path, clip_ids: Iterable[str] | None = None) -> pd.DataFrame:
    """Read the features of the set that `folder` names: a row a clip, in the order asked, `clip_id` first.

    None reads all clips, in no order.

    Raises:
        KinoraError: if the folder names no published set, or the set lacks a clip that is asked for.
    """
    try:
        reference = read_json(Path(folder) / REFERENCE)
    except FileNotFoundError as error:
        raise KinoraError(f"{folder} holds no published features; publish a clip dataset's features there.") from error
    found = Features.open(reference["artifact_root"] or str(folder)).training_set(reference["set"])
    if clip_ids is None:
        return found
    ids = list(clip_ids)
    unknown = sorted(set(ids) - set(found["clip_id"]))
    if unknown:
        raise KinoraError(
            f"{folder} has no features of {len(unknown)} clips, the first {unknown[0]}; publish that dataset."
        )
    return found.set_index("clip_id").loc[ids].reset_index()
