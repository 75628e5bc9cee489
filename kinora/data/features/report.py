"""How the features of the validation split, or of another dataset, differ from those that training sees."""

from pathlib import Path

import pandas as pd

from kinora.data.clips import ClipDataset
from kinora.data.drift import compare, drift_section
from kinora.data.features.artifact import read_features
from kinora.files import friendly_os_errors
from kinora.report import Page

CATEGORIES = ("kind", "width", "height", "frames", "fps")
MEASURES = ("motion", "brightness", "contrast", "sharpness")


def feature_report(
    dataset: ClipDataset, folder: str | Path, reference: pd.DataFrame | None = None
) -> tuple[Path, dict[str, float]]:
    """Compare features and write `features.html` into the published `folder`.

    The validation split is compared with the train split, or all clips with `reference` (the features that the model in
    service was trained on).

    Returns:
        The page's path, the numbers of clips, and where there are enough to be compared the figures of the comparison.

    Raises:
        KinoraError: if the folder holds no published features.
    """
    features = read_features(folder, dataset.clips["clip_id"])
    held_out = features["split"] == "validation"
    names = ("these clips", "the training clips") if reference is not None else ("held-out clips", "training clips")
    current = features if reference is not None else features[held_out]
    reference = reference if reference is not None else features[~held_out]
    figures = {"clips": float(len(features)), "compared": float(len(current)), "reference": float(len(reference))}
    result = compare(_compared(current), _compared(reference), CATEGORIES)
    page = Page("Features", f"{len(features)} clips are published; {names[0]} beside {names[1]}.")
    with friendly_os_errors(folder):
        path = drift_section(page, "Columns", result, *names).write(Path(folder) / "features.html")
    return path, figures | result.figures()


def _compared(features: pd.DataFrame) -> pd.DataFrame:
    table = features[list(MEASURES)].astype("float64")
    table["caption_words"] = [float(len(caption.split())) for caption in features["caption"]]
    return table.join(features[list(CATEGORIES)].astype(str))
