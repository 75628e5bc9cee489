"""How the features of the validation split, or of another dataset, differ from those that training sees."""

from pathlib import Path

import pandas as pd

from kinora.data.clips import ClipDataset
from kinora.data.drift import comparable, drift_report, summary_report
from kinora.data.features.artifact import read_features

CATEGORIES = ("kind", "width", "height", "frames", "fps")
MEASURES = ("motion", "brightness", "contrast", "sharpness")


def feature_report(
    dataset: ClipDataset, folder: str | Path, reference: pd.DataFrame | None = None
) -> tuple[Path, dict[str, float]]:
    """Compare features and write `features.html` into the published `folder`.

    The validation split is compared with the train split, or all clips with `reference` (the features that the model in
    service was trained on). With too few clips to compare, the page sums them up without a verdict.

    Returns:
        The page's path, the numbers of clips, and where they can be compared the figures of `drift_report`.

    Raises:
        KinoraError: if the folder holds no published features.
    """
    features = read_features(folder, dataset.clips["clip_id"])
    held_out = features["split"] == "validation"
    current = features if reference is not None else features[held_out]
    reference = reference if reference is not None else features[~held_out]
    figures = {"clips": float(len(features)), "compared": float(len(current)), "reference": float(len(reference))}
    tables = _compared(current), _compared(reference)
    path = Path(folder) / "features.html"
    if comparable(*tables):
        return path, figures | drift_report(*tables, path, CATEGORIES)
    summary_report(*tables, path, CATEGORIES)
    return path, figures


def _compared(features: pd.DataFrame) -> pd.DataFrame:
    table = features[list(MEASURES)].astype("float64")
    table["caption_words"] = [float(len(caption.split())) for caption in features["caption"]]
    return table.join(features[list(CATEGORIES)].astype(str))
