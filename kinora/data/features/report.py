"""How the features of the validation split, or of another dataset, differ from those that training sees."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from kinora.data.clips import ClipDataset
from kinora.data.drift import caption_words, compare, drift_section
from kinora.data.features.artifact import read_features
from kinora.files import friendly_os_errors
from kinora.report import Page

CATEGORIES = ("kind", "width", "height", "frames", "fps")
MEASURES = ("motion", "brightness", "contrast", "sharpness")


def feature_report(
    dataset: ClipDataset, folder: str | Path, reference: Iterable[pd.DataFrame] | None = None
) -> tuple[Path, dict[str, float]]:
    """Compare features and write `features.html` into the published `folder`.

    The validation split is compared with the train split, or all clips with `reference` (the features that the model in
    service was trained on, in pieces). Of each clip some 80 bytes of numbers are held.

    Returns:
        The page's path, the numbers of clips, and where there are enough to be compared the figures of the comparison.

    Raises:
        KinoraError: if the folder holds no published features.
    """
    features = _compared(read_features(folder, dataset))
    held_out = features.pop("held_out")
    names = ("these clips", "the training clips") if reference is not None else ("held-out clips", "training clips")
    current = features if reference is not None else features[held_out]
    other = _compared(reference).drop(columns="held_out") if reference is not None else features[~held_out]
    figures = {"clips": float(len(features)), "compared": float(len(current)), "reference": float(len(other))}
    result = compare(current, other, CATEGORIES)
    page = Page("Features", f"{len(features)} clips are published; {names[0]} beside {names[1]}.")
    with friendly_os_errors(folder):
        path = drift_section(page, "Columns", result, *names).write(Path(folder) / "features.html")
    return path, figures | result.figures()


def _compared(pieces: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Return what is compared of features, and whether each clip is held out."""
    parts = [
        piece[list(MEASURES)]
        .astype("float64")
        .join(piece[list(CATEGORIES)])
        .assign(caption_words=caption_words(piece["caption"]), held_out=piece["split"] == "validation")
        for piece in pieces
    ]
    return pd.concat(parts, ignore_index=True)
